//! The process of the forwarder of names: waits for all of its sockets, and gives each what has come to it.

use super::ask::{Asked, Became, LONGEST, Told, Wanted, Why};
use super::client::{Client, From};
use super::confine;
use super::message::{self, Answer, Came, Query, Sent};
use super::notes::reason;
use super::refused::{Held, RefusedNames};
use super::rules::{Decision, Rules};
use super::through::Through;
use super::upstream::Upstream;
use crate::proxy::network::message::{Known, LONGEST_KNOWN, decode};
use crate::sys::{self, Errno, Poll, PollSet};
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Instant;

/// Questions that are asked at a time. For further ones, the oldest is given up.
const MOST_QUESTIONS: usize = 64;

/// Connections of programs at a time. Further ones wait.
const MOST_CLIENTS: usize = 32;

/// Questions that are taken from a socket before others get their turn.
const TURN: usize = 32;

/// Milliseconds without a question after which the process is at rest.
const QUIET: i32 = 1000;

/// Bytes that are read at once: the longest message.
const BUFFER: usize = 16 * 1024;

/// A question that is not answered.
struct Pending {
    from: From,
    query: Query,
    /// The lists that the name belongs to.
    lists: Vec<u16>,
    /// The number of the question to the name server.
    id: u16,
    upstream: Upstream,
}

/// The forwarder.
pub(super) struct Server {
    /// The writing end of the launcher's pipe: each byte is the reason for a note. It has no reader any more once the launcher has ended.
    launcher: OwnedFd,
    /// The socket by which the packet filter is asked.
    filter: OwnedFd,
    udp: UdpSocket,
    tcp: TcpListener,
    rules: Rules,
    through: Through,
    pending: Vec<Pending>,
    clients: Vec<Client>,
    /// The socket by which the names of others in a network are asked for; none if there is none, or who answers has ended.
    peers: Option<OwnedFd>,
    /// The same of networks that the sandbox was connected to while it ran, each with its number.
    connected: Vec<(u32, OwnedFd)>,
    /// How many connections of programs and questions there were.
    counted: u64,
    random: RandomState,
    /// Names that are refused, if the launcher tells somebody of them.
    refused: Option<RefusedNames>,
    /// What the launcher has said while something else was waited for.
    said: Vec<Told>,
}

impl Server {
    pub(super) fn new(
        launcher: OwnedFd,
        filter: OwnedFd,
        udp: UdpSocket,
        tcp: TcpListener,
        rules: Rules,
        peers: Option<OwnedFd>,
    ) -> Server {
        let (pending, clients) = (Vec::new(), Vec::new());
        let (random, said) = (RandomState::new(), Vec::new());
        let through = Through::default();
        Server {
            launcher,
            filter,
            udp,
            tcp,
            rules,
            through,
            pending,
            clients,
            peers,
            connected: Vec::new(),
            counted: 0,
            random,
            refused: None,
            said,
        }
    }

    /// Answers until the launcher has ended.
    ///
    /// # Errors
    ///
    /// The process cannot be confined, or cannot wait any more.
    pub(super) fn run(mut self) -> sys::Result<()> {
        self.udp.set_nonblocking(true)?;
        self.tcp.set_nonblocking(true)?;
        sys::set_nonblocking(self.launcher.as_fd(), true)?;
        let own = [self.launcher.as_raw_fd(), self.filter.as_raw_fd(), self.udp.as_raw_fd(), self.tcp.as_raw_fd()];
        let keep: Vec<_> = own.into_iter().chain(self.peers.as_ref().map(AsRawFd::as_raw_fd)).collect();
        confine::confine(&keep)?;
        // The launcher waits for this byte, which is the reason for no note.
        sys::write_all(self.launcher.as_fd(), b"r")?;
        let mut buffer = vec![0; BUFFER];
        let mut set = PollSet::default();
        loop {
            set.clear();
            set.add(Poll::end(self.launcher.as_raw_fd()));
            set.add(Poll::read(self.filter.as_raw_fd()));
            set.add(Poll::read(self.udp.as_raw_fd()));
            set.add(Poll::read(if self.clients.len() < MOST_CLIENTS { self.tcp.as_raw_fd() } else { -1 }));
            self.pending.iter().for_each(|pending| set.add(pending.upstream.wants()));
            self.clients.iter().for_each(|client| set.add(client.wants()));
            match self.patience() {
                // Nobody waits for anything. The program's code is let go once there has been nothing for some time.
                None => {
                    set.wait(Some(QUIET))?;
                    if !set.is_any_ready() {
                        set.wait_at_rest(None)?;
                    }
                }
                patience => set.wait(patience)?,
            }
            if set.is_ready(0) || (set.is_ready(1) && self.listen().is_none()) {
                return Ok(());
            }
            // As many as there were while it waited.
            let questions = self.pending.len();
            let now = Instant::now();
            let clients: Vec<u64> = self.clients.iter().map(|client| client.number).collect();
            // Before anything that is asked: what the launcher has said was said before.
            self.heed();
            for (at, number) in clients.into_iter().enumerate() {
                if set.is_ready(4 + questions + at) {
                    self.on_client(number);
                }
            }
            // From the last one on: those that are done are taken out.
            for at in (0..questions).rev() {
                self.on_server(at, set.is_ready(4 + at), now, &mut buffer);
            }
            if set.is_ready(2) {
                self.on_datagrams(&mut buffer);
            }
            if set.is_ready(3) {
                self.on_connection();
            }
            self.clients.retain(|client| client.until().is_none_or(|until| until > now));
            self.on_refused(now);
        }
    }

