//! Options that are not about files: namespaces, ids, the environment, descriptors.

use super::generate::Draft;
use super::grammar::{Carrier, Group, Neighbour, What, words};

const CAPS: [&str; 8] = [
    "ALL",
    "all",
    "CAP_SYS_ADMIN",
    "cap_net_raw",
    "CAP_DAC_OVERRIDE",
    "CAP_CHOWN",
    "CAP_SETPCAP",
    "CAP_CHECKPOINT_RESTORE",
];

impl Draft {
    /// Everything that is not about files.
    pub fn flags(&mut self) -> Vec<Group> {
        let mut flags: Vec<Group> = Vec::new();
        // Joining a user namespace and making one exclude each other, and it has no other ids.
        let joins = self.random.percent(6);
        let all = !joins && self.random.percent(20);
        if all {
            flags.push(words(&["--unshare-all"]));
        }
        for name in ["ipc", "pid", "net", "uts", "cgroup", "cgroup-try", "user", "user-try"] {
            if (!joins || !name.starts_with("user")) && self.random.percent(if all { 5 } else { 25 }) {
                flags.push(words(&[&format!("--unshare-{name}")]));
            }
        }
        if joins {
            self.joined(&mut flags);
        }
        let has = |flags: &[Group], name: &str| flags.iter().any(|group| group.starts_with(name));
        let pid = all || has(&flags, "--unshare-pid");
        let uts = all || has(&flags, "--unshare-uts");
        if self.random.percent(if all { 30 } else { 5 }) {
            flags.push(words(&["--share-net"]));
        }
        if uts && self.random.percent(50) {
            flags.push(words(&["--hostname", self.random.word(&["box", "a.b.c", ""])]));
        }
        for option in ["--uid", "--gid"] {
            if !joins && self.random.percent(20) {
                flags.push(words(&[option, self.random.word(&["0", "1000", "65534", "12345", " 5", "+7", "010"])]));
            }
        }
        if !joins && self.random.percent(4) {
            flags.push(words(&["--uid", "33", "--uid", "34"]));
        }
        if has(&flags, "--unshare-user") && self.random.percent(25) {
            flags.push(words(&["--disable-userns"]));
            if self.random.percent(50) {
                flags.push(words(&["--assert-userns-disabled"]));
            }
        }
        for (option, percent) in [("--new-session", 15), ("--die-with-parent", 25)] {
            if self.random.percent(percent) {
                flags.push(words(&[option]));
            }
        }
        if pid && !joins && self.random.percent(15) {
            flags.push(words(&["--as-pid-1"]));
        }
        self.environment(&mut flags);
        self.descriptors(&mut flags);
        if self.newer {
            if self.random.percent(10) {
                flags.push(words(&["--argv0", self.random.word(&["-sh", "a b", "", "/elsewhere/probe"])]));
            }
            for option in ["--level-prefix", "--not-a-security-boundary"] {
                if self.random.percent(5) {
                    flags.push(words(&[option]));
                }
            }
        }
        flags
    }

    /// Namespaces of another sandbox.
    fn joined(&mut self, flags: &mut Vec<Group>) {
        let outer = self.random.percent(80);
        let user = if outer { Neighbour::OuterUser } else { Neighbour::User };
        flags.push(self.with("--userns", What::Namespace(user), &[]));
        if outer && self.random.percent(50) {
            flags.push(self.with("--userns2", What::Namespace(Neighbour::User), &[]));
        }
        if outer && self.random.percent(50) {
            flags.push(self.with("--pidns", What::Namespace(Neighbour::Pid), &[]));
        }
    }

    fn environment(&mut self, flags: &mut Vec<Group>) {
        for _ in 0..self.random.below(5) {
            let group = match self.random.below(12) {
                0 => words(&["--clearenv"]),
                1..=2 => words(&["--unsetenv", self.random.word(&["GONE", "NOT_THERE", "PWD", "HOME"])]),
                3 => words(&["--setenv", "HOME", self.random.word(&["/b", "/c", "/nope", ""])]),
                4..=6 => {
                    let name = self.random.word(&["A", "PWD", "LANG", "EMPTY", "ü", "SP ACE"]);
                    words(&["--setenv", name, self.random.word(&["", "1", "a=b", "two\nlines", "/a:/b"])])
                }
                7 if self.random.percent(15) => {
                    words(&["--chdir", self.random.word(&["/a", "a", "/usr", "/proc/self"])])
                }
                7 => words(&["--chdir", &self.places.there(&mut self.random)]),
                8 => words(&["--cap-add", self.random.word(&CAPS)]),
                9 => words(&["--cap-drop", self.random.word(&CAPS)]),
                _ => continue,
            };
            flags.push(group);
        }
    }

    fn descriptors(&mut self, flags: &mut Vec<Group>) {
        for (option, percent, what) in [
            ("--sync-fd", 8, What::Held),
            ("--info-fd", 12, What::Written),
            ("--json-status-fd", 15, What::Written),
            ("--block-fd", 8, What::Data(Carrier::Pipe, vec![b'x'])),
        ] {
            if self.random.percent(percent) {
                flags.push(self.with(option, what, &[]));
            }
        }
        let told = ["--info-fd", "--disable-userns", "--userns"];
        let told = flags.iter().any(|group| told.iter().any(|option| group.starts_with(option)));
        if !told && self.random.percent(4) {
            let mut group = self.with("--info-fd", What::Written, &["--unshare-user"]);
            group.0.extend(self.with("--userns-block-fd", What::Mapped, &[]).0);
            flags.push(group);
        }
        if self.random.percent(12) {
            let once = self.random.percent(40);
            for _ in 0..if once { 1 } else { 1 + self.random.below(3) } {
                let program = self.filter();
                flags.push(self.with(if once { "--seccomp" } else { "--add-seccomp-fd" }, program, &[]));
            }
        }
    }

    /// A filter that allows everything, or all but one call that nothing needs.
    fn filter(&mut self) -> What {
        let instruction =
            |code: u16, jt: u8, jf: u8, k: u32| [&code.to_ne_bytes()[..], &[jt, jf], &k.to_ne_bytes()].concat();
        let allow = instruction(0x06, 0, 0, libc::SECCOMP_RET_ALLOW);
        let mut program = Vec::new();
        if self.random.percent(50) {
            let errno = *self.random.pick(&[libc::EACCES, libc::ENOSYS]) as u32;
            program = [
                instruction(0x20, 0, 0, 0),
                instruction(0x15, 0, 1, libc::SYS_getpriority as u32),
                instruction(0x06, 0, 0, libc::SECCOMP_RET_ERRNO | errno),
            ]
            .concat();
        }
        program.extend(allow);
        What::Data(self.carrier(), program)
    }
}
