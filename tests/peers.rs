//! Faults that other union filesystems had: a script does what showed them, in overlays by each mechanism and in a plain directory, with the
//! same results. What else they had is in `faults`, `view`, `model` and `uppers`. `SBX_ROUNDS` says how often the database is written
//! to, and the number of files grows with it.

mod common;

use common::{Place, Ran, fuse, ran, sbx, tick, tools, userns};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// What the lower layer has.
const SETUP: &str = "mkdir -p dir/deep full/sub zombie/a/b mass; echo one > file; echo inner > dir/inner; echo leaf > dir/deep/leaf; ln file dir/same
    for i in $(seq 40); do echo $i > full/$i; echo $i > mass/$i; done; echo x > full/sub/x; echo y > zombie/a/b/y; echo target > target; ln -s target link
    chmod 444 target; head -c 5000000 /dev/zero | tr '\\0' z > large
    python3 -c 'import sqlite3; c = sqlite3.connect(\"data.db\"); c.execute(\"PRAGMA journal_mode=WAL\"); c.execute(\"CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)\"); c.executemany(\"INSERT INTO t(b) VALUES(?)\", [(\"x\" * 100,)] * ROWS); c.commit(); c.close()'";

/// Each check is a line: its name, and what was found.
const FIRST: &str = r#"
import errno, fcntl, hashlib, mmap, os, shutil, sqlite3, struct, subprocess, sys
def check(name):
    def run(f):
        try: found = f()
        except OSError as e: found = errno.errorcode[e.errno]
        except Exception as e: found = repr(e)
        print(name + ':', found)
    return run
def sha(path): return hashlib.sha256(open(path, 'rb').read()).hexdigest()[:16]
def write(path, text, mode='w'):
    with open(path, mode) as f: f.write(text)

@check('database: mapped, by two processes at once, in one that lies below')
def _():
    script = "import sqlite3\nfor i in range(ROUNDS):\n c = sqlite3.connect('data.db', timeout=60); c.execute('PRAGMA mmap_size=268435456'); c.execute('BEGIN IMMEDIATE'); c.execute('UPDATE t SET b = b || ? WHERE a % 7 = ?', ('y' * 50, i % 7)); c.execute('INSERT INTO t(b) VALUES(?)', ('z' * 3000,)); c.commit(); c.close()"
    both = [subprocess.Popen([sys.executable, '-c', script]) for _ in range(2)]
    ended = [one.wait() for one in both]
    c = sqlite3.connect('data.db')
    return ended, c.execute('PRAGMA integrity_check').fetchall(), c.execute('SELECT count(*) FROM t').fetchall()

@check('a byte in the middle of a large file: the rest stays')
def _():
    f = os.open('large', os.O_RDWR); os.pwrite(f, b'!', 2500000); os.close(f)
    m = mmap.mmap(os.open('large', os.O_RDWR), 0); m[4000000:4000001] = b'?'; m.flush()
    return sha('large'), os.stat('large').st_size

@check('a write is seen through a hard link made inside')
def _():
    write('made', 'a'); os.link('made', 'dir/made'); write('made', 'b', 'a')
    return open('dir/made').read(), os.stat('made').st_nlink, os.path.samefile('made', 'dir/made')

@check('a write is seen through a hard link of the lower layer')
def _():
    write('file', 'two\n', 'a')
    return open('dir/same').read(), os.stat('file').st_nlink, os.stat('dir/same').st_nlink

@check('numbers of names while they come and go')
def _():
    write('n1', ''); seen = [os.stat('n1').st_nlink]
    os.link('n1', 'n2'); os.link('n1', 'n3'); seen.append(os.stat('n2').st_nlink)
    os.unlink('n1'); seen.append(os.stat('n3').st_nlink); os.rename('n3', 'n4'); os.unlink('n2'); seen.append(os.stat('n4').st_nlink)
    f = os.open('n4', os.O_RDONLY); os.unlink('n4'); seen.append(os.fstat(f).st_nlink)
    return seen

