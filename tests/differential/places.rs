//! Options that are about files. A rough idea of what is there already keeps most lists from being refused.

use super::generate::Draft;
use super::grammar::{Group, What, Word, words};
use super::random::Random;

/// What the list starts with as its root.
#[derive(Clone, Copy, PartialEq)]
pub enum Base {
    Empty,
    /// The fixture's.
    Tree,
    /// The host's.
    Host,
}

/// What is there.
pub struct Places {
    pub base: Base,
    pub root: Vec<Group>,
    /// Directories in which something can be made.
    open: Vec<String>,
    /// Other directories.
    dirs: Vec<String>,
    files: Vec<String>,
    /// Links with relative targets that are directories.
    ways: Vec<String>,
    mounts: Vec<String>,
    count: usize,
}

const DIRS: [&str; 7] = ["a", "b", "c", "e", "x y", "ü", "back\\slash"];
const FILES: [&str; 6] = ["f", "g", "h", "z z", "ö", "q"];
const PERMS: [&str; 16] = [
    "0", "0400", "0500", "0600", "640", "0700", "750", "0755", "0777", "1777", "2755", "4755", "07777", "0070", "0007",
    " 711",
];

/// What to bind, and whether it is a directory.
const SOURCES: [(&str, bool); 21] = [
    ("@/dir", true),
    ("@/dir", true),
    ("@/dir", true),
    ("@/dir/sub", true),
    ("@/empty", true),
    ("@/sticky", true),
    ("@/closed", true),
    ("@/sp ace", true),
    ("@/odd/l-dir", true),
    ("@", true),
    ("/usr", true),
    ("/etc", true),
    ("/bin", true),
    ("@/file", false),
    ("@/file", false),
    ("@/file.ro", false),
    ("@/file.x", false),
    ("@/file.none", false),
    ("@/odd/l-file", false),
    ("@/odd/sock", false),
    ("/dev/null", false),
];
const RARE_SOURCES: [(&str, bool); 9] = [
    ("/dev", true),
    ("/sys", true),
    ("/proc", true),
    ("@//dir/../dir/sub/.", true),
    ("/etc/passwd", false),
    ("/dev/zero", false),
    ("/dev/full", false),
    ("/dev/urandom", false),
    ("/usr/bin/env", false),
];
/// Sources relative to the fixture's tree.
const RELATIVE_SOURCES: [(&str, bool); 4] =
    [("dir", true), ("dir/../dir/sub", true), ("../host/dir", true), ("./file", false)];
const MISSING: [&str; 3] = ["@/nope", "@/dir/nope/x", "@/odd/l-broken"];

fn texts(from: &[&str]) -> Vec<String> {
    from.iter().map(|text| (*text).to_owned()).collect()
}

impl Places {
    pub fn new(random: &mut Random) -> Places {
        let base = *random.pick(&[Base::Empty, Base::Empty, Base::Empty, Base::Tree, Base::Host]);
        let option = random.word(&["--bind", "--ro-bind", "--dev-bind"]);
        let (root, inside, dirs, file, way) = match base {
            Base::Empty => (Vec::new(), vec![String::new()], Vec::new(), Vec::new(), Vec::new()),
            Base::Tree => (
                vec![words(&[option, "@/root", "/"])],
                texts(&["", "/a", "/b", "/b/c"]),
                texts(&["/c", "/proc", "/dev", "/tmp", "/usr"]),
                texts(&["/d"]),
                texts(&["/l-a"]),
            ),
            Base::Host => (
                vec![words(&[option, "/", "/"])],
                texts(&["@/root", "@/dir", "@/empty", "@/dir/sub"]),
                texts(&["/mnt", "/opt", "/srv", "@", "/usr/share", "/tmp"]),
                texts(&["@/file", "@/root/d", "/etc/hostname"]),
                texts(&["@/dir/l-sub"]),
            ),
        };
        let sealed = base != Base::Empty && option == "--ro-bind";
        let (open, ways) = if sealed { (Vec::new(), Vec::new()) } else { (inside.clone(), way) };
        let mut dirs: Vec<String> = dirs.into_iter().chain(inside).filter(|dir| !dir.is_empty()).collect();
        if dirs.is_empty() {
            dirs.push("/".to_owned());
        }
        Places { base, root, open, dirs, files: file, ways, mounts: Vec::new(), count: 0 }
    }

