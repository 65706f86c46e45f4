//! The process: answers launchers, commands and forwarders of names until the last sandbox has gone.

use super::confine;
use super::members::Members;
use super::message::{self, Answer, LONGEST, LONGEST_NAME, Request};
use crate::spec::{OwnAddresses, Range6, Subnet};
use crate::sys::{self, Errno, Links, Poll, PollSet, Waited};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Those who are connected and have not joined, at a time. The one who has waited longest gives way.
const MOST_VISITORS: usize = 64;

/// Milliseconds between looks whether somebody who has locked the network's directory is about to join.
const LOOK: i32 = 20;

/// Questions of a forwarder that are answered before others get their turn.
const TURN: usize = 32;

/// What the process keeps.
pub(super) struct Held {
    pub listener: OwnedFd,
    /// Locked for as long as this process lives.
    pub lock: OwnedFd,
    /// The directory that the socket and the lock lie in. Whoever joins has locked it.
    pub dir: OwnedFd,
    /// The directory that this one lies in.
    pub above: OwnedFd,
    /// The user namespace that owns the network.
    pub user: OwnedFd,
    /// The network namespace of the bridge.
    pub network: OwnedFd,
    /// Removes interfaces of the bridge.
    pub links: Links,
    /// The process that carries packets to the outside.
    pub helper: Option<OwnedFd>,
    /// What that process says. It would be ended by a signal if nobody had this open.
    pub said: Option<OwnedFd>,
    /// The name of its program; empty if there is none.
    pub carries: String,
    /// The name of the directory.
    pub id: String,
}

/// A sandbox in the network.
struct Seated {
    number: u64,
    address: Ipv4Addr,
    /// At its end once the sandbox's launcher has ended.
    launcher: OwnedFd,
    /// What its forwarder asks by; none once that has ended.
    questions: Option<OwnedFd>,
}

pub(super) struct Server {
    held: Held,
    /// The user whose launchers and commands are answered.
    uid: u32,
    members: Members,
    seated: Vec<Seated>,
    visitors: Vec<OwnedFd>,
    listings: Vec<Listing>,
}

/// The rest of an answer to a visitor who has asked who is in the network.
struct Listing {
    visitor: OwnedFd,
    rest: VecDeque<Answer>,
}

impl Listing {
    /// Sends as much as there is room for; whether there is more.
    fn send(&mut self) -> bool {
        while let Some(answer) = self.rest.front() {
            match tell(self.visitor.as_fd(), answer, None) {
                Ok(()) => drop(self.rest.pop_front()),
                Err(Errno(libc::EAGAIN)) => return true,
                Err(_) => return false,
            }
        }
        false
    }
}

impl Server {
    pub fn new(held: Held, name: &str, subnet: Subnet, gateway: Ipv4Addr, v6: Option<Range6>) -> Server {
        let members = Members::new(name, subnet, gateway, v6);
        Server {
            held,
            uid: sys::effective_uid(),
            members,
            seated: Vec::new(),
            visitors: Vec::new(),
            listings: Vec::new(),
        }
    }

