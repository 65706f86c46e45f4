//! Flags that podman and docker have: each says what a line of the profile language does, or is refused.

mod common;

use common::records::Records;
use common::{Place, limits, ran, tools, until, userns};
use serde_json::Value;

/// A flag, and what says the same in sbx's own words. `HERE` is the current directory.
const SAME: &[(&[&str], &[&str])] = &[
    (&["-h", "host.example"], &["--set", "process.hostname=host.example"]),
    (&["--domainname", "example"], &["--set", "process.domainname=example"]),
    (&["-v", "HERE:/mnt:ro"], &["--set", "filesystem.paths.\"/mnt\"=ro,from=\"HERE\""]),
    (&["--mount", "type=bind,source=HERE,target=/mnt"], &["--set", "filesystem.paths.\"/mnt\"=rw,from=\"HERE\""]),
    (&["--mount", "type=tmpfs,target=/mnt,tmpfs-size=1m"], &["--set", "filesystem.paths.\"/mnt\"=tmpfs,size=1M"]),
    (&["--overlay", "/", "--read-only"], &["--set", "filesystem.paths.\"/\"=ro"]),
    (&["--read-only"], &[]),
    (&["--network", "host"], &["--set", "network.mode=host"]),
    (&["--ipc", "host"], &["--set", "namespaces.share=[\"ipc\"]"]),
    (&["--pid", "host", "--share", "ipc"], &["--set", "namespaces.share=[\"pid\", \"ipc\"]"]),
    (&["--share", "uts", "--uts", "private"], &[]),
    (
        &["--cap-add", "net_raw", "--cap-add", "CAP_CHOWN"],
        &["--set", "security.capabilities=[\"CAP_NET_RAW\", \"CAP_CHOWN\"]"],
    ),
    (
        &["--profile", "HERE/held.toml", "--cap-drop", "all", "--cap-add", "NET_RAW"],
        &[
            "--profile",
            "HERE/held.toml",
            "--set",
            "security.capabilities=[\"!cap_chown\", \"!CAP_FOWNER\", \"CAP_NET_RAW\"]",
        ],
    ),
    (
        &["--profile", "HERE/held.toml", "--cap-drop", "CHOWN"],
        &["--profile", "HERE/held.toml", "--set", "security.capabilities=[\"!cap_chown\"]"],
    ),
    (&["--security-opt", "seccomp=unconfined"], &["--set", "security.seccomp=off"]),
    (&["--security-opt", "no-new-privileges"], &[]),
    (&["--security-opt", "label=disable", "--security-opt", "apparmor=unconfined"], &[]),
    (&["--security-opt", "mask=/usr/share:/etc/passwd"], &["--mask", "/usr/share", "--mask", "/etc/passwd"]),
    (&["-t"], &["--set", "process.tty=pty"]),
    (&["-i", "--init"], &[]),
    (&["--init=true", "--read-only=false", "--quiet=1"], &[]),
    (
        &["--ulimit", "nofile=64:128", "--ulimit", "core=-1"],
        &["--set", "rlimits.nofile=64:128", "--set", "rlimits.core=unlimited"],
    ),
    (&["--env-file", "HERE/variables"], &["-e", "A=1", "-e", "B= \"two\" # no comment", "-e", "HOME", "-e", "TE*"]),
    (
        &["-e", "A=2", "--env-file", "HERE/variables"],
        &["-e", "A=2", "-e", "B= \"two\" # no comment", "-e", "HOME", "-e", "TE*"],
    ),
];