    /// A directory that should be there.
    pub fn there(&mut self, random: &mut Random) -> String {
        random.pick(&self.dirs).clone()
    }

    /// A place for a directory or for something else.
    fn dest(&mut self, random: &mut Random, dir: bool) -> String {
        let name = random.word(if dir { &DIRS } else { &FILES });
        let there = if dir { &self.dirs } else { &self.files };
        match random.below(200) {
            0 if !self.dirs.is_empty() => random.pick(&self.dirs).clone(),
            1 if !self.files.is_empty() => random.pick(&self.files).clone(),
            2 if dir => "/".to_owned(),
            3..=40 if !there.is_empty() => random.pick(there).clone(),
            41..=56 if !self.ways.is_empty() => format!("{}/{name}", random.pick(&self.ways)),
            57..=120 if self.base == Base::Empty && self.open.iter().any(String::is_empty) => {
                let above = (0..1 + random.below(2)).map(|_| random.word(&DIRS)).collect::<Vec<_>>().join("/");
                format!("/{above}/{name}")
            }
            _ if !self.open.is_empty() => format!("{}/{name}", random.pick(&self.open)),
            _ if !there.is_empty() && random.percent(95) => random.pick(there).clone(),
            _ => format!("/{name}"),
        }
    }

    /// Whether something can be made in the directory that is above this.
    fn writable(&self, dest: &str) -> bool {
        self.open.iter().any(|path| dest.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with('/')))
    }

    /// Remembers a directory, and whether something can be made in it.
    fn dir_made(&mut self, dest: &str, open: bool) {
        if open {
            self.open.push(dest.trim_end_matches('/').to_owned());
        } else {
            let below = |path: &String| path == dest || path.starts_with(&format!("{}/", dest.trim_end_matches('/')));
            self.open.retain(|path| !below(path));
            self.ways.retain(|path| !below(path));
            self.mounts.retain(|path| path == dest || !below(path));
        }
        self.dirs.push(dest.to_owned());
    }

    /// How a directory is written that an option makes or covers.
    fn dir_spelled(&mut self, random: &mut Random, dest: &str, open: bool) -> String {
        let written = spelled(self, random, dest);
        self.dir_made(dest, open);
        written
    }

    /// A link, with a name that no destination has.
    fn link(&mut self, random: &mut Random) -> Group {
        self.count += 1;
        let parent = match random.below(3) {
            0 if self.base == Base::Empty => String::new(),
            _ => random.pick(&self.open).clone(),
        };
        let link = format!("{parent}/l-{}", self.count);
        let below: Vec<String> = self
            .open
            .iter()
            .filter_map(|path| path.strip_prefix(&format!("{parent}/")).map(str::to_owned))
            .filter(|path| !path.is_empty())
            .collect();
        let target = match random.below(8) {
            0 => "/a".to_owned(),
            1 => "/no/where".to_owned(),
            2 => "not-there".to_owned(),
            3 => "../../..".to_owned(),
            4 => "l-1".to_owned(),
            5 => ".".to_owned(),
            _ if below.is_empty() => "./.".to_owned(),
            _ => random.pick(&below).clone(),
        };
        if target.starts_with("./") || target == "." || below.contains(&target) {
            self.ways.push(link.clone());
        }
        words(&["--symlink", &target, &link])
    }
}

/// Sometimes the same place, written otherwise.
fn spelled(places: &Places, random: &mut Random, dest: &str) -> String {
    if dest.starts_with('@') || dest == "/" || random.percent(88) {
        return dest.to_owned();
    }
    let (above, name) = dest.rsplit_once('/').unwrap_or(("", dest));
    // With a slash at its end the last part is made as a parent is, which newer releases do otherwise: it has to be there.
    let all = places.dirs.iter().any(|there| there == dest);
    match random.below(if all { 7 } else { 5 }) {
        // These make a directory that has to be possible.
        0 if places.writable(dest) => format!("{above}/a/../{name}"),
        1 if places.writable(dest) => format!("/a/..{dest}"),
        0..=2 => dest.trim_start_matches('/').to_owned(),
        3 => format!("/{}", dest.replace('/', "//")),
        4 => format!("{above}/./{name}"),
        5 => format!("{dest}/."),
        _ => format!("{dest}/"),
    }
}