    /// Holds the network until nobody is in it.
    ///
    /// # Errors
    ///
    /// The process cannot be confined, or cannot wait any more.
    pub fn run(mut self, ready: OwnedFd) -> sys::Result<()> {
        let Held { listener, lock, dir, above, user, network, links, helper, said, .. } = &self.held;
        let all = [&ready, listener, lock, dir, above, user, network].into_iter().chain(helper).chain(said);
        let all = all.map(AsRawFd::as_raw_fd).chain([links.as_raw_fd()]);
        confine::confine(&all.collect::<Vec<_>>(), above.as_fd())?;
        sys::write_all(ready.as_fd(), b"r")?;
        drop(ready);
        let mut set = PollSet::default();
        while !(self.members.is_empty() && self.ends()) {
            set.clear();
            set.add(Poll::read(self.held.listener.as_raw_fd()));
            set.add(Poll::read(self.held.helper.as_ref().map_or(-1, AsRawFd::as_raw_fd)));
            self.visitors.iter().for_each(|visitor| set.add(Poll::read(visitor.as_raw_fd())));
            for seated in &self.seated {
                set.add(Poll::read(seated.launcher.as_raw_fd()));
                set.add(Poll::read(seated.questions.as_ref().map_or(-1, AsRawFd::as_raw_fd)));
            }
            for listing in &self.listings {
                set.add(Poll { fd: listing.visitor.as_raw_fd(), read: false, write: true, ready: false });
            }
            set.wait(self.members.is_empty().then_some(LOOK))?;
            if set.is_ready(1) {
                self.tell_end();
                return Ok(());
            }
            let visitors = self.visitors.len();
            let mut place = 2 + visitors + 2 * self.seated.len();
            self.listings.retain_mut(|listing| {
                place += 1;
                !set.is_ready(place - 1) || listing.send()
            });
            for at in (0..self.seated.len()).rev() {
                if set.is_ready(2 + visitors + 2 * at + 1) {
                    self.on_questions(at);
                }
                if set.is_ready(2 + visitors + 2 * at) {
                    self.on_launcher(at);
                }
            }
            for at in (0..visitors).rev() {
                if set.is_ready(2 + at) {
                    self.on_visitor(at);
                }
            }
            if set.is_ready(0) {
                self.on_connection();
            }
        }
        Ok(())
    }

    /// Whether nobody is about to join: then what lies in the directory is removed, and the lock that keeps others from joining stays
    /// until this process has ended.
    fn ends(&self) -> bool {
        if sys::try_lock(self.held.dir.as_fd()).is_err() {
            return false;
        }
        for name in [c"ctl", c"lock"] {
            let _ = sys::unlink(self.held.dir.as_fd(), name, false);
        }
        if let Ok(id) = std::ffi::CString::new(self.held.id.as_str()) {
            let _ = sys::unlink(self.held.above.as_fd(), &id, true);
        }
        true
    }

    fn on_connection(&mut self) {
        while let Ok(visitor) = sys::accept(self.held.listener.as_fd()) {
            let own = sys::peer(visitor.as_fd()).is_ok_and(|peer| peer.uid == self.uid);
            if !own {
                continue;
            }
            if self.visitors.len() >= MOST_VISITORS {
                self.visitors.remove(0);
            }
            self.visitors.push(visitor);
        }
    }

    fn on_visitor(&mut self, at: usize) {
        let Some(visitor) = self.visitors.get(at) else { return };
        let mut buffer = vec![0; LONGEST];
        let request = match sys::receive(visitor.as_fd(), &mut buffer) {
            Err(Errno(libc::EAGAIN)) => return,
            Ok((length @ 1.., _)) => serde_json::from_slice(buffer.get(..length).unwrap_or_default()).ok(),
            _ => None,
        };
        let visitor = self.visitors.remove(at);
        match request {
            Some(Request::Join(names)) if !self.members.have_v6() => self.join(visitor, names, None),
            Some(Request::Join6(names, wanted)) if self.members.have_v6() => self.join(visitor, names, wanted),
            Some(Request::Join(_) | Request::Join6(..)) => {
                let why = "another version of sbx has started it, or wants to join it";
                let _ = tell(visitor.as_fd(), &Answer::Refused(why.into()), None);
            }
            Some(Request::List) => {
                let rest = self.members.all().cloned().map(Answer::Member).chain([Answer::End]).collect();
                let mut listing = Listing { visitor, rest };
                if listing.send() {
                    if self.listings.len() >= MOST_VISITORS {
                        self.listings.remove(0);
                    }
                    self.listings.push(listing);
                }
            }
            Some(Request::Launcher(_)) | None => {}
        }
    }