@check('a directory that was removed and made again is empty, and what is removed in it stays so')
def _():
    shutil.rmtree('dir/deep'); os.mkdir('dir/deep'); seen = [os.listdir('dir/deep')]
    write('dir/deep/leaf', 'new'); os.unlink('dir/deep/leaf'); seen.append(os.listdir('dir/deep')); write('dir/deep/other', 'x')
    return seen, os.listdir('dir/deep'), os.path.exists('dir/deep/leaf')

@check('a directory with removed names in it is removed')
def _():
    for i in range(1, 41): os.unlink('full/%d' % i)
    seen = sorted(os.listdir('full')); shutil.rmtree('full/sub'); os.rmdir('full')
    return seen, os.path.exists('full')

@check('a directory that was removed is gone, whatever lay in it, and can be made as a file')
def _():
    shutil.rmtree('zombie'); seen = [os.path.lexists('zombie'), os.path.lexists('zombie/a/b/y')]
    write('zombie', 'file'); seen.append(open('zombie').read()); os.unlink('zombie'); os.mkdir('zombie')
    return seen, os.listdir('zombie')

@check('names are listed while they are removed')
def _():
    gone = 0
    with os.scandir('mass') as names:
        for name in names: os.unlink(name.path); gone += 1
    os.rmdir('mass')
    return gone

@check('each file has a number of its own, which lists have, too, and which stays')
def _():
    seen, wrong = {}, []
    for at, dirs, files in os.walk('.'):
        for entry in os.scandir(at):
            s = entry.stat(follow_symlinks=False)
            if s.st_nlink == 1 or entry.is_dir(): seen.setdefault((s.st_dev, s.st_ino), []).append(entry.path)
            if entry.inode() != s.st_ino: wrong.append(entry.path)
    before = os.stat('link'), os.stat('dir/inner'); write('dir/inner', 'more', 'a'); os.rename('dir/inner', 'dir/renamed')
    return [paths for paths in seen.values() if len(paths) > 1], wrong, before[1].st_ino == os.stat('dir/renamed').st_ino

@check('a file that is made read-only can be written to by who made it')
def _():
    f = os.open('readonly', os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o444); os.write(f, b'text'); os.close(f)
    return open('readonly').read(), oct(os.stat('readonly').st_mode)

@check('a link to a file is changed through, and stays a link')
def _():
    os.chmod('link', 0o644); write('link', 'more\n', 'a')
    return os.readlink('link'), open('target').read(), oct(os.stat('target').st_mode)

@check('flags of files are asked for, without an error of reading')
def _():
    try: fcntl.ioctl(os.open('target', os.O_RDONLY), 0x80086601, struct.pack('l', 0))
    except OSError as e: return e.errno in (errno.EIO, errno.EINVAL, errno.EPERM)
    return False

@check('times far in the future and before 1970')
def _():
    os.utime('target', ns=(2 ** 33 * 10 ** 9, -10 ** 9)); s = os.stat('target')
    return s.st_atime_ns, s.st_mtime_ns

@check('a name that exists cannot be made, and one that was removed can')
def _():
    try: os.open('target', os.O_CREAT | os.O_EXCL | os.O_WRONLY); found = 'made'
    except FileExistsError: found = 'exists'
    os.unlink('target'); os.close(os.open('target', os.O_CREAT | os.O_EXCL | os.O_WRONLY)); os.rename('target', 'file')
    return found, os.stat('file').st_size, os.path.exists('target')
"#;

/// After the layer was entered again.
const SECOND: &str = r#"
import os
for at, dirs, files in sorted(os.walk('.')):
    for name in sorted(dirs + files):
        path = os.path.join(at, name); s = os.lstat(path)
        if name != "mounted" and not name.startswith("data.db"): print(path + ':', oct(s.st_mode), s.st_size if not os.path.isdir(path) else '', open(path, 'rb').read(40) if os.path.isfile(path) else '')
"#;

/// Runs sbx: where something is mounted at `mounted`, if the overlay is to lie over the view server.
fn run(place: &Place, hybrid: bool, args: &[&str]) -> Ran {
    let mount = if hybrid { "mount -t tmpfs none lower/mounted; " } else { "" };
    let script = format!("{mount}exec setpriv --ambient-caps=-all --inh-caps=-all --bounding-set=-all -- \"$@\"");
    let mut command = Command::new("unshare");
    command.args(["-cm", "--keep-caps", "/bin/sh", "-c", &script, "sh"]).arg(sbx()).args(args);
    command.current_dir(place.work()).env("HOME", place.home()).env("NO_COLOR", "1");
    ran(command.output().unwrap())
}

