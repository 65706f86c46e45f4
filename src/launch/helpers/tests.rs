//! Helpers of each kind, played by sh(1).

use super::Helper;
use crate::error::Result;
use crate::plan::{Argument, Confinement, HelperProgram, HelperSpec, HelperWords, Loss, Phase, Readiness, Tells};
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
    Helper::start(spec, None, sys::pid(), &sys::Mask::default(), &[]).unwrap()
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