impl Draft {
    fn perms(&mut self) -> Group {
        if self.random.percent(40) { words(&["--perms", self.random.word(&PERMS)]) } else { Group(Vec::new()) }
    }

    /// An operation on files; sometimes two that belong together.
    pub fn files(&mut self, cwd: &str) -> Vec<Group> {
        if self.newer && self.random.percent(6) {
            return vec![self.overlay()];
        }
        let (random, places) = (&mut self.random, &mut self.places);
        match random.below(100) {
            0..=31 => vec![self.bind(cwd)],
            32..=35 => {
                let option = random.word(&["--bind-try", "--ro-bind-try", "--dev-bind-try"]);
                vec![words(&[option, random.word(&MISSING), &places.dest(random, true)])]
            }
            36..=39 => {
                let sources = [("@/dir", true), ("@", true), ("/usr", true), ("@/file", false), ("/etc/passwd", false)];
                let (path, dir) = *random.pick(&sources);
                let dest = places.dest(random, dir);
                let dest = if dir { places.dir_spelled(random, &dest, false) } else { spelled(places, random, &dest) };
                let (option, name_only) = (random.word(&["--bind-fd", "--ro-bind-fd"]), random.percent(60));
                vec![self.with(option, What::Path(path.to_owned(), name_only), &[&dest])]
            }
            50..=61 => {
                let dest = places.dest(random, true);
                let dest = if places.writable(&dest) {
                    places.dir_spelled(random, &dest, true)
                } else {
                    spelled(places, random, &dest)
                };
                let mut group = self.perms();
                group.0.extend(words(&["--dir", &dest]).0);
                vec![group]
            }
            62..=74 => vec![self.data_file()],
            75..=80 if !places.open.is_empty() => vec![places.link(random)],
            81..=84 if !places.open.is_empty() => {
                let there =
                    if random.percent(10) { [&places.dirs[..], &places.files].concat() } else { places.open.clone() };
                let dest = random.pick(&there).clone();
                vec![words(&["--chmod", random.word(&PERMS), if dest.is_empty() { "/" } else { &dest }])]
            }
            85..=88 if !places.mounts.is_empty() || random.percent(10) => {
                let dest = match random.below(30) {
                    0 => random.pick(&places.dirs).clone(),
                    1 => "/".to_owned(),
                    _ if places.mounts.is_empty() => "/".to_owned(),
                    _ => random.pick(&places.mounts).clone(),
                };
                let dir = places.dirs.contains(&dest);
                let dest = if dir { places.dir_spelled(random, &dest, false) } else { spelled(places, random, &dest) };
                vec![words(&["--remount-ro", &dest])]
            }
            89..=92 => vec![self.special("--proc", "/proc")],
            93..=95 => vec![self.special("--dev", "/dev")],
            // The kernel refuses the second on top of the first.
            96 if !places.dirs.iter().any(|dir| dir == "/dev/mqueue") => {
                let mut groups = vec![self.special("--mqueue", "/dev/mqueue")];
                groups.extend(self.random.percent(90).then(|| words(&["--unshare-ipc"])));
                groups
            }
            97..=99 => self.odd_file(),
            _ => vec![self.tmpfs()],
        }
    }

    /// A file with content of its own.
    fn data_file(&mut self) -> Group {
        let option = self.random.word(&["--file", "--bind-data", "--ro-bind-data"]);
        let mut dest = self.places.dest(&mut self.random, false);
        if option != "--file" && self.random.percent(90) && self.places.writable(&dest) {
            // bubblewrap binds a file without a name, on which nothing can be mounted: this one is not used again.
            self.places.count += 1;
            dest += &format!("-{}", self.places.count);
        } else if self.places.writable(&dest) || self.random.percent(5) {
            self.places.files.push(dest.clone());
        } else if !self.places.open.is_empty() {
            dest = format!("{}/f", self.random.pick(&self.places.open));
        }
        let dest = spelled(&self.places, &mut self.random, &dest);
        let (mut group, data) = (self.perms(), self.data());
        group.0.extend(self.with(option, data, &[&dest]).0);
        group
    }