/// The same for limits, which take a cgroup.
const LIMITS: &[(&[&str], &[&str])] = &[
    (&["-m", "512m"], &["--set", "limits.memory_max=512M"]),
    (
        &["--memory", "64MiB", "--memory-swap", "80m"],
        &["--set", "limits.memory_max=64M", "--set", "limits.swap_max=16777216"],
    ),
    (&["--memory-swap", "-1"], &["--set", "limits.swap_max=max"]),
    (&["--memory-reservation", "10m"], &["--set", "limits.memory_low=10M"]),
    (&["--pids-limit", "-1"], &["--set", "limits.pids_max=max"]),
    (&["--pids-limit", "0"], &["--set", "limits.pids_max=max"]),
    (&["--cpus", "0", "-m", "0"], &["--set", "limits.cpu_max=max", "--set", "limits.memory_max=max"]),
    (&["--cpus", "1.5"], &["--set", "limits.cpu_max=150%"]),
    (&["--cpu-shares", "1024"], &["--set", "limits.cpu_weight=39"]),
    (&["--cpuset-cpus", "0"], &["--set", "limits.cpus=\"0\""]),
    (&["--cpuset-mems", "0"], &["--set", "limits.mems=\"0\""]),
    (&["--blkio-weight", "500"], &["--set", "limits.io_weight=4950"]),
    (&["--device-read-bps", "HERE:1m"], &["--set", "limits.io_max.\"HERE\"=rbps=1M"]),
    (
        &["--device-write-bps", "HERE:1mb", "--device-read-iops", "HERE:5", "--device-write-iops", "HERE:6"],
        &["--set", "limits.io_max.\"HERE\"=wbps=1M riops=5 wiops=6"],
    ),
];

/// What `sbx plan` says, without where each line comes from.
fn planned(place: &Place, flags: &[&str]) -> (Option<i32>, String, String) {
    let here = place.work().canonicalize().unwrap();
    let flags: Vec<_> = flags.iter().map(|flag| flag.replace("HERE", here.to_str().unwrap())).collect();
    let ran = ran(place
        .command()
        .env("TEST", "value")
        .args(["plan", "--json"])
        .args(flags)
        .args(["--", "true"])
        .output()
        .unwrap());
    let text = match serde_json::from_str(&ran.out) {
        Ok(value) => without_origins(value).to_string(),
        Err(_) => ran.out,
    };
    (ran.status, text, ran.err.split(" (asked for by").next().unwrap_or_default().to_owned())
}

fn without_origins(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(name, _)| name != "origin")
            .map(|(name, value)| (name, without_origins(value)))
            .collect(),
        Value::Array(items) => items.into_iter().map(without_origins).collect(),
        Value::String(text) => text.split(" (command line").next().unwrap_or_default().into(),
        other => other,
    }
}

fn place() -> Place {
    let place = Place::new();
    place.write(
        "work/held.toml",
        "schema = 1\nextends = [\"default\"]\nsecurity.capabilities = [\"cap_chown\", \"CAP_FOWNER\"]\n",
    );
    place.write("work/variables", "\u{feff}# a comment\r\n\nA=1\r\n  B= \"two\" # no comment\nNOT_SET\nHOME\nTE*\n");
    place
}

/// Nothing has to be enforced then.
#[test]
fn no_limit_needs_no_cgroup() {
    need!(userns());
    let flags =
        ["-q", "--pids-limit", "-1", "--memory", "0", "--cpus", "0", "--memory-swap", "-1", "--", "echo", "runs"];
    let place = Place::new();
    let run = |flags: &[&str]| ran(place.command().args(flags).output().unwrap());
    assert_eq!(run(&flags).ok(), "runs\n");
    let refused = run(&["-q", "--cpus=-1", "--", "true"]);
    assert!(refused.status != Some(0) && refused.err.contains("--cpus"), "{refused:?}");
}

#[test]
fn each_flag_changes_the_plan_as_the_profiles_key_does() {
    need!(userns());
    let place = place();
    let plain = planned(&place, &[]);
    assert_eq!(plain.0, Some(0), "{plain:?}");
    for (flags, own) in SAME {
        let (found, expected) = (planned(&place, flags), planned(&place, own));
        assert_eq!(found.0, Some(0), "{flags:?}: {}", found.2);
        assert_eq!(found, expected, "{flags:?}");
        assert_eq!(found.1 == plain.1, own.is_empty(), "{flags:?}: {}", found.1);
    }
    // Where there are no limits, both fail alike.
    for (flags, own) in LIMITS {
        assert_eq!(planned(&place, flags), planned(&place, own), "{flags:?}");
    }
    if available!(limits()) {
        for (flags, _) in LIMITS {
            assert_ne!(planned(&place, flags).1, plain.1, "{flags:?}");
        }
    }
}