    fn join(&mut self, launcher: OwnedFd, names: Vec<String>, wanted: Option<Ipv6Addr>) {
        let pid = sys::peer(launcher.as_fd()).map_or(0, |peer| peer.pid);
        let (number, own) = match self.members.add(names, pid, wanted) {
            Ok(added) => added,
            Err(why) => {
                let _ = tell(launcher.as_fd(), &Answer::Refused(why), None);
                return;
            }
        };
        let hand_over = || -> sys::Result<OwnedFd> {
            let (ours, theirs) = sys::seqpacket_pair()?;
            sys::set_nonblocking(ours.as_fd(), true)?;
            let carries = self.held.carries.clone();
            let joined = match own {
                OwnAddresses { v4, v6: None } => Answer::Joined(v4, carries),
                OwnAddresses { v4, v6: Some(v6) } => Answer::Joined6(v4, v6, carries),
            };
            tell(launcher.as_fd(), &joined, Some(self.held.user.as_fd()))?;
            tell(launcher.as_fd(), &Answer::More, Some(self.held.network.as_fd()))?;
            tell(launcher.as_fd(), &Answer::More, Some(theirs.as_fd()))?;
            Ok(ours)
        };
        match hand_over() {
            Ok(questions) => {
                self.seated.push(Seated { number, address: own.v4, launcher, questions: Some(questions) });
            }
            Err(_) => self.members.remove(number),
        }
    }

    /// A launcher has ended, or says that the sandbox is its own.
    fn on_launcher(&mut self, at: usize) {
        let Some(seated) = self.seated.get(at) else { return };
        let mut said = [0; 64];
        match sys::receive(seated.launcher.as_fd(), &mut said) {
            Err(Errno(libc::EAGAIN)) => {}
            Ok((length @ 1.., _)) => {
                let request = serde_json::from_slice(said.get(..length).unwrap_or_default());
                if let Ok(Request::Launcher(pid)) = request {
                    self.members.launched_by(seated.number, pid);
                }
            }
            _ => {
                let seated = self.seated.remove(at);
                // Others may be in its network yet, which have joined it: nobody keeps the rules on their packets, and the address is given
                // to others. It may have ended before it was attached.
                let _ = self.held.links.remove_pair(seated.address);
                self.members.remove(seated.number);
            }
        }
    }

    /// A forwarder asks for names.
    fn on_questions(&mut self, at: usize) {
        let Some(seated) = self.seated.get_mut(at) else { return };
        let Some(questions) = &seated.questions else { return };
        for _ in 0..TURN {
            let mut name = [0; 256];
            let answered = match sys::receive(questions.as_fd(), &mut name) {
                Err(Errno(libc::EAGAIN)) => return,
                Ok((length @ 1.., _)) => {
                    let name = name.get(..length).and_then(|name| std::str::from_utf8(name).ok());
                    let known =
                        name.filter(|name| name.len() <= 2 * LONGEST_NAME).and_then(|name| self.members.known(name));
                    sys::send_now(questions.as_fd(), &message::encode(&known))
                }
                _ => Err(Errno(libc::EPIPE)),
            };
            if answered.is_err() {
                seated.questions = None;
                return;
            }
        }
    }

    /// The helper has ended, and the network with it: tells everybody.
    fn tell_end(&self) {
        let how = match self.held.helper.as_ref().map(|helper| sys::wait_end(helper.as_fd())) {
            Some(Ok(Waited::Exited(status))) => format!("exit status: {status}"),
            Some(Ok(Waited::Signaled(signal))) => format!("signal: {signal}"),
            _ => "it is not known how".to_owned(),
        };
        for seated in &self.seated {
            let _ = tell(seated.launcher.as_fd(), &Answer::Ended(how.clone()), None);
        }
    }
}

/// Sends an answer, without waiting.
fn tell(to: BorrowedFd<'_>, answer: &Answer, with: Option<BorrowedFd<'_>>) -> sys::Result<()> {
    let text = serde_json::to_vec(answer).unwrap_or_default();
    match with {
        Some(with) => sys::pass_now(to, &text, with),
        None => sys::send_now(to, &text),
    }
}
