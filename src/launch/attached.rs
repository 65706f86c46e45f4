//! Commands that are attached to the program of a sandbox in the background: each is given what the program writes, and what is typed into them goes to its
//! standard input.
//!
//! The program is never kept waiting by one of them, nor are the others: what one has not read yet waits here, and one that leaves too much unread is dropped.

use crate::state::{Answer, Stream};
use crate::sys::{self, Errno, Poll};
use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// How much of what the program has written waits for one who does not read, in bytes.
const MOST: usize = 8 << 20;

/// How much of what is typed is read at once, in bytes.
const PIECE: usize = 1 << 16;

/// How long who does not read at all is waited for once the program has ended.
const PATIENCE: Duration = Duration::from_secs(1);

/// Somebody who is attached: its connection, and the files that it has sent: where it is read from, and what it shows.
#[derive(Debug)]
pub struct Joining {
    /// Its connection.
    pub socket: OwnedFd,
    /// Where what is typed comes from, and where standard output and standard error go.
    pub streams: [Option<OwnedFd>; 3],
}

/// Those who are attached.
#[derive(Debug, Default)]
pub(super) struct Attached {
    clients: Vec<Client>,
    /// The write end of the pipe that the program's standard input is, if it is one.
    input: Option<OwnedFd>,
}

#[derive(Debug)]
struct Client {
    number: u64,
    socket: OwnedFd,
    input: Option<OwnedFd>,
    /// What was typed, and the program's standard input has not taken yet.
    typed: Vec<u8>,
    /// Its input is at its end, rather than gone with it.
    ends: bool,
    outputs: [Option<Output>; 2],
}

/// Where one stream goes.
#[derive(Debug)]
struct Output {
    pipe: OwnedFd,
    waiting: VecDeque<u8>,
}

impl Output {
    fn new(pipe: OwnedFd) -> Option<Output> {
        sys::set_nonblocking(pipe.as_fd(), true).ok()?;
        Some(Output { pipe, waiting: VecDeque::new() })
    }

    /// Writes as much of what waits as is taken; false if nobody reads any more.
    fn write(&mut self) -> bool {
        while !self.waiting.is_empty() {
            let (first, _) = self.waiting.as_slices();
            match sys::write_some(self.pipe.as_fd(), first) {
                Ok(count) => drop(self.waiting.drain(..count)),
                Err(Errno(libc::EAGAIN)) => return true,
                Err(Errno(libc::EINTR)) => {}
                Err(_) => return false,
            }
        }
        // What a flood has taken of memory is given back.
        if self.waiting.capacity() > PIECE {
            self.waiting = VecDeque::new();
        }
        true
    }
}

impl Attached {
    pub(super) fn new(input: Option<OwnedFd>) -> Attached {
        let input = input.filter(|input| sys::set_nonblocking(input.as_fd(), true).is_ok());
        Attached { clients: Vec::new(), input }
    }

    /// Somebody is attached. Gives whether what it types goes anywhere.
    pub(super) fn add(&mut self, number: u64, joining: Joining) -> bool {
        let Joining { socket, streams: [input, output, errors] } = joining;
        let input = input.filter(|input| self.input.is_some() && sys::set_nonblocking(input.as_fd(), true).is_ok());
        let outputs = [output, errors].map(|pipe| pipe.and_then(Output::new));
        self.clients.push(Client { number, socket, input, typed: Vec::new(), ends: false, outputs });
        self.input.is_some()
    }

    /// These have gone. What they typed before still goes to the program.
    pub(super) fn remove(&mut self, gone: &[u64]) {
        for client in self.clients.iter_mut().filter(|client| gone.contains(&client.number)) {
            client.read();
            if let Some(input) = &self.input {
                client.pass_on(input.as_fd());
            }
        }
        self.clients.retain(|client| !gone.contains(&client.number));
    }

    /// The input of one of them is at its end, and so is that of the program, once all of it has come.
    pub(super) fn end_of_input(&mut self, number: u64) {
        self.clients.iter_mut().filter(|client| client.number == number).for_each(|client| client.ends = true);
        self.attend();
    }

    /// What to wait for.
    pub(super) fn polls(&self) -> Vec<Poll> {
        let mut polls = Vec::new();
        let typed = self.clients.iter().any(|client| !client.typed.is_empty());
        if let Some(input) = self.input.as_ref().filter(|_| typed) {
            polls.push(Poll { fd: input.as_raw_fd(), read: false, write: true, ready: false });
        }
        for client in &self.clients {
            if let Some(input) = client.input.as_ref().filter(|_| client.typed.is_empty() && self.input.is_some()) {
                polls.push(Poll::read(input.as_raw_fd()));
            }
            let waits = client.outputs.iter().flatten().filter(|output| !output.waiting.is_empty());
            polls.extend(waits.map(|output| Poll {
                fd: output.pipe.as_raw_fd(),
                read: false,
                write: true,
                ready: false,
            }));
        }
        polls
    }

    /// Does what can be done without waiting.
    pub(super) fn attend(&mut self) {
        for client in &mut self.clients {
            client.write();
            let Some(input) = &self.input else { continue };
            if client.typed.is_empty() {
                client.read();
            }
            // Once nobody reads it any more, or it is at its end, nothing is typed any more.
            if !client.pass_on(input.as_fd()) || client.ends && client.input.is_none() && client.typed.is_empty() {
                self.input = None;
            }
        }
    }

