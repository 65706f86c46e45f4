//! Helpers of each kind, played by sh(1).

use super::Helper;
use crate::error::Result;
use crate::plan::{
    Argument, Confinement, HelperProgram, HelperSpec, HelperWords, Joined, Loss, Phase, Readiness, Tells,
};
use crate::spec::Origin;
use crate::sys::{self, Poll};
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::time::Duration;

fn script(script: &str, readiness: Readiness, loss: Loss) -> HelperSpec {
    HelperSpec {
        name: "sh",
        provides: "a test",
        setting: "none",
        program: HelperProgram::Host("/bin/sh".into()),
        target: String::new(),
        args: vec![Argument::Text("-c".into()), Argument::Text(script.into()), Argument::Pipe("")],
        descriptors: Vec::new(),
        rules: vec!["a rule".into()],
        phase: Phase::View,
        readiness,
        tells: Tells::Nothing,
        confinement: Confinement::Caller,
        loss,
        words: HelperWords { ready: "it was asked".into(), needs: "nothing", without: "go without" },
        origin: Origin::default(),
    }
}

fn wait(fd: RawFd, patience: Duration) -> Result<bool> {
    let mut set = [Poll::read(fd)];
    sys::poll(&mut set, i32::try_from(patience.as_millis()).ok()).unwrap();
    Ok(set[0].ready)
}

fn started(spec: &HelperSpec) -> Helper<'_> {
    Helper::start(spec, None, sys::pid(), &sys::Mask::default(), &[], &[]).unwrap()
}

const NOTE: Loss = Loss::Note("that is a loss");

#[test]
fn a_byte_or_a_line_says_that_a_helper_is_ready() {
    // In a shell, `$0` is the number of the pipe, and `$1` the first rule.
    let spec = script("[ \"$1\" = 'a rule' ] && printf x > /proc/self/fd/$0; exec sleep 60", Readiness::Byte, NOTE);
    started(&spec).expect_ready(&mut wait).unwrap();
    let spec = script(
        "printf 'port ' > /proc/self/fd/$0; sleep 0.05; echo 53 > /proc/self/fd/$0; exec sleep 60",
        Readiness::Line,
        NOTE,
    );
    started(&spec).expect_ready(&mut wait).unwrap();
}

#[test]
fn a_helper_is_given_the_variables_of_the_user_and_the_session_and_no_others() {
    assert!(std::env::vars_os().any(|(name, _)| name == "PATH"), "the tests have an environment");
    let known = "DBUS_SESSION_BUS_ADDRESS|HOME|LC_ALL|LOGNAME|PATH|USER|XDG_RUNTIME_DIR|PWD|OLDPWD|SHLVL|_";
    let script = format!(
        "[ \"$PATH\" = /usr/bin:/bin:/usr/sbin:/sbin ] || exit 1; \
         for name in $(env | sed 's/=.*//'); do case $name in {known}) ;; *) exit 1;; esac; done; \
         printf x > /proc/self/fd/$0; exec sleep 60"
    );
    started(&self::script(&script, Readiness::Byte, NOTE)).expect_ready(&mut wait).unwrap();
}

#[test]
fn a_file_says_that_a_helper_is_ready() {
    let dir = tempfile::tempdir().unwrap();
    let path: PathBuf = dir.path().join("socket");
    let spec =
        script(&format!("sleep 0.05; : > {}; exec sleep 60", path.display()), Readiness::File(path.clone()), NOTE);
    started(&spec).expect_ready(&mut wait).unwrap();
    assert!(path.exists());
}

#[test]
fn a_helper_without_a_sign_is_ready_when_it_is_started() {
    started(&script("exec sleep 60", Readiness::Started, NOTE)).expect_ready(&mut |_, _| unreachable!()).unwrap();
}

#[test]
fn a_helper_that_ends_or_takes_too_long_is_an_error_with_what_to_do() {
    for readiness in [Readiness::Byte, Readiness::Line, Readiness::File("/nonexistent/socket".into())] {
        let error = started(&script("exit 3", readiness, NOTE)).expect_ready(&mut wait).unwrap_err();
        assert_eq!(error.message, "sh ended before it was asked");
        assert_eq!(error.hints, ["see what it wrote above; nothing"]);
    }
    let error =
        started(&script("exec sleep 60", Readiness::Byte, NOTE)).expect_ready(&mut |_, _| Ok(false)).unwrap_err();
    assert_eq!(error.message, "sh is not ready after 5 s");
    assert_eq!(error.hints, ["see whether /bin/sh works; go without"]);
}