fn rounds() -> u32 {
    std::env::var("SBX_ROUNDS").map_or(15, |rounds| rounds.parse().unwrap())
}

fn lines(out: &str) -> BTreeMap<String, String> {
    let pair = |line: &str| line.split_once(": ").map(|(name, found)| (name.to_owned(), found.to_owned()));
    out.lines().filter_map(pair).collect()
}

#[test]
fn what_went_wrong_in_other_unions_is_as_in_a_plain_directory() {
    need!(userns(), fuse(), tools(&["python3", "unshare", "setpriv", "mount"]));
    let rounds = rounds();
    let (setup, first) =
        (SETUP.replace("ROWS", &(rounds * 333).to_string()), FIRST.replace("ROUNDS", &rounds.to_string()));
    for (how, mechanism) in [("kernel", "overlay"), ("hybrid", "overlay"), ("union", "fuse")] {
        let place = Place::new();
        let at = |name: &str| place.work().join(name);
        let on_host = |program: &str, args: &[&str], dir: &Path| {
            let output = Command::new(program).args(args).current_dir(dir).output().unwrap();
            ran(output).ok()
        };
        for dir in ["lower", "plain"] {
            std::fs::create_dir_all(at(dir).join("mounted")).unwrap();
            on_host("/bin/sh", &["-ec", &setup], &at(dir));
        }
        tick();
        let by = format!("filesystem.mechanism=\"{mechanism}\"");
        let keep = [
            "-q",
            "--set",
            &by,
            "--overlay",
            "lower",
            "--upper",
            "keep:one",
            "--cwd",
            "lower",
            "--",
            "/usr/bin/python3",
            "-c",
        ];
        for (part, script) in [("first", first.as_str()), ("entered again", SECOND)] {
            let expected = lines(&on_host("/usr/bin/python3", &["-c", script], &at("plain")));
            let ran = run(&place, how == "hybrid", &[&keep[..], &[script]].concat());
            let found = lines(&ran.out);
            let differ: Vec<_> = expected
                .iter()
                .filter(|(name, value)| {
                    // The kernel's overlay does not keep the names of a file of the lower layer together.
                    let known = how != "union"
                        && (name.contains("hard link of the lower layer") || name.contains("./dir/same"));
                    !known && found.get(*name) != Some(value)
                })
                .map(|(name, value)| (name, value, found.get(name)))
                .collect();
            assert!(
                differ.is_empty() && !expected.is_empty() && expected.len() == found.len(),
                "{how}, {part}: {differ:#?} {}",
                ran.err
            );
        }
    }
}

#[test]
fn a_server_keeps_few_descriptors_whatever_a_program_opens_and_removes() {
    need!(userns(), fuse(), tools(&["python3"]));
    let place = Place::new();
    // More than the server may have open.
    let (made, below) = (rounds() * 200, rounds() * 130);
    for file in 0..below {
        place.write(&format!("work/below/{file}"), "x\n");
    }
    let script = format!(
        "import os
for i in range({made}):
    with open('f%d' % i, 'w') as f: f.write('x')
    if i % 2: os.unlink('f%d' % i)
for i in range({below}):
    with open('below/%d' % i, 'a') as f: f.write('y')
    os.rename('below/%d' % i, 'below/r%d' % i)
print('done', len(os.listdir('.')), len(os.listdir('below')))"
    );
    // Its descriptors are limited by the caller's.
    let script = format!("ulimit -n 256; exec \"$@\" <<'E'\n{script}\nE");
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &script, "sh"]).arg(sbx()).args([
        "-q",
        "--set",
        "filesystem.mechanism=\"fuse\"",
        "--overlay",
        ".",
    ]);
    command.args(["--", "/usr/bin/python3", "-"]).current_dir(place.work()).env("HOME", place.home());
    assert_eq!(ran(command.output().unwrap()).ok(), format!("done {} {below}\n", made / 2 + 1));
}
