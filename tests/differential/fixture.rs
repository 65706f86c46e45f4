//! The host's side: a tree with a file of each kind, made anew where a run has changed it.

use super::grammar::Neighbour;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

/// A directory with the probe, the tree and a place for data that is handed over as files.
pub struct Fixture {
    dir: tempfile::TempDir,
    fresh: Vec<String>,
    /// Another sandbox, which ends when its input does.
    neighbour: std::process::Child,
    namespaces: [fs::File; 3],
}

impl Fixture {
    /// Makes a fixture, with the other sandbox made by `program`.
    pub fn new(program: &Path) -> Fixture {
        let dir = tempfile::Builder::new().prefix("sbx-diff").tempdir().unwrap();
        fs::copy(std::env::current_exe().unwrap(), dir.path().join("probe")).unwrap();
        fs::set_permissions(dir.path().join("probe"), fs::Permissions::from_mode(0o755)).unwrap();
        let (neighbour, namespaces) = neighbour(program);
        let mut fixture = Fixture { dir, fresh: Vec::new(), neighbour, namespaces };
        build(&fixture.tree());
        fixture.fresh = fixture.look();
        fixture
    }

    pub fn namespace(&self, which: Neighbour) -> &fs::File {
        &self.namespaces[which as usize]
    }

    /// The path that `%` stands for in texts of a list.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The path that `@` stands for in texts of a list.
    pub fn tree(&self) -> PathBuf {
        self.dir.path().join("host")
    }

    /// Replaces `%` and `@` in a text of a list by the paths of this fixture.
    pub fn fill(&self, text: &str) -> String {
        text.replace('@', self.tree().to_str().unwrap()).replace('%', self.dir().to_str().unwrap())
    }

    /// What a run has changed in the tree, which is restored.
    pub fn changes(&self) -> Vec<String> {
        let now = self.look();
        if now == self.fresh {
            return Vec::new();
        }
        remove(&self.tree());
        build(&self.tree());
        let gone = self.fresh.iter().filter(|line| !now.contains(line)).map(|line| format!("- {line}"));
        let new = now.iter().filter(|line| !self.fresh.contains(line)).map(|line| format!("+ {line}"));
        gone.chain(new).collect()
    }

    fn look(&self) -> Vec<String> {
        let mut lines = Vec::new();
        look(&self.tree(), Path::new("@"), &mut lines);
        lines
    }
}

impl Drop for Fixture {
    /// Gives directories their permissions back, or the temporary directory could not be removed.
    fn drop(&mut self) {
        remove(&self.tree());
        drop(self.neighbour.stdin.take());
        let _ = self.neighbour.wait();
    }
}

/// Starts a sandbox with two user namespaces, one in the other, as bubblewrap's has that needs a devpts.
fn neighbour(program: &Path) -> (Child, [fs::File; 3]) {
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "exec \"$0\" \"$@\" 3>&1"]).arg(program);
    command.args([
        "--unshare-user",
        "--unshare-pid",
        "--ro-bind",
        "/",
        "/",
        "--dev",
        "/dev",
        "--json-status-fd",
        "3",
        "cat",
    ]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // The answer says that it is set up.
    child.stdin.as_mut().unwrap().write_all(b"ready\n").unwrap();
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let status = lines.next().unwrap().unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    let pid: String = status.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    let open = |name: &str| fs::File::open(format!("/proc/{pid}/ns/{name}")).unwrap();
    let user = open("user");
    // SAFETY: the call gives a new descriptor or -1.
    let outer = unsafe {
        let parent = libc::ioctl(user.as_raw_fd(), libc::NS_GET_PARENT);
        assert!(parent >= 0, "{}", std::io::Error::last_os_error());
        fs::File::from_raw_fd(parent)
    };
    (child, [outer, user, open("pid")])
}

fn build(tree: &Path) {
    let dir = |path: &str, mode| {
        let path = tree.join(path);
        fs::DirBuilder::new().mode(0o700).create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let file = |path: &str, mode, text: &str| {
        let path = tree.join(path);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let link = |target: &str, path: &str| symlink(target, tree.join(path)).unwrap();
    dir("", 0o755);
    // A root: the places where something is usually mounted are there, as a read-only root has to have them.
    for name in ["root", "root/a", "root/b", "root/b/c", "root/c", "root/proc", "root/dev", "root/tmp", "root/usr"] {
        dir(name, 0o755);
    }
    file("root/probe", 0o444, "");
    file("root/d", 0o644, "d");
    link("a", "root/l-a");
    dir("dir", 0o755);
    dir("dir/sub", 0o750);
    dir("dir/sub/deep", 0o711);
    file("dir/f", 0o644, "one");
    file("dir/sub/g", 0o4755, "two");
    file("dir/locked", 0o000, "three");
    link("sub", "dir/l-sub");
    link("nowhere", "dir/l-broken");
    link("/a", "dir/l-absolute");
    file("file", 0o644, "a file");
    file("file.ro", 0o444, "read only");
    file("file.x", 0o755, "#!/nope\n");
    file("file.none", 0o000, "");
    file("lock", 0o666, "");
    dir("empty", 0o700);
    dir("sticky", 0o1777);
    dir("sp ace", 0o755);
    file("sp ace/in it", 0o600, "");
    dir("odd", 0o755);
    link("../file", "odd/l-file");
    link("../dir", "odd/l-dir");
    link("nope", "odd/l-broken");
    link("l-loop", "odd/l-loop");
    drop(std::os::unix::net::UnixListener::bind(tree.join("odd/sock")).unwrap());
    let fifo = std::ffi::CString::new(tree.join("odd/fifo").into_os_string().into_encoded_bytes()).unwrap();
    // SAFETY: a C string.
    assert_eq!(unsafe { libc::mkfifo(fifo.as_ptr(), 0o644) }, 0);
    dir("closed", 0o000);
}

fn look(path: &Path, shown: &Path, lines: &mut Vec<String>) {
    let meta = fs::symlink_metadata(path).unwrap();
    let kind = meta.file_type();
    let mut line = format!("{} {:06o}", shown.display(), meta.mode());
    // A list may have taken the owner's rights away.
    let needed = if kind.is_dir() { 0o700 } else { 0o400 };
    let closed = (kind.is_dir() || kind.is_file()) && meta.mode() & needed != needed;
    if closed {
        fs::set_permissions(path, fs::Permissions::from_mode(needed)).unwrap();
    }
    let mut names = Vec::new();
    if kind.is_symlink() {
        line += &format!(" -> {}", fs::read_link(path).unwrap().display());
    } else if kind.is_file() {
        let bytes = if meta.len() > 4096 { Vec::new() } else { fs::read(path).unwrap() };
        line += &format!(" {} {:?}", meta.len(), String::from_utf8_lossy(&bytes));
    } else if kind.is_dir() {
        names = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
    }
    lines.push(line);
    for name in names {
        look(&path.join(&name), &shown.join(&name), lines);
    }
    if closed {
        fs::set_permissions(path, meta.permissions()).unwrap();
    }
}

/// Removes a tree whose directories may have no rights.
fn remove(path: &Path) {
    let Ok(meta) = fs::symlink_metadata(path) else { return };
    if meta.is_dir() {
        let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o700));
        for entry in fs::read_dir(path).unwrap() {
            remove(&entry.unwrap().path());
        }
        fs::remove_dir(path).unwrap();
    } else {
        fs::remove_file(path).unwrap();
    }
}