    /// Two that use a place that nothing else uses: opening a fifo waits, and a lock needs its file.
    fn odd_file(&mut self) -> Vec<Group> {
        let (random, places) = (&mut self.random, &mut self.places);
        places.count += 1;
        let option = random.word(&["--bind", "--ro-bind", "--dev-bind"]);
        if places.base == Base::Empty && random.percent(40) {
            return vec![words(&[option, "@/odd/fifo", &format!("/fifo-{}", places.count)])];
        }
        let at = match places.base {
            Base::Host => "@/lock",
            Base::Tree => "/d",
            Base::Empty => "/lock",
        };
        // Last, as nothing may cover it.
        self.last = vec![words(&[option, "@/lock", at]), words(&["--lock-file", at])];
        Vec::new()
    }

    fn tmpfs(&mut self) -> Group {
        let dest = self.places.dest(&mut self.random, true);
        self.places.mounts.push(dest.clone());
        let dest = self.places.dir_spelled(&mut self.random, &dest, true);
        let mut group = self.perms();
        if self.random.percent(30) {
            let size = self.random.word(&["1", "4096", "65536", "0x10000", "0200000", "10000000"]);
            let at = if self.random.percent(50) { 0 } else { group.0.len() };
            group.0.splice(at..at, words(&["--size", size]).0);
        }
        group.0.extend(words(&["--tmpfs", &dest]).0);
        group
    }

    /// Directories of the host that are merged. One that is written to on the host is left to bubblewrap's own tests.
    fn overlay(&mut self) -> Group {
        let mut group = Group(Vec::new());
        for _ in 0..1 + self.random.below(3) {
            group.0.extend(
                words(&["--overlay-src", self.random.word(&["@/dir", "@/empty", "@/sp ace", "@/odd/l-dir", "/etc"])]).0,
            );
        }
        let option =
            if group.0.len() > 2 { self.random.word(&["--ro-overlay", "--tmp-overlay"]) } else { "--tmp-overlay" };
        let dest = self.places.dest(&mut self.random, true);
        self.places.mounts.push(dest.clone());
        let dest = self.places.dir_spelled(&mut self.random, &dest, true);
        group.0.extend(words(&[option, &dest]).0);
        group
    }

    fn special(&mut self, option: &str, usual: &str) -> Group {
        let mut dest = self.places.dest(&mut self.random, true);
        if dest == "/" || self.random.percent(70) {
            usual.clone_into(&mut dest);
        }
        words(&[option, &self.places.dir_spelled(&mut self.random, &dest, false)])
    }

    fn bind(&mut self, cwd: &str) -> Group {
        let (random, places) = (&mut self.random, &mut self.places);
        let kind = random.word(&["", "", "ro-", "ro-", "dev-"]);
        let option = format!("--{kind}bind{}", random.word(&["", "", "-try"]));
        let (mut source, dir) = match random.below(100) {
            0..=29 if cwd == "@" => *random.pick(&RELATIVE_SOURCES),
            30..=37 => *random.pick(&RARE_SOURCES),
            _ => *random.pick(&SOURCES),
        };
        // As programs do that show a place where it is.
        let same = random.percent(15)
            && source.starts_with(['/', '@'])
            && !source.contains("/l-")
            && !source.ends_with("/.")
            && source != "/bin"
            && (places.base == Base::Host || places.open.iter().any(String::is_empty));
        let dest = if same { source.to_owned() } else { places.dest(random, dir) };
        if dest == "/" {
            source = "@/root";
        }
        let written = spelled(places, random, &dest);
        places.mounts.push(dest.clone());
        if dir {
            places.dir_made(&dest, false);
            if source.starts_with('@') && source != "@/closed" && kind != "ro-" {
                places.dir_made(&dest, true);
            }
        } else {
            places.files.push(dest.clone());
        }
        if source == "@/dir" {
            places.dirs.push(format!("{dest}/sub"));
            places.files.push(format!("{dest}/f"));
            if kind != "ro-" {
                places.ways.push(format!("{dest}/l-sub"));
            }
        }
        words(&[&option, source, &written])
    }
}

/// Whether a group mounts something over the root.
pub fn covers_root(group: &Group) -> bool {
    !group.starts_with("--remount-ro")
        && !group.starts_with("--chmod")
        && matches!(group.0.last(), Some(Word::Text(text)) if text.trim_matches(['/', '.']).is_empty())
}
