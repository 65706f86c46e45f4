//! What is started after a boot, units of systemd's for single sandboxes, and the table of the kernel's configuration.

mod common;

use common::{Place, Ran, ran, tools, until, userns};
use std::process::Command;

/// A place with records of its own.
struct Records(Place);

impl Records {
    fn new() -> Records {
        let place = Place::new();
        std::fs::create_dir(place.dir.path().join("run")).unwrap();
        let closed = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(place.dir.path().join("run"), closed).unwrap();
        Records(place)
    }

    fn command(&self) -> Command {
        let mut command = self.0.command();
        command.env("XDG_RUNTIME_DIR", self.0.dir.path().join("run"));
        command.env("XDG_STATE_HOME", self.0.dir.path().join("state"));
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        ran(self.command().args(args).output().unwrap())
    }

    /// The names of those that run.
    fn running(&self) -> Vec<String> {
        let out = self.run(&["ps", "--filter", "status=running", "--format", "{{.Names}}"]).ok();
        let mut names: Vec<_> = out.lines().map(str::to_owned).collect();
        names.sort();
        names
    }

    /// What systemd finds wrong with a unit.
    fn verified(&self, path: &str) -> String {
        let ran = ran(Command::new("systemd-analyze")
            .args(["--user", "--man=no", "verify", path])
            .env("XDG_RUNTIME_DIR", self.0.dir.path().join("run"))
            .output()
            .unwrap());
        assert_eq!(ran.status, Some(0), "{path}: {ran:?}");
        // Without what it says of other units of this machine.
        ran.err.lines().filter(|line| line.contains("sbx-")).collect()
    }

    /// Kills all that belongs to a sandbox, as a machine does that loses its power.
    fn lose(&self, name: &str) {
        let pid = self.run(&["inspect", "--format", "{{.State.MonitorPid}}", name]).ok();
        let pid: i32 = pid.trim().parse().unwrap();
        assert!(pid > 1);
        // Its parent starts it again; it is the leader of the session.
        let session = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let session: i32 = session.rsplit(')').next().unwrap().split_whitespace().nth(3).unwrap().parse().unwrap();
        assert!(session > 1);
        // SAFETY: signals to processes that this test has started.
        assert_eq!(unsafe { libc::kill(session, libc::SIGKILL) }, 0);
        until(|| !self.running().iter().any(|running| running == name));
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        self.run(&["rm", "-f", "-a", "-t", "0"]);
    }
}

const WAITS: &str = "trap 'exit 0' TERM; sleep 1000 & wait";