#[test]
fn the_end_of_a_helper_is_described() {
    for (loss, words) in [(NOTE, "that is a loss"), (Loss::End("all is lost"), "all is lost")] {
        let spec = script("read line < /dev/null; exit 3", Readiness::Started, loss);
        let mut helper = started(&spec);
        assert!(wait(helper.fd(), Duration::from_secs(20)).unwrap());
        assert_eq!(helper.exit_description(), Some(format!("/bin/sh ended (exit status: 3): {words}")));
        assert_eq!(helper.spec().loss, loss);
    }
    let spec = script("exec sleep 60", Readiness::Started, NOTE);
    assert_eq!(started(&spec).exit_description(), None);
}

#[test]
fn a_helper_that_is_dropped_is_killed() {
    let spec = script("exec sleep 60", Readiness::Started, NOTE);
    let helper = started(&spec);
    let pidfd = helper.fd();
    let pidfd = sys::dup_above(std::os::fd::AsFd::as_fd(&sys::UnownedFd::new(pidfd)), 10).unwrap();
    drop(helper);
    assert_eq!(sys::pidfd_signal(std::os::fd::AsFd::as_fd(&pidfd), 0), Err(sys::Errno(libc::ESRCH)));
}

/// A helper that gets two files as its standard input and output.
fn joined(script: &str, readiness: Readiness) -> HelperSpec {
    HelperSpec {
        args: ["-c", script].map(|word| Argument::Text(word.into())).to_vec(),
        rules: Vec::new(),
        confinement: Confinement::Joined(Joined { how: "is a test".into(), keeps: None, files: None }),
        ..self::script("", readiness, NOTE)
    }
}

fn started_with_files<'p>(spec: &'p HelperSpec) -> Helper<'p> {
    let null = || std::fs::File::open("/dev/null").unwrap().into();
    Helper::start(spec, None, sys::pid(), &sys::Mask::default(), &[null(), null()], &[]).unwrap()
}

#[test]
fn a_line_of_digits_says_that_a_helper_is_ready_and_other_lines_are_what_it_says() {
    let spec = joined("echo '7 words' >&2; echo 12 >/proc/self/fd/2; exec sleep 60", Readiness::Number);
    started_with_files(&spec).expect_ready(&mut wait).unwrap();
    let spec = joined("echo 'Failed to send 42 bytes to syslog' >&2; echo 'no tunnel' >&2; exit 3", Readiness::Number);
    let error = started_with_files(&spec).expect_ready(&mut wait).unwrap_err();
    assert_eq!(error.message, "sh ended before it was asked");
    assert_eq!(error.hints, ["it says: no tunnel"]);
    let spec = joined("exec sleep 60", Readiness::Number);
    let error = started_with_files(&spec).expect_ready(&mut |_, _| Ok(false)).unwrap_err();
    assert_eq!(error.message, "sh is not ready after 5 s");
}

/// With a list of files, it opens no others.
#[test]
fn a_helper_with_a_list_of_files_opens_no_others() {
    if sys::landlock_version().is_err() {
        return;
    }
    let mut files: Vec<_> =
        ["/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache"].map(|path| (path.into(), false)).into();
    let script = "read line </etc/passwd && echo reads >&2; : >/dev/null && echo writes >&2; exit 3";
    let mut spec = joined(script, Readiness::Number);
    let mut ends = |files| {
        spec.confinement = Confinement::Joined(Joined { how: "is a test".into(), keeps: None, files });
        started_with_files(&spec).expect_ready(&mut wait).unwrap_err().hints.join(" ")
    };
    assert!(ends(None).contains("reads; writes"));
    let refused = ends(Some(files.clone()));
    assert!(!refused.contains("reads") && !refused.contains("writes"), "{refused}");
    files.push(("/etc/passwd".into(), false));
    files.push(("/dev/null".into(), true));
    assert!(ends(Some(files)).contains("reads; writes"));
}

#[test]
fn a_helper_with_files_says_more_than_anybody_reads_and_its_last_words_are_told() {
    let spec = joined("echo 1 >&2; read line; printf %100000s x >&2; exit 3", Readiness::Number);
    let mut helper = started_with_files(&spec);
    helper.expect_ready(&mut wait).unwrap();
    assert!(wait(helper.fd(), Duration::from_secs(20)).unwrap(), "it waits for a reader");
    let said = helper.exit_description().unwrap();
    assert!(said.starts_with("/bin/sh ended (exit status: "), "{said}");
}
