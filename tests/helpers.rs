//! Helpers in whole runs: when they are started, and what happens when they end. sbx plans no such helpers yet, so they
//! are added to a plan here, which the library carries out in a process of its own.

mod common;

use common::process::in_one_thread;
use common::*;
use sbx::error::Result;
use sbx::launch::{Events, Outcome, run};
use sbx::plan::{Argument, Confinement, HelperProgram, HelperSpec, HelperWords, Loss, Phase, Plan, Readiness, Tells};
use sbx::spec::{Origin, Process, Sandbox};
use sbx::{host, plan, testing as sys};
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

/// The events of a run.
#[derive(Default)]
struct Told {
    notes: Vec<String>,
    started: bool,
}

impl Events for Told {
    fn started(&mut self, _pid: i32) {
        self.started = true;
    }

    fn note(&mut self, note: &str) {
        self.notes.push(note.to_owned());
    }

    fn exited(&mut self, _outcome: &Outcome) {}

    fn descriptors(&self) -> Vec<RawFd> {
        Vec::new()
    }
}

/// A plan that runs a shell script.
fn planned(script: &str) -> Plan {
    let args = ["/bin/sh", "-c", script].map(Into::into).to_vec();
    let sandbox = Sandbox { process: Process { args, ..Process::default() }, ..Sandbox::default() };
    let env = [("HOME".to_owned(), "/".to_owned()), ("PATH".to_owned(), "/usr/bin:/bin".to_owned())];
    let facts = host::probe(&sandbox, env.into(), "/".into(), Vec::new());
    plan::plan(&sandbox, &facts).unwrap()
}

fn helper(script: String, phase: Phase, readiness: Readiness, loss: Loss) -> HelperSpec {
    HelperSpec {
        name: "sh",
        provides: "a test",
        setting: "none",
        program: HelperProgram::Host("/bin/sh".into()),
        target: String::new(),
        args: vec![Argument::Text("-c".into()), Argument::Text(script), Argument::Pipe(""), Argument::FirstProcess],
        descriptors: Vec::new(),
        rules: Vec::new(),
        phase,
        readiness,
        tells: Tells::Nothing,
        confinement: Confinement::Caller,
        loss,
        words: HelperWords::default(),
        origin: Origin::default(),
    }
}

/// Runs a plan, and returns its events and how long it took.
fn ran(plan: &Plan) -> (Result<Outcome>, Told, Duration) {
    let (began, mut told) = (Instant::now(), Told::default());
    let outcome = run(plan, &mut told);
    (outcome, told, began.elapsed())
}

#[test]
fn helpers_of_each_phase_are_ready_before_the_first_process_goes_on() {
    need!(userns());
    in_one_thread(|| {
        let mut plan = planned("exit 7");
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        // Before its view is assembled, the first process still has the host's root, in which this file exists.
        let script = |word: &str| {
            let log = log.display();
            format!(
                "ls /proc/$1/root{log} > /dev/null 2>&1; echo {word} $? >> {log}; echo > /proc/self/fd/$0; exec sleep 60"
            )
        };
        std::fs::write(&log, "").unwrap();
        let loss = Loss::End("never");
        plan.helpers.push(helper(script("view"), Phase::View, Readiness::Byte, loss));
        plan.helpers.push(helper(script("namespaces"), Phase::Namespaces, Readiness::Line, loss));
        let (outcome, told, _) = ran(&plan);
        assert_eq!((outcome, told.started, told.notes), (Ok(Outcome::Exited(7)), true, Vec::new()));
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "namespaces 0\nview 2\n");
    });
}

#[test]
fn a_helper_whose_loss_is_the_end_ends_the_sandbox_and_another_one_is_noted() {
    need!(userns());
    in_one_thread(|| {
        let mut plan = planned("sleep 3; exit 7");
        let short = |loss| helper("exit 3".into(), Phase::View, Readiness::Started, loss);
        plan.helpers.push(short(Loss::Note("the program has less from here on")));
        let (outcome, told, _) = ran(&plan);
        assert_eq!(outcome, Ok(Outcome::Exited(7)));
        assert_eq!(told.notes, ["/bin/sh ended (exit status: 3): the program has less from here on"]);
        let mut plan = planned("sleep 60");
        plan.helpers.push(short(Loss::End("the program cannot go on")));
        let (outcome, _, took) = ran(&plan);
        assert_eq!(outcome.unwrap_err().message, "/bin/sh ended (exit status: 3): the program cannot go on");
        assert!(took < Duration::from_secs(30), "{took:?}");
    });
}

#[test]
fn a_helper_that_does_not_become_ready_leaves_nothing() {
    need!(userns());
    in_one_thread(|| {
        let mut plan = planned("exit 7");
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        let script = format!("echo $1 > {}; exit 3", pid.display());
        plan.helpers.push(helper(script, Phase::Namespaces, Readiness::Byte, Loss::Note("nothing")));
        let (outcome, told, _) = ran(&plan);
        assert!(outcome.is_err() && !told.started);
        let first: i32 = std::fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
        assert!(sys::pidfd_open(first).is_err(), "the first process is still there");
    });
}