    /// The program has written something.
    pub(super) fn show(&mut self, stream: Stream, bytes: &[u8]) {
        let at = usize::from(stream == Stream::Err);
        self.clients.retain_mut(|client| {
            let Some(Some(output)) = client.outputs.get_mut(at) else { return true };
            output.waiting.extend(bytes);
            let read = output.write();
            if output.waiting.len() > MOST {
                client.tell(&Answer {
                    error: Some(format!(
                        "it has not read what the program writes, of which {} MiB wait, and is attached no more: the program goes on, and `sbx logs` shows it",
                        MOST >> 20
                    )),
                    ..Answer::default()
                });
                return false;
            }
            if !read && let Some(output) = client.outputs.get_mut(at) {
                *output = None;
            }
            true
        });
    }

    /// The program has ended, or could not be started.
    pub(super) fn ended(&self, answer: &Answer) {
        self.clients.iter().for_each(|client| client.tell(answer));
    }

    /// Gives each what waits for it, as long as somebody reads.
    pub(super) fn finish(&mut self) {
        self.input = None;
        let mut until = Instant::now() + PATIENCE;
        loop {
            let before = self.waiting();
            self.clients.iter_mut().for_each(Client::write);
            let after = self.waiting();
            if after == 0 {
                return;
            }
            if after < before {
                until = Instant::now() + PATIENCE;
            }
            let left = until.saturating_duration_since(Instant::now());
            let mut set = sys::PollSet::default();
            self.polls().into_iter().for_each(|poll| set.add(poll));
            if left.is_zero() || set.wait(i32::try_from(left.as_millis() + 1).ok()).is_err() {
                return;
            }
        }
    }

    fn waiting(&self) -> usize {
        let outputs = self.clients.iter().flat_map(|client| client.outputs.iter().flatten());
        outputs.map(|output| output.waiting.len()).sum()
    }
}

impl Client {
    fn tell(&self, answer: &Answer) {
        let _ = sys::send_now(self.socket.as_fd(), &answer.encode());
    }

    fn write(&mut self) {
        for output in &mut self.outputs {
            if output.as_mut().is_some_and(|output| !output.write()) {
                *output = None;
            }
        }
    }

    fn read(&mut self) {
        let Some(input) = &self.input else { return };
        let mut buffer = vec![0; PIECE];
        match sys::read(input.as_fd(), &mut buffer) {
            Ok(count @ 1..) => self.typed.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(Errno(libc::EAGAIN)) => {}
            _ => self.input = None,
        }
    }

    /// Gives the program what was typed, as much as it takes; false if it reads no more.
    fn pass_on(&mut self, to: BorrowedFd<'_>) -> bool {
        if self.typed.is_empty() {
            return true;
        }
        match sys::write_some(to, &self.typed) {
            Ok(count) => drop(self.typed.drain(..count)),
            Err(Errno(libc::EAGAIN | libc::EINTR)) => {}
            Err(_) => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attached() -> (Attached, [OwnedFd; 5]) {
        let (ours, theirs) = sys::seqpacket_pair().unwrap();
        let (program, to_program) = sys::pipe().unwrap();
        let (input, typed) = sys::pipe().unwrap();
        let (out, to_out) = sys::pipe().unwrap();
        let (err, to_err) = sys::pipe().unwrap();
        let mut attached = Attached::new(Some(to_program));
        let streams = [Some(input), Some(to_out), Some(to_err)];
        assert!(attached.add(1, Joining { socket: ours, streams }));
        (attached, [theirs, program, typed, out, err])
    }

    #[test]
    fn who_does_not_read_is_dropped_once_too_much_waits_and_is_told() {
        let (mut attached, [told, _program, _typed, out, _err]) = attached();
        let piece = vec![b'x'; 1 << 20];
        for _ in 0..16 {
            attached.show(Stream::Out, &piece);
            assert!(attached.waiting() <= MOST);
        }
        assert_eq!(attached.clients.len(), 0);
        let mut buffer = [0; 4096];
        let (length, _) = sys::receive(told.as_fd(), &mut buffer).unwrap();
        assert!(String::from_utf8_lossy(&buffer[..length]).contains("attached no more"));
        assert!(sys::read(out.as_fd(), &mut buffer).unwrap() > 0);
    }

    #[test]
    fn what_is_typed_is_passed_on_and_only_an_end_that_is_told_is_the_programs() {
        for ends in [false, true] {
            let (mut attached, [_told, program, typed, ..]) = attached();
            sys::write_all(typed.as_fd(), b"line\n").unwrap();
            if ends {
                attached.end_of_input(1);
            }
            drop(typed);
            attached.attend();
            attached.attend();
            assert!(sys::soon(|| {
                attached.attend();
                attached.input.is_none() == ends
            }));
            attached.remove(&[1]);
            let mut buffer = [0; 16];
            assert_eq!(sys::read(program.as_fd(), &mut buffer), Ok(5));
            assert_eq!(attached.input.is_none(), ends);
        }
    }
}