    /// Takes a message of the launcher; none if it has ended.
    fn listen(&mut self) -> Option<()> {
        let mut message = [0; LONGEST];
        match sys::receive(self.filter.as_fd(), &mut message) {
            Ok((length @ 1.., socket)) => {
                match message.get(..length).and_then(Told::decode) {
                    // Whoever is told that it is in a network asks for names there at once.
                    Some(Told::Connected(number)) => self.connected.extend(socket.map(|socket| (number, socket))),
                    Some(Told::Disconnected(number)) => self.connected.retain(|(other, _)| *other != number),
                    told => self.said.extend(told),
                }
                Some(())
            }
            _ => None,
        }
    }

    /// Takes in what the launcher has allowed before now: who asks may know of it already.
    fn learn(&mut self) {
        let mut set = [Poll::read(self.filter.as_raw_fd())];
        while sys::poll(&mut set, Some(0)).is_ok() && set.iter().any(|poll| poll.ready) && self.listen().is_some() {}
        let allows = |told: &mut Told| matches!(told, Told::Allow(_) | Told::AllowAll);
        let allowed: Vec<_> = self.said.extract_if(.., allows).collect();
        allowed.into_iter().for_each(|told| self.allow(told));
    }

    /// Has names be answered.
    fn allow(&mut self, told: Told) {
        match told {
            Told::Allow(names) => {
                for (list, name) in names {
                    if let Ok(name) = name.parse() {
                        self.rules.allow(list, name);
                    }
                }
            }
            Told::AllowAll => self.rules.allow_others(),
            _ => {}
        }
    }

    /// Does what the launcher has said.
    fn heed(&mut self) {
        for told in std::mem::take(&mut self.said) {
            match told {
                Told::Tell => self.refused = Some(RefusedNames::new()),
                Told::Decided(number) => {
                    let held = self.refused.as_mut().and_then(|refused| refused.decided(number));
                    if let Some(held) = held {
                        self.decided(held);
                    }
                }
                Told::Waits(number) => {
                    let held = self.refused.as_mut().and_then(|refused| refused.waits(number));
                    if let Some(held) = held {
                        self.answer(held.from, &held.query.refused());
                    }
                }
                Told::Allow(_) | Told::AllowAll => self.allow(told),
                // Nobody waits for it any more; and these are done when they come.
                Told::Became(_) | Told::Connected(_) | Told::Disconnected(_) => {}
            }
        }
    }

    /// Answers a question whose name was refused. The user may have allowed the name.
    fn decided(&mut self, Held { from, query, why, .. }: Held) {
        match self.rules.decide(&query.name) {
            Decision::Answered(lists) if why == Why::Unknown => self.ask_servers(from, query, lists),
            _ => self.answer(from, &query.refused()),
        }
    }

    /// Answers those who have waited for the launcher for too long, and tells that how many were only counted.
    fn on_refused(&mut self, now: Instant) {
        let Some(refused) = &mut self.refused else { return };
        refused.count(self.filter.as_fd(), now);
        for held in refused.late(now) {
            self.answer(held.from, &held.query.refused());
        }
    }

