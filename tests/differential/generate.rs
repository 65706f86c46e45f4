//! Lists that look random and are the same for a seed.
//!
//! What newer releases of bubblewrap do differently on purpose is not generated: a destination that is itself a link, a
//! path through a link with an absolute target or with more `..` than there are directories above it, a link that
//! exists already.

use super::grammar::{Carrier, Case, Command, End, Given, Group, Signals, What, Word, words};
use super::invalid;
use super::places::{Base, Places, covers_root};
use super::random::Random;

/// A list in the making.
pub struct Draft {
    pub random: Random,
    numbers: Vec<i32>,
    pub places: Places,
    /// Groups that have to come after all others about files.
    pub last: Vec<Group>,
    /// Options that 0.8.0 does not have may be used.
    pub newer: bool,
}

const DATA: [&[u8]; 5] = [b"", b"data", b"two\nlines\n", b"\0binary\xff", &[b'x'; 9000]];
/// Generates the list of this number; `newer` with options that 0.8.0 does not have.
pub fn case(seed: u64, index: u64, newer: bool) -> Case {
    let mut random = Random::new(seed, index);
    let mut numbers: Vec<i32> = (20..60).collect();
    for at in (1..numbers.len()).rev() {
        numbers.swap(at, random.below(at + 1));
    }
    let places = Places::new(&mut random);
    Draft { random, numbers, places, last: Vec::new(), newer }.case()
}

impl Draft {
    fn case(mut self) -> Case {
        let mut case = Case {
            groups: Vec::new(),
            extras: Vec::new(),
            command: Command::Nothing,
            cwd: self.random.word(&["/", "/", "@", "@/dir", "@/dir/sub", "%", "/usr"]),
            home: self.random.word(&["/a", "/", "/nope", "@/dir", "/a/b"]),
            umask: *self.random.pick(&[0o22, 0o22, 0o22, 0, 0o77, 0o777]),
            signals: Signals::Plain,
            refused: false,
        };
        if self.random.percent(12) {
            case.signals = *self.random.pick(&[
                Signals::Ignored(&[libc::SIGUSR1, libc::SIGHUP]),
                Signals::Blocked(&[libc::SIGUSR2]),
                Signals::Blocked(&[libc::SIGCHLD, libc::SIGTERM]),
            ]);
        }
        let mut base = self.places.root.clone();
        let mut files = Vec::new();
        for _ in 0..1 + self.random.below(9) {
            files.extend(self.files(case.cwd));
        }
        files.append(&mut self.last);
        let mut flags = self.flags();
        // If the set-up fails with --pidns, bubblewrap waits for ever: these lists have nothing that could fail.
        let careful = flags.iter().any(|group| group.starts_with("--pidns"));
        if careful {
            files.clear();
            flags.retain(|group| !group.starts_with("--chdir"));
        }
        let probe = self.place_probe(&mut base, &mut files);
        self.shuffle(&mut flags);
        base.extend(self.mixed(files, flags));
        case.groups = base;
        let end = match self.random.below(10) {
            0 => End::Signal(*self.random.pick(&[libc::SIGTERM, libc::SIGKILL, libc::SIGUSR1, libc::SIGALRM])),
            1..=3 => End::Exit(*self.random.pick(&[1, 2, 7, 126, 127, 128, 200, 255])),
            _ => End::Exit(0),
        };
        case.command = Command::Probe(probe, self.random.percent(30), end);
        if !careful && self.random.percent(2) {
            case.command = Command::Other(self.random.word(&["/nope", "nope", "", "/", "@/file"]));
        }
        if self.random.percent(30) {
            for _ in 0..1 + self.random.below(3) {
                let what = match self.random.below(3) {
                    0 => What::Path(self.random.word(&["@/dir", "/", "@/file"]).to_owned(), self.random.percent(50)),
                    1 => What::Held,
                    _ => self.data(),
                };
                case.extras.push(self.given(what));
            }
        }
        if !careful && self.random.percent(12) {
            invalid::spoil(&mut self, &mut case);
        }
        if self.random.percent(25) {
            self.hand_over(&mut case.groups);
        }
        case
    }

    /// Binds the probe: after whatever covers the root, before whatever makes it read-only.
    fn place_probe(&mut self, base: &mut Vec<Group>, files: &mut Vec<Group>) -> &'static str {
        let place = if self.places.base == Base::Host { "%/probe" } else { "/probe" };
        let seals = |group: &Group| group.starts_with("--remount-ro");
        let bind = words(&["--ro-bind", "%/probe", place]);
        if let Some(index) = files.iter().rposition(covers_root) {
            files.insert(index + 1, bind);
        } else if self.places.base == Base::Host && self.random.percent(60) {
        } else if self.random.percent(50) || files.iter().any(seals) {
            base.push(bind);
        } else {
            files.push(bind);
        }
        if self.places.base != Base::Host && self.random.percent(4) {
            files.push(words(&["--setenv", "PATH", "/nope:/:/usr/bin"]));
            return "probe";
        }
        place
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            list.swap(at, self.random.below(at + 1));
        }
    }

    /// Both lists in one; each keeps its order.
    fn mixed(&mut self, files: Vec<Group>, flags: Vec<Group>) -> Vec<Group> {
        let mut flags = flags.into_iter().peekable();
        let mut mixed = Vec::new();
        for group in files {
            while flags.peek().is_some() && self.random.percent(50) {
                mixed.extend(flags.next());
            }
            mixed.push(group);
        }
        mixed.extend(flags);
        mixed
    }

    /// Moves a part of the list into a descriptor for `--args`.
    fn hand_over(&mut self, groups: &mut Vec<Group>) {
        if groups.is_empty() {
            return;
        }
        let from = self.random.below(groups.len());
        let to = from + self.random.below(groups.len() - from + 1);
        let mut inner: Vec<Group> = groups.drain(from..to).collect();
        if self.random.percent(5) {
            // What follows a word that is no option is dropped without a word, and so is what follows `--`.
            inner.push(words(&[self.random.word(&["stop", "--", ""]), "--dir", "/not-made", "--nope"]));
        }
        let carrier = self.carrier();
        let given = self.given(What::Args(carrier, inner));
        groups.insert(from, Group(vec![Word::Text("--args".to_owned()), Word::Fd(given)]));
    }

    pub fn given(&mut self, what: What) -> Given {
        let number = self.numbers.pop().unwrap();
        let mut given = Given::new(number, what);
        match self.random.below(60) {
            0 => given.spelled = format!(" {number}"),
            1 => given.spelled = format!("+{number}"),
            2 => given.spelled = format!("0{number}"),
            _ => {}
        }
        given
    }

    pub fn carrier(&mut self) -> Carrier {
        *self.random.pick(&[Carrier::Pipe, Carrier::File, Carrier::FileRest, Carrier::Memfd])
    }

    pub fn data(&mut self) -> What {
        What::Data(self.carrier(), self.random.pick(&DATA).to_vec())
    }

    /// An option with a descriptor.
    pub fn with(&mut self, option: &str, what: What, rest: &[&str]) -> Group {
        let mut group = words(&[option]);
        group.0.push(Word::Fd(self.given(what)));
        group.0.extend(words(rest).0);
        group
    }
}