#[test]
fn after_a_boot_those_are_started_that_are_to_and_nobody_has_stopped() {
    need!(userns());
    let records = Records::new();
    for (name, policy) in [
        ("always", "always"),
        ("unless", "unless-stopped"),
        ("stopped", "unless-stopped"),
        ("killed", "unless-stopped"),
        ("failure", "on-failure"),
        ("plain", "no"),
    ] {
        records.run(&["run", "-d", "-q", "--name", name, "--restart", policy, "--", "sh", "-c", WAITS]).ok();
    }
    records.run(&["stop", "stopped"]).ok();
    records.run(&["kill", "killed"]).ok();
    until(|| records.running() == ["always", "failure", "plain", "unless"]);
    for name in ["always", "unless", "failure", "plain"] {
        records.lose(name);
    }
    assert_eq!(records.running(), [""; 0]);
    let boot = ["start", "--all", "--filter", "should-start-on-boot=true"];
    records.run(&boot).ok();
    assert_eq!(records.running(), ["always", "unless"]);
    // Who runs is not started a second time.
    assert_eq!(records.run(&boot).ok(), "");
    // What the unit stops at a shutdown is started again, what the user stops is not.
    let mut ended = records.run(&["stop", "--all", "--filter", "should-start-on-boot=true", "--until-boot"]).ok();
    assert_eq!((records.running().len(), ended.lines().count()), (0, 2), "{ended}");
    records.run(&boot).ok();
    assert_eq!(records.running(), ["always", "unless"]);
    records.run(&["stop", "always", "unless"]).ok();
    ended = records.run(&boot).ok();
    assert_eq!((records.running(), ended.lines().count()), (vec!["always".to_owned()], 1), "{ended}");
    // By its policy alone, and by its name: that is no boot.
    records.run(&["start", "--all", "--filter", "restart-policy=on-failure"]).ok();
    records.run(&["start", "unless"]).ok();
    assert_eq!(records.running(), ["always", "failure", "unless"]);
    let listed = records.run(&["ps", "-a", "--filter", "restart-policy=unless-stopped", "--format", "{{.Names}}"]).ok();
    assert_eq!(listed.lines().count(), 3, "{listed}");
    // One that cannot be started keeps no other from it.
    records.run(&["stop", "always", "unless"]).ok();
    records.run(&["run", "-d", "-q", "--name", "gone", "--restart", "always", "--rw", ".", "--", "./gone"]).failed(127);
    records.0.write("work/gone", "#!/bin/sh\nsleep 1000\n");
    std::fs::set_permissions(records.0.work().join("gone"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    records.run(&["run", "-d", "-q", "--name", "gone", "--restart", "always", "--rw", ".", "--", "./gone"]).ok();
    records.run(&["stop", "-t", "0", "gone"]).ok();
    std::fs::remove_file(records.0.work().join("gone")).unwrap();
    let tried = records.run(&boot);
    assert_eq!(tried.status, Some(127), "{tried:?}");
    assert_eq!(records.running(), ["always", "failure"]);
    let err = records.run(&["start", "--all", "always"]).failed(125);
    assert!(err.contains("--all"), "{err}");
}

/// The words of a command line of a unit, as systemd reads what `sbx generate` writes.
fn words(unit: &str, key: &str) -> Vec<String> {
    let line = unit.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_else(|| panic!("{key} {unit}"));
    let script = "import shlex, sys, json; print(json.dumps([w.replace('%%', '%').replace('$$', '$').replace('\\\\n', '\\n') for w in shlex.split(sys.argv[1])]))";
    let out = Command::new("python3").args(["-c", script, line]).output().unwrap();
    serde_json::from_slice(&out.stdout).unwrap()
}

#[test]
fn a_unit_starts_a_sandbox_waits_for_it_and_stops_it() {
    need!(userns(), tools(&["python3"]));
    let records = Records::new();
    let script = "echo \"$1\" > out; trap 'exit 3' TERM; echo 50%; sleep 1000 & wait";
    records.run(&["create", "-q", "--name", "x", "--rw", ".", "--", "sh", "-c", script, "sh", "a  \"$b\" %n\\"]).ok();
    for new in [false, true] {
        let flags: &[&str] = if new {
            &["generate", "systemd", "--name", "--new", "x"]
        } else {
            &["generate", "systemd", "--name", "x"]
        };
        let unit = records.run(flags).ok();
        assert!(unit.contains("Type=exec\n") && unit.contains("Restart=on-failure\n"), "{unit}");
        assert_eq!(
            words(&unit, "Environment="),
            [format!("XDG_STATE_HOME={}", records.0.dir.path().join("state").display())]
        );
        let start = words(&unit, "ExecStart=");
        assert_eq!(start[0], common::sbx().to_str().unwrap());
        let mut main = records.command();
        let log = std::fs::File::create(records.0.dir.path().join("journal")).unwrap();
        let mut main = main.args(&start[1..]).stdout(log).spawn().unwrap();
        let journal = || std::fs::read_to_string(records.0.dir.path().join("journal")).unwrap();
        until(|| journal() == "50%\n");
        assert_eq!(std::fs::read_to_string(records.0.work().join("out")).unwrap(), "a  \"$b\" %n\\\n");
        let stop: Vec<_> = words(&unit, "ExecStop=");
        ran(records.command().args(&stop[1..]).output().unwrap()).ok();
        // The program's own exit status.
        assert_eq!(main.wait().unwrap().code(), Some(3));
        if new {
            let after = words(&unit, "ExecStopPost=");
            ran(records.command().args(&after[1..]).output().unwrap()).ok();
            assert_eq!(records.run(&["ps", "-a", "-q"]).ok(), "");
        }
    }
}

#[test]
fn units_are_what_systemd_takes() {
    need!(userns(), tools(&["systemd-analyze"]));
    let records = Records::new();
    records.run(&["create", "-q", "--name", "a b", "--", "true"]).failed(125);
    let odd = "-e A=100%\n\t'\"\\$HOME";
    records.run(&["create", "-q", "--name", "x", "-w", "/usr", "--", "sh", "-c", "echo \"$@\"; exit 1", odd]).ok();
    records.run(&["create", "-q", "--name", "again", "--restart", "always", "-d", "--", "true"]).ok();
    let mut files = Vec::new();
    for (name, flags) in [
        ("x", &["--name"][..]),
        ("x", &["--name", "--new", "--restart-policy", "always", "--restart-sec", "5"]),
        ("x", &["-t", "3"]),
        ("again", &["--name", "--new"]),
    ] {
        let path = records.run(&[&["generate", "systemd", "--files"], flags, &[name]].concat()).ok();
        let path = path.trim_end().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(records.verified(&path), "", "{text}");
        files.push(text);
    }
    assert!(files[1].contains("Restart=always\nRestartSec=5\n"), "{}", files[1]);
    assert!(files[2].contains(" --time 3 ") && files[2].contains("TimeoutStopSec=63\n"), "{}", files[2]);
    assert!(
        !files[3].contains("--restart") && files[3].contains("ExecStart=") && !files[3].contains(" -d "),
        "{}",
        files[3]
    );
    let err = records.run(&["generate", "systemd", "again"]).failed(125);
    assert!(err.contains("again is started again by its own monitor (--restart always)"), "{err}");
    // The unit that is shipped.
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/sbx-restart.service");
    let text = std::fs::read_to_string(shipped).unwrap().replace("=-sbx ", &format!("=-{} ", common::sbx().display()));
    let path = records.0.write("work/sbx-restart.service", &text);
    assert_eq!(records.verified(path.to_str().unwrap()), "");
    let wrong = records.0.write("work/sbx-wrong.service", &text.replace("[Install]", "Odd=1\n[Install]"));
    assert!(records.verified(wrong.to_str().unwrap()).contains("Unknown key"));
    // Its command lines are ones that sbx reads.
    for key in ["ExecStart=-", "ExecStop=-"] {
        let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        records.run(&line.split(' ').skip(1).collect::<Vec<_>>()).ok();
    }
}

#[test]
fn a_kernels_configuration_is_read_from_a_file() {
    let place = Place::new();
    let names = [
        "NAMESPACES",
        "USER_NS",
        "PID_NS",
        "NET_NS",
        "IPC_NS",
        "UTS_NS",
        "CGROUPS",
        "TMPFS",
        "PROC_FS",
        "UNIX98_PTYS",
        "SECCOMP",
        "SECCOMP_FILTER",
        "UNIX",
        "SIGNALFD",
        "NET",
    ];
    let whole: String = names.iter().map(|name| format!("CONFIG_{name}=y\n")).collect();
    place.write(
        "work/config",
        &format!("# Linux/x86 6.1.0 Kernel Configuration\n{whole}CONFIG_TUN=m\n# CONFIG_KEYS is not set\n"),
    );
    let out = place.run(&["check", "--kernel-config", "config"]).ok();
    let line = |out: &str, name: &str| {
        out.lines()
            .find(|line| line.split_whitespace().next() == Some(name))
            .unwrap_or_default()
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(line(&out, "CONFIG_USER_NS")[1..3], ["built-in", "ok"]);
    assert_eq!(line(&out, "CONFIG_TUN")[1..3], ["module", "ok"]);
    assert_eq!(line(&out, "CONFIG_KEYS")[1..4], ["not", "set", "absent"]);
    assert!(out.contains("config: Linux/x86 6.1.0\n") && out.ends_with("sbx can run on that kernel.\n"), "{out}");
    // By lxc-checkconfig's variable, and as JSON; without what every sandbox needs.
    place.write("work/without", &whole.replace("CONFIG_USER_NS=y", "# CONFIG_USER_NS is not set"));
    let mut command = place.command();
    let ran = ran(command.env("CONFIG", "without").args(["check", "--kernel-config", "--json"]).output().unwrap());
    assert_eq!(ran.status, Some(1), "{ran:?}");
    let rows: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let row = rows.as_array().unwrap().iter().find(|row| row["name"] == "CONFIG_USER_NS").unwrap();
    assert_eq!(
        (row["state"].as_str(), row["setting"].as_str(), row["needed_for"].as_str()),
        (Some("no"), Some("not set"), Some("sandboxes without root"))
    );
    place.write("work/text", "no configuration\n");
    for (file, why) in [("text", "no line begins with CONFIG_"), ("gone", "no such file")] {
        let err = place.run(&["check", "--kernel-config", file]).failed(125);
        assert!(err.contains(why), "{err}");
    }
}

#[test]
fn what_was_tried_counts_more_than_what_the_configuration_says() {
    need!(userns());
    let place = Place::new();
    let ran = place.run(&["check", "--kernel-config", "--json"]);
    if ran.status == Some(125) {
        assert!(ran.err.contains("the kernel's configuration cannot be read"), "{ran:?}");
        return;
    }
    // Sandboxes start here, whatever the file says.
    let rows: serde_json::Value = serde_json::from_str(&ran.ok()).unwrap();
    for row in rows.as_array().unwrap() {
        assert_ne!(row["state"], "no", "{row}");
        let seen = row["tried"].as_str().unwrap_or_default();
        assert!(seen.is_empty() || seen.contains("was tried"), "{row}");
    }
    let whole = place.run(&["check"]);
    assert!(whole.out.lines().any(|line| line.starts_with("kernel options")), "{whole:?}");
}