    /// Answers that there is no such name, once the launcher knows of it.
    fn refuse(&mut self, from: From, query: Query, why: Why) {
        let asker = match from {
            From::Udp(address) => Some(address),
            From::Tcp(number) => self.clients.iter().find(|client| client.number == number).map(|client| client.from),
        };
        let query = match (&mut self.refused, asker) {
            (Some(refused), Some(asker)) => refused.tell(self.filter.as_fd(), (from, asker), query, why),
            _ => Some(query),
        };
        if let Some(query) = query {
            self.answer(from, &query.refused());
        }
    }

    /// Milliseconds until somebody has taken too long.
    fn patience(&self) -> Option<i32> {
        let servers = self.pending.iter().map(|pending| pending.upstream.until);
        let refused = self.refused.as_ref().and_then(RefusedNames::until);
        let next = servers.chain(self.clients.iter().filter_map(Client::until)).chain(refused).min()?;
        let left = next.saturating_duration_since(Instant::now()).as_millis() + 1;
        Some(i32::try_from(left).unwrap_or(i32::MAX))
    }

    /// Tells the launcher the reason for a note. Should the pipe be full, the note is lost and nothing else.
    fn tell(&self, reason: u8) {
        let _ = sys::write_all(self.launcher.as_fd(), &[reason]);
    }

    fn on_datagrams(&mut self, buffer: &mut [u8]) {
        for _ in 0..TURN {
            let Ok((length, from)) = self.udp.recv_from(buffer) else { return };
            let bytes = buffer.get(..length).unwrap_or_default().to_vec();
            self.on_question(From::Udp(from), &bytes);
        }
    }

    fn on_connection(&mut self) {
        while self.clients.len() < MOST_CLIENTS {
            let Ok((stream, from)) = self.tcp.accept() else { return };
            self.counted += 1;
            self.clients.extend(Client::new(stream, self.counted, from));
        }
    }

    fn on_client(&mut self, number: u64) {
        let Some(client) = self.clients.iter_mut().find(|client| client.number == number) else { return };
        match client.go_on() {
            Ok(Some(question)) => self.on_question(From::Tcp(number), &question),
            Ok(None) => {}
            Err(_) => self.clients.retain(|client| client.number != number),
        }
    }

    /// Somebody has asked.
    fn on_question(&mut self, from: From, bytes: &[u8]) {
        let query = match message::read(bytes) {
            Came::Query(query) => *query,
            Came::Wrong(answer) => return self.answer(from, &answer),
            Came::Nothing => return self.answer(from, &[]),
        };
        self.learn();
        // A name below the network's that nobody in it has may be another one: `dev` and `app` are top-level domains.
        if let Some(addresses) = self.of_peers(&query.name).filter(|addresses| !addresses.is_empty()) {
            return self.answer(from, &query.told(&addresses, matches!(from, From::Udp(_))));
        }
        let lists = match self.rules.decide(&query.name) {
            Decision::Answered(lists) => lists,
            Decision::Refused => {
                let why = if self.rules.denies(&query.name) { Why::Denied } else { Why::Unknown };
                return self.refuse(from, query, why);
            }
        };
        self.ask_servers(from, query, lists);
    }

    /// Asks name servers, for a name that these lists have.
    fn ask_servers(&mut self, from: From, query: Query, lists: Vec<u16>) {
        self.counted += 1;
        let id = self.random.hash_one(self.counted) as u16;
        match Upstream::new(query.question(id), &self.rules.servers) {
            Some(upstream) => {
                if self.pending.len() >= MOST_QUESTIONS {
                    self.tell(reason::FULL);
                    let Pending { from, query, .. } = self.pending.remove(0);
                    self.answer(from, &query.failed());
                }
                self.pending.push(Pending { from, query, lists, id, upstream });
            }
            None => {
                self.tell(reason::NO_SERVER);
                self.answer(from, &query.failed());
            }
        }
    }

    /// The addresses of others in the networks that have a name, in the order of these; none if it is not for a network to tell. Who answers
    /// does that at once, or has ended.
    fn of_peers(&mut self, name: &str) -> Option<Vec<IpAddr>> {
        if name.is_empty() || self.rules.denies(name) {
            return None;
        }
        let mut known: Known = None;
        if let Some(peers) = &self.peers {
            match told_by(peers, name) {
                Ok(told) => known = told,
                Err(_) => self.peers = None,
            }
        }
        self.connected.retain(|(_, peers)| match told_by(peers, name) {
            Ok(told) => {
                if let Some(told) = told {
                    known.get_or_insert_default().extend(told);
                }
                true
            }
            Err(_) => false,
        });
        known
    }