#[test]
fn what_sbx_does_not_do_is_refused_with_a_sentence() {
    let place = place();
    for (flags, why) in [
        (vec!["--privileged"], "--privileged: sbx gives no program the rights"),
        (vec!["-P"], "--publish-all: nothing says which ports the program listens at"),
        (vec!["--expose", "8080:80"], "--expose 8080:80: it is no port"),
        (vec!["--expose", "80/sctp"], "--expose 80/sctp: it is no port"),
        (vec!["-v", "data:/x"], "sbx has no volumes of its own"),
        (vec!["--network", "mynet"], "there is no network `mynet`"),
        (vec!["--network", "container:gone"], "there is no sandbox"),
        (vec!["--ipc", "container:gone"], "there is no sandbox"),
        (vec!["--uts", "container:gone"], "there is no sandbox"),
        (vec!["--pid", "container:x"], "--pid container:x: sbx joins no sandbox's processes"),
        (vec!["--pid", "container:x"], "would not end with it"),
        (vec!["--uts", "ns:/x"], "--uts ns:/x: sbx does not know it"),
        (vec!["--cap-add", "ALL"], "--cap-add ALL: sbx gives a program no capability that nobody has named"),
        (vec!["--cap-add", "NET_RAV"], "did you mean CAP_NET_RAW?"),
        (vec!["--cap-add", "CHOWN", "--cap-drop", "chown"], "CAP_CHOWN is both added and dropped"),
        (vec!["--security-opt", "seccomp=/x.json"], "takes no file of docker's"),
        (vec!["--security-opt", "no-new-privileges=false"], "no program in a sandbox gains rights"),
        (vec!["--security-opt", "label=type:x_t"], "no labels of SELinux"),
        (vec!["--memory-swap", "1g"], "it needs --memory"),
        (vec!["--memory", "2g", "--memory-swap", "1g"], "it is less than --memory"),
        (vec!["--device-read-bps", "/dev/sda"], "there is no `:`"),
        (vec!["--device-write-iops", "/dev/sda:0"], "it has no rate"),
        (vec!["--blkio-weight", "1"], "a number from 10 to 1000"),
        (vec!["--domainname", "a b"], "`a b` is no NIS domain name"),
        (vec!["--env-file", "not-there"], "--env-file not-there: cannot be read: no such file"),
        (vec!["--name", "x", "--log-opt", "max-size=lots"], "--log-opt max-size=lots: sbx does not know it"),
    ] {
        let err = place.run(&[&["run"], flags.as_slice(), &["true"]].concat()).failed(125);
        assert!(err.contains(why), "{flags:?}: {err}");
    }
    for (text, why) in [
        ("=x\n", "line 1: there is no name"),
        ("A=1\nB C=2\n", "line 2: the name of a variable holds no spaces"),
        ("A=\0\n", "line 1: it holds a byte of zero"),
    ] {
        place.write("work/wrong", text);
        let err = place.run(&["run", "--env-file", "wrong", "true"]).failed(125);
        assert!(err.contains(why), "{text:?}: {err}");
    }
}

#[test]
fn the_letter_of_help_is_that_of_the_host_name() {
    need!(userns());
    let place = Place::new();
    for args in [&["-h", "far", "hostname"][..], &["run", "-h", "far", "hostname"], &["-q", "-hfar", "hostname"]] {
        assert_eq!(place.run(args).ok(), "far\n", "{args:?}");
    }
    for args in [&["-h"][..], &["--help"], &["run", "--help"], &["create", "--help"], &["ps", "-h"]] {
        assert!(place.run(args).ok().contains("Usage: sbx"), "{args:?}");
    }
    let err = place.run(&["run", "-h"]).failed(125);
    assert!(err.contains("a value is required for '--hostname <NAME>'") && err.contains("try '--help'"), "{err}");
    assert_eq!(place.sh(&["-q", "--domainname", "example"], "cat /proc/sys/kernel/domainname").ok(), "example\n");
}

#[test]
fn a_file_of_variables_is_read_as_it_stands() {
    need!(userns());
    let place = place();
    std::fs::write(place.work().join("bytes"), b"RAW=\xff\xfe\nA=${HOME}$x 'y'\n").unwrap();
    let flags = ["-q", "--env-file", "variables", "--env-file", "bytes"];
    let out = place.sh(&flags, "printf '%s' \"$RAW\" | od -An -tx1; echo \"$A|$B|${NOT_SET-unset}\"").ok();
    assert_eq!(out, " ff fe\n${HOME}$x 'y'| \"two\" # no comment|unset\n");
}