    /// Sends an answer; none closes a connection.
    fn answer(&mut self, from: From, bytes: &[u8]) {
        match from {
            From::Udp(address) if !bytes.is_empty() => {
                let _ = self.udp.send_to(bytes, address);
            }
            From::Udp(_) => {}
            From::Tcp(number) => {
                let client = self.clients.iter_mut().find(|client| client.number == number);
                let answered = client.filter(|_| !bytes.is_empty()).map(|client| client.answer(bytes));
                match answered {
                    Some(Ok(Some(next))) => self.on_question(from, &next),
                    Some(Ok(None)) => {}
                    _ => self.clients.retain(|client| client.number != number),
                }
            }
        }
    }

    /// A name server has answered, or takes too long.
    fn on_server(&mut self, at: usize, ready: bool, now: Instant, buffer: &mut [u8]) {
        let Some(pending) = self.pending.get_mut(at) else { return };
        let servers = &self.rules.servers;
        let received = if ready { pending.upstream.receive(buffer) } else { Ok(None) };
        let asks_on = match received {
            Ok(None) if pending.upstream.until > now => return,
            Ok(None) | Err(_) => pending.upstream.next(servers),
            Ok(Some(length)) => {
                let bytes = buffer.get(..length).unwrap_or_default();
                match pending.query.read_answer(bytes, pending.id, &self.rules) {
                    // Somebody else has sent it.
                    Sent::Other => return,
                    Sent::Truncated if pending.upstream.by_tcp(servers) => true,
                    Sent::Truncated | Sent::Failed => pending.upstream.next(servers),
                    Sent::Denied => {
                        let Pending { from, query, .. } = self.pending.remove(at);
                        return self.refuse(from, query, Why::Denied);
                    }
                    Sent::Answer(answer) => {
                        let Pending { from, query, lists, .. } = self.pending.remove(at);
                        return match self.passed(&query, &lists, &answer, matches!(from, From::Udp(_))) {
                            Some(bytes) => self.answer(from, &bytes),
                            None => self.refuse(from, query, Why::Elsewhere),
                        };
                    }
                }
            }
        };
        if !asks_on {
            let Pending { from, query, .. } = self.pending.remove(at);
            self.tell(reason::NO_ANSWER);
            self.answer(from, &query.failed());
        }
    }

    /// The answer for the program, once packets to its addresses are let through; none if it has no address that a name may have.
    fn passed(&mut self, query: &Query, lists: &[u16], answer: &Answer, udp: bool) -> Option<Vec<u8>> {
        let addresses = answer.addresses();
        if addresses.is_empty() {
            return Some(query.answered(answer, &[], udp));
        }
        let wanted = Wanted { lists: lists.to_vec(), addresses: addresses.clone() };
        let now = Instant::now();
        let became = if self.through.has(&wanted, now) {
            Some(vec![Became::Reached; addresses.len()])
        } else {
            let became = self.became(Through::with_spare(&wanted)).filter(|became| became.len() == addresses.len());
            self.through.add(&wanted, became.as_deref().unwrap_or_default(), now);
            became
        };
        let Some(became) = became.filter(|became| !became.contains(&Became::Failed)) else {
            self.tell(reason::FILTER);
            return Some(query.failed());
        };
        let refused: Vec<IpAddr> = addresses
            .iter()
            .zip(&became)
            .filter(|(_, became)| **became == Became::Refused)
            .map(|((address, _), _)| *address)
            .collect();
        if !refused.is_empty() {
            self.tell(reason::ELSEWHERE);
        }
        (refused.len() < addresses.len()).then(|| query.answered(answer, &refused, udp))
    }

    /// What becomes of addresses, as the launcher says; none if it does not.
    fn became(&mut self, wanted: Wanted) -> Option<Vec<Became>> {
        sys::send(self.filter.as_fd(), &Asked::Wanted(wanted).encode(), None).ok()?;
        loop {
            self.listen()?;
            if let Some(Told::Became(_)) = self.said.last() {
                let Some(Told::Became(became)) = self.said.pop() else { return None };
                return Some(became);
            }
        }
    }
}

/// What the process that holds a network tells for a name.
fn told_by(peers: &OwnedFd, name: &str) -> sys::Result<Known> {
    let mut known = [0; LONGEST_KNOWN];
    sys::send(peers.as_fd(), name.as_bytes(), None)?;
    match sys::receive(peers.as_fd(), &mut known)? {
        (0, _) => Err(Errno(libc::EPIPE)),
        (length, _) => Ok(known.get(..length).and_then(decode).unwrap_or_default()),
    }
}