#[test]
fn the_network_of_a_running_sandbox_is_joined_by_its_name() {
    need!(userns());
    let records = Records::new();
    let (place, run) = (&records.place, |args: &[&str]| records.run(args));
    let script = "readlink /proc/self/ns/net > net; while :; do sleep 1000; done";
    run(&["run", "-d", "-q", "--name", "web", "-h", "web.example", "--rw", ".", "--", "sh", "-c", script]).ok();
    let net = || std::fs::read_to_string(place.work().join("net")).unwrap_or_default();
    until(|| net().ends_with('\n'));
    let look = "readlink /proc/self/ns/net; hostname; grep -q web.example /etc/hosts && echo named";
    let joined = run(&["run", "-q", "--network", "container:web", "--", "sh", "-c", look]).ok();
    assert_eq!(joined, format!("{}web.example\nnamed\n", net()));
    // By its id, and with a host name of its own.
    let container = format!("container:{}", run(&["ps", "-q"]).ok().trim());
    let own =
        run(&["run", "-q", "--network", &container, "-h", "own", "--", "sh", "-c", &look.replace("web.", "own.")]);
    assert_eq!(own.out, format!("{}own\n", net()));
    // The command line is read anew at each start.
    run(&["create", "-q", "--name", "late", "--network", "container:web", "--", "sh", "-c", "hostname"]).ok();
    assert_eq!(run(&["start", "-a", "late"]).ok(), "web.example\n");
    run(&["stop", "-t", "0", "web"]).ok();
    let err = run(&["run", "--network", "container:web", "true"]).failed(125);
    assert!(err.contains("--network container:web: it is exited, and only a running sandbox has a network"), "{err}");
    assert!(run(&["start", "late"]).failed(125).contains("--network container:web: it is exited"));
    run(&["rm", "-f", "-a", "-t", "0"]).ok();
}

#[test]
fn a_program_that_locks_its_user_namespace_keeps_nobody_waiting_who_joins() {
    need!(userns(), tools(&["flock"]));
    let records = Records::new();
    let (place, run) = (&records.place, |args: &[&str]| records.run(args));
    let script = "exec 9</proc/self/ns/user && flock 9 && echo locked > locked; exec sleep 1000";
    run(&["run", "-d", "-q", "--name", "web", "--rw", ".", "--", "sh", "-c", script]).ok();
    assert_eq!(line(place, "locked"), "locked\n");
    for kind in ["network", "ipc", "uts"] {
        let err = run(&["run", "-q", &format!("--{kind}"), "container:web", "true"]).failed(125);
        assert!(err.contains("holds a lock (flock) on its user namespace"), "{kind}: {err}");
    }
    run(&["rm", "-f", "-t", "0", "web"]).ok();
}

/// What is written to a file in the place, once it is a whole line.
fn line(place: &Place, file: &str) -> String {
    let text = || std::fs::read_to_string(place.work().join(file)).unwrap_or_default();
    until(|| text().ends_with('\n'));
    text()
}

#[test]
fn shared_memory_and_the_host_name_of_a_running_sandbox_are_joined_without_rights_over_them() {
    need!(userns(), tools(&["ipcmk", "ipcs", "hostname"]));
    let records = Records::new();
    let (place, run) = (&records.place, |args: &[&str]| records.run(args));
    let ids = "echo $(readlink /proc/self/ns/ipc /proc/self/ns/uts)";
    let script = format!("ipcmk -M 4321 >/dev/null && {ids} > web; while :; do sleep 1000; done");
    run(&["run", "-d", "-q", "--name", "web", "-h", "web.example", "--rw", ".", "--", "sh", "-c", &script]).ok();
    let web = line(place, "web");
    let both = ["--ipc", "container:web", "--uts", "container:web"];
    let look = format!(
        "{ids}; hostname; cat /etc/hostname; echo $HOSTNAME; ipcs -m | grep -c 4321; hostname other 2>/dev/null; hostname; ls /dev/mqueue 2>&1 | wc -l"
    );
    let joined = run(&[&["run", "-q"], &both[..], &["--", "sh", "-c", &look]].concat()).ok();
    assert_eq!(joined, format!("{web}web.example\nweb.example\nweb.example\n1\nweb.example\n1\n"));
    // Not even as root in a user namespace of its own, without a filter.
    let rights = ["--user", "root", "--security-opt", "seccomp=unconfined"];
    let script = "hostname other; ipcs -m | grep -c 4321; hostname";
    let held = run(&[&["run", "-q"], &both[..], &rights, &["--", "sh", "-c", script]].concat());
    assert!(held.status == Some(0) && held.out.ends_with("\nweb.example\n"), "{held:#?}");
    // One of them alone, and the network of a third sandbox beside those of one that has joined it.
    let one = run(&["run", "-q", "--ipc", "container:web", "--", "sh", "-c", "hostname; ipcs -m | grep -c 4321"]).ok();
    assert_eq!(one, "sandbox\n1\n");
    let script = format!("{ids} > second; while :; do sleep 1000; done");
    run(&["run", "-d", "-q", "--name", "second", "--network", "container:web", "--rw", ".", "--", "sh", "-c", &script])
        .ok();
    let second = line(place, "second");
    let pod = ["--network", "container:second", "--ipc", "container:second", "--uts", "container:second"];
    assert_eq!(run(&[&["run", "-q"], &pod[..], &["--", "sh", "-c", ids]].concat()).ok(), second);
    // What cannot be had together is said.
    run(&["run", "-d", "-q", "--name", "third", "sleep", "1000"]).ok();
    for (flags, why) in [
        (&["--ipc", "container:web", "--network", "container:third"][..], "only those of one can be"),
        (&["--uts", "container:web", "-h", "own"], "a host name of its own needs a uts namespace of its own"),
        (&["--ipc", "container:web", "--user", "range"], "namespaces.ipc = \"join:PID\""),
        (&["--set", "namespaces.ipc=join:999999999"], "there is no process 999999999"),
        (&["--set", "namespaces.ipc=join:x"], "names no process"),
        (&["--share", "ipc", "--set", "namespaces.ipc=join:2"], "is shared with the host"),
    ] {
        let refused = run(&[&["run", "-q"], flags, &["--", "true"]].concat());
        assert!(refused.status == Some(125) && refused.err.contains(why), "{flags:?}: {refused:#?}");
    }
    place.write("work/p.toml", "schema = 1\nextends = [\"default\"]\nnamespaces.uts = \"join:999999999\"\n");
    let kept = run(&["run", "-q", "--profile", "./p.toml", "--uts", "private", "--", "hostname"]);
    assert_eq!(kept.out, "sandbox\n", "{kept:#?}");
    run(&["stop", "-t", "0", "web"]).ok();
    let err = run(&["run", "--ipc", "container:web", "true"]).failed(125);
    assert!(
        err.contains("--ipc container:web: it is exited, and only a running sandbox has an ipc namespace"),
        "{err}"
    );
    run(&["rm", "-f", "-a", "-t", "0"]).ok();
}

#[test]
fn what_the_flags_say_holds_inside() {
    need!(userns());
    let place = Place::new();
    place.write("data/file", "content");
    let dir = place.dir.path().join("data");
    let dir = dir.to_str().unwrap();
    let ro = format!("{dir}:/mnt/x:ro");
    let out = place.sh(&["-q", "-v", &ro, "-w", "/mnt/x"], "cat file; pwd; touch new 2>/dev/null || echo refused").ok();
    assert_eq!(out, "content/mnt/x\nrefused\n");
    let mount = format!("type=bind,source={dir},target=/mnt/x");
    place.sh(&["-q", "--mount", &mount, "--mount", "type=tmpfs,target=/mnt/t"], "touch /mnt/x/new /mnt/t/new").ok();
    assert!(place.dir.path().join("data/new").exists());
    assert_eq!(place.sh(&["-q", "--ulimit", "nofile=64:128"], "ulimit -Sn; ulimit -Hn").ok(), "64\n128\n");
    assert_eq!(place.sh(&["-q", "-i", "--init", "--network", "none"], "echo in").ok(), "in\n");
    let err = place.run(&["run", "--privileged", "true"]).failed(125);
    assert!(err.contains("--privileged: sbx gives no program the rights"), "{err}");
    assert!(place.run(&["run", "-v", "data:/x", "true"]).failed(125).contains("sbx has no volumes of its own"));
    assert!(place.run(&["run", "--network", "mynet", "true"]).failed(125).contains("there is no network `mynet`"));
    // Of two flags for one thing, the later counts.
    let rw = format!("{dir}:/mnt/x");
    assert_eq!(place.sh(&["-q", "-v", &ro, "-v", &rw], "touch /mnt/x/more && echo made").ok(), "made\n");
}
