//! `sbx selftest`: it passes for every profile, leaves nothing on the host, and is able to fail.

mod common;

use common::agent::{Agent, GpgAgent};
use common::audio::Audio;
use common::{Place, fuse, landlock, no_session, not_root, ran, sbx, tools, tun, until, userns};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::net::UnixListener;
use std::sync::Mutex;
use std::time::Duration;

/// Lets one test run at a time: each self-test makes things on the host, which the others would find.
static ALONE: Mutex<()> = Mutex::new(());

/// Outcomes and details of a self-test's probes, by id.
type Outcomes = BTreeMap<String, (String, String)>;

fn selftest(place: &Place, args: &[&str], off: &str) -> Outcomes {
    selftest_with(place, args, &[("SBX_GUARDS_OFF", off), ("A_TOKEN_OF_THE_CALLER", "secret")])
}

fn selftest_with(place: &Place, args: &[&str], env: &[(&str, &str)]) -> Outcomes {
    let mut command = place.command();
    command.args(["selftest", "--json"]).args(args).envs(env.iter().copied());
    let out = ran(command.output().unwrap());
    let report: serde_json::Value = serde_json::from_str(&out.out).unwrap_or_else(|_| panic!("{args:?}: {out:?}"));
    let text = |line: &serde_json::Value, key: &str| line[key].as_str().unwrap().to_owned();
    let lines = report["lines"].as_array().unwrap();
    let outcomes: Outcomes =
        lines.iter().map(|line| (text(line, "id"), (text(line, "outcome"), text(line, "detail")))).collect();
    let failed = outcomes.values().any(|(outcome, _)| outcome == "failed");
    assert_eq!(out.status, Some(i32::from(failed)), "{args:?}: {}", out.err);
    outcomes
}

fn with(outcomes: &Outcomes, wanted: &str) -> BTreeSet<String> {
    outcomes.iter().filter(|(_, (outcome, _))| outcome == wanted).map(|(id, _)| id.clone()).collect()
}

/// The probes that failed, and how.
fn failures(outcomes: &Outcomes) -> Vec<String> {
    with(outcomes, "failed").iter().map(|id| format!("{id}: {}", outcomes[id].1)).collect()
}

/// What self-tests have made on the host: files, System V objects, named sockets.
fn traces() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for dir in ["/tmp", "/var/tmp", "/dev/shm"] {
        let names = std::fs::read_dir(dir).unwrap().flatten().map(|entry| entry.path().display().to_string());
        found.extend(names.filter(|name| name.contains("sbx-selftest")));
    }
    for kind in ["shm", "sem", "msg"] {
        let text = std::fs::read_to_string(format!("/proc/sysvipc/{kind}")).unwrap_or_default();
        // Key and id; what follows counts accesses.
        found.extend(text.lines().skip(1).map(|line| {
            let words: Vec<_> = line.split_whitespace().take(2).collect();
            format!("{kind} {}", words.join(" "))
        }));
    }
    for file in ["/proc/net/unix", "/proc/keys"] {
        let text = std::fs::read(file).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        found.extend(text.lines().filter(|line| line.contains("sbx-selftest")).map(str::to_owned));
    }
    found
}

/// Waits until nothing is left that was not there before: others may run self-tests at the same time.
fn gone(before: &BTreeSet<String>) {
    let left = || -> Vec<_> { traces().difference(before).cloned().collect() };
    assert!(until(|| left().is_empty()), "left: {:#?}", left());
}

fn alone() -> std::sync::MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[test]
fn every_profile_holds_what_it_says() {
    need!(userns());
    let (_alone, place) = (alone(), Place::new());
    place.write("work/.git/config", "");
    for file in ["HEAD", "objects/x", "refs/x", "hooks/x"] {
        place.write(&format!("work/bare/{file}"), "");
    }
    place.write("work/.sbx.toml", "schema = 1\n");
    let list = place.run(&["profile", "list", "--json"]).ok();
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let before = traces();
    for profile in list.as_array().unwrap() {
        let name = profile["name"].as_str().unwrap();
        let outcomes = selftest(&place, &["--profile", name], "");
        assert_eq!(failures(&outcomes), Vec::<String>::new(), "{name}");
        let tried = with(&outcomes, "held").len() + with(&outcomes, "shared").len();
        assert!(tried >= 60, "{name}: {tried}");
        for id in ["worktree", "project-file"] {
            assert_eq!(outcomes[id].0, "held", "{name} {id}");
        }
        if name == "default" {
            let shared = ["sibling-memory-file"].map(str::to_owned);
            assert_eq!(with(&outcomes, "shared"), shared.into());
        }
    }
    gone(&before);
}

#[test]
fn what_is_shared_on_purpose_is_no_failure() {
    need!(userns());
    let (_alone, place) = (alone(), Place::new());
    place.write("work/.git/config", "");
    for file in ["HEAD", "objects/x", "refs/x", "hooks/x"] {
        place.write(&format!("work/bare/{file}"), "");
    }
    place.write("work/.sbx.toml", "schema = 1\n");
    let home = place.home().display().to_string();
    for (flags, shared) in [
        (&["--net", "host"][..], &["namespace-net", "loopback"][..]),
        (&["--share", "pid"], &["namespace-pid", "host-process-seen", "host-process-signal"]),
        (&["--share", "ipc"], &["namespace-ipc", "system-v-memory"]),
        (&["--share", "uts", "--share", "cgroup", "--share", "time"], &["namespace-uts", "namespace-time"]),
        (&["--set", "namespaces.nested=allow"], &["nested-unshare", "nested-mount"]),
        (&["--set", "namespaces.nested=allow", "--user", "root"], &["nested-unshare"]),
        (&["--rw", &home], &["home", "start-files", "host-write"]),
        (&["--ro", "/tmp"], &["tmp", "socket", "beside"]),
        (&["--rw", "."], &["worktree"]),
        (&["--profile", "ci", "--rw", ".git"], &["worktree"]),
        (&["--profile", "ci", "--rw", "bare"], &["worktree"]),
        (&["--set", "security.setuid_bits=allow"], &["set-id-make"]),
        (&["--set", "security.syscalls.allow=[\"chmod\"]"], &["set-id-make"]),
        (&["--set", "security.syscalls.allow=[\"fcntl\"]"], &["lease"]),
        (
            &["--set", "namespaces.nested=no-mount", "--set", "security.syscalls.allow=[\"setsockopt\"]"],
            &["nested-firewall"],
        ),
        (&["--set", "rlimits.core=0"], &["core-limit"]),
        (&["--set", "security.syscalls.allow=[\"prlimit64\"]"], &["core-limit"]),
        (&["--as-pid-1"], &[]),
    ] {
        let outcomes = selftest(&place, flags, "");
        // Except for the profile's own asserts, which such a flag may break.
        let failed: Vec<_> = failures(&outcomes).into_iter().filter(|line| !line.starts_with("assert-")).collect();
        assert_eq!(failed, Vec::<String>::new(), "{flags:?}");
        for id in shared {
            assert_eq!(outcomes[*id].0, "shared", "{flags:?}: {id}: {}", outcomes[*id].1);
        }
    }
}

#[test]
fn the_fuse_union_holds_what_the_kernels_overlay_does() {
    need!(userns(), fuse());
    let (_alone, place) = (alone(), Place::new());
    for mechanism in ["overlay", "fuse"] {
        let set = format!("filesystem.mechanism=\"{mechanism}\"");
        let outcomes = selftest(&place, &["--overlay", ".", "--set", &set], "");
        assert_eq!(failures(&outcomes), Vec::<String>::new(), "{mechanism}");
        for id in ["overlay-through", "overlay-marks", "overlay-times"] {
            assert_eq!(outcomes[id].0, "held", "{mechanism}, {id}: {}", outcomes[id].1);
        }
    }
}

#[test]
fn what_a_profile_says_cannot_be_read_is_looked_for_wherever_the_view_shows_it() {
    need!(userns());
    let (_alone, place) = (alone(), Place::new());
    place.write("home/.ssh/id", "secret");
    let ssh = place.home().join(".ssh").display().to_string();
    let home = place.home().display().to_string();
    let id = place.home().join(".ssh/id").display().to_string();
    let flags = [format!("assert.cannot_read=[\"{ssh}\"]"), format!("assert.cannot_write=[\"{ssh}\"]")];
    for (from, mode) in [(&ssh, "--ro"), (&home, "--ro"), (&id, "--ro"), (&ssh, "--rw")] {
        let flags = ["--set", &flags[0], "--set", &flags[1], mode, "/keys", "--from", from];
        let failed = failures(&selftest(&place, &flags, ""));
        let told = |what: &str| failed.iter().any(|line| line.contains("/keys") && line.contains(what));
        assert_eq!((told("can be read"), told("can be written to")), (true, mode == "--rw"), "{from}: {failed:?}");
    }
}

/// Runs as a container's engine executes a program in it: the caller's process group has no number there.
#[test]
fn a_group_that_began_outside_of_the_pid_namespace_is_not_tried() {
    need!(userns(), tools(&["unshare"]));
    let (_alone, place) = (alone(), Place::new());
    let mut command = std::process::Command::new("unshare");
    command.args(["--user", "--map-current-user", "--pid", "--fork", "--mount-proc"]).arg(sbx());
    let out =
        ran(command.args(["selftest", "--json"]).env("HOME", place.home()).current_dir(place.work()).output().unwrap());
    let report: serde_json::Value = serde_json::from_str(&out.out).unwrap_or_else(|_| panic!("{out:?}"));
    let lines = report["lines"].as_array().unwrap();
    let line = lines.iter().find(|line| line["id"] == "host-group-signal").unwrap();
    assert_eq!(line["outcome"], "not-run", "{line}");
    assert!(lines.iter().all(|line| line["outcome"] != "failed"), "{out:?}");
}

#[test]
fn the_desktops_sockets_are_found_and_told_apart() {
    need!(userns(), tools(&["dbus-daemon", "xdg-dbus-proxy"]));
    let (_alone, place) = (alone(), Place::new());
    let run = place.dir.path().join("run");
    std::fs::create_dir(&run).unwrap();
    let (_daemon, _) = common::bus::bus(&[&format!("--address=unix:path={}/bus", run.display())]);
    let powers = &["wl_compositor", "zwp_virtual_keyboard_manager_v1"];
    let _wayland = common::compositor::compositor(&run.join("wayland-0"), powers);
    let _agent = UnixListener::bind(run.join("agent")).unwrap();
    let selftest = |flags: &[&str]| {
        let run = run.to_str().unwrap().to_owned();
        let agent = format!("{run}/agent");
        let more = [("XDG_RUNTIME_DIR", run.as_str()), ("WAYLAND_DISPLAY", "wayland-0"), ("SSH_AUTH_SOCK", &agent)];
        selftest_with(&place, flags, &more)
    };
    let bus = |policy: &str| format!("dbus.session.policy={policy}");
    let outcomes = selftest(&[]);
    for id in ["session-bus", "wayland", "wayland-powers", "agents", "sockets", "runtime-dir"] {
        assert_eq!(outcomes[id].0, "held", "{id}: {}", outcomes[id].1);
    }
    assert_eq!(outcomes["session-systemd"].0, "not-run", "this bus has none");
    let outcomes = selftest(&["--set", &bus("host"), "--set", "desktop.wayland=unrestricted"]);
    for id in ["session-bus", "wayland", "wayland-powers"] {
        assert_eq!(outcomes[id].0, "shared", "{id}: {}", outcomes[id].1);
    }
    let outcomes = selftest(&["--set", &bus("filter")]);
    assert_eq!(outcomes["session-bus"].0, "held", "{}", outcomes["session-bus"].1);
    let outcomes = selftest(&["--ro", run.to_str().unwrap()]);
    for id in ["session-bus", "wayland", "wayland-powers", "agents", "sockets", "runtime-dir"] {
        assert_eq!(outcomes[id].0, "shared", "{id}: {}", outcomes[id].1);
    }
}

/// The probes of a sound server, and what a self-test says of each.
const SOUND: [&str; 6] =
    ["pulse-module", "pulse-device", "pulse-others", "pulse-name", "pulse-record", "pulse-monitor"];

fn sound(place: &Place, audio: &Audio, words: &str, off: &str) -> Vec<(String, String)> {
    let flags = ["--set", &format!("desktop.sound={words}")];
    let env = [("XDG_RUNTIME_DIR", audio.runtime.to_str().unwrap()), ("SBX_GUARDS_OFF", off)];
    let outcomes = selftest_with(place, &flags, &env);
    SOUND.iter().map(|id| outcomes[*id].clone()).collect()
}

#[test]
fn what_a_sound_server_does_for_a_program_is_what_the_profile_grants() {
    need!(userns(), not_root(), tools(&["pulseaudio", "pactl"]));
    let (_alone, place) = (alone(), Place::new());
    let audio = Audio::pulseaudio(&place);
    for (words, outcomes) in [
        ("[]", ["held"; 6]),
        ("[\"play\"]", ["held"; 6]),
        ("[\"play\", \"record\"]", ["held", "held", "held", "held", "shared", "held"]),
        ("[\"monitor\"]", ["held", "held", "held", "held", "shared", "shared"]),
        ("[\"unfiltered\"]", ["shared"; 6]),
    ] {
        let found = sound(&place, &audio, words, "");
        assert!(found.iter().map(|(outcome, _)| outcome).eq(outcomes.iter()), "{words}: {found:#?}");
    }
}

/// Run with `cargo test --features guards-off --test selftest each_guard`.
#[cfg(feature = "guards-off")]
#[test]
fn each_guard_of_a_sound_server_that_is_left_out_is_seen() {
    need!(userns(), not_root(), tools(&["pulseaudio", "pactl"]));
    let (_alone, place) = (alone(), Place::new());
    let audio = Audio::pulseaudio(&place);
    let found = sound(&place, &audio, "[\"play\"]", "sound");
    assert!(found.iter().all(|(outcome, _)| outcome == "failed"), "{found:#?}");
}

/// What a self-test of a private network says of these probes.
fn private_network<const N: usize>(flags: &[&str], off: &str, ids: [&str; N]) -> [String; N] {
    let outcomes = selftest_with(&Place::new(), &[&["--net", "private"], flags].concat(), &[("SBX_GUARDS_OFF", off)]);
    ids.map(|id| outcomes[id].0.clone())
}

/// Probes of what a private network keeps away if no line names it.
const NEAR: [&str; 4] = ["metadata", "private-addresses", "link-local", "multicast"];

#[test]
fn what_a_private_network_reaches_is_what_the_profile_grants() {
    need!(userns(), tun(), tools(&["pasta", "slirp4netns"]));
    let _alone = alone();
    for helper in ["pasta", "slirp4netns"] {
        let helper = format!("network.helper={helper}");
        assert_eq!(private_network(&["--set", &helper], "", NEAR), ["held"; 4], "{helper}");
    }
    let rights = ["packet-filter", "address-set", "raw-socket", "raw-socket-6", "packet-socket"];
    assert_eq!(private_network(&["--set", "network.allow=[\"metadata\"]"], "", rights), ["held"; 5]);
    let loopback = ["host-gateway", "loopback-by-interface"];
    assert_eq!(private_network(&["--set", "network.allow=[\"0.0.0.0/0\"]"], "", loopback), ["held"; 2]);
    let near = ["--set", "network.allow=[\"private\", \"link-local\", \"224.0.0.0/4\"]"];
    assert_eq!(private_network(&near, "", NEAR), ["held", "shared", "shared", "shared"]);
}

/// Probes of an allow-list by name.
const BY_NAME: [&str; 2] = ["address-unasked", "other-name-server"];

#[test]
fn a_list_of_names_is_tried_by_addresses_that_no_name_was_asked_for() {
    need!(userns(), tun(), tools(&["pasta", "slirp4netns"]));
    let _alone = alone();
    for (flags, outcomes) in [
        (&["--set", "network.allow=[\"one.example:443\"]"][..], ["held", "held"]),
        // All other addresses of the Internet are reached by that, but no name server that would tell those of the name.
        (&["--set", "network.deny=[\"one.example\"]"], ["shared", "held"]),
        (&["--set", "network.allow=[\"one.example\", \"0.0.0.0/0\", \"::/0\"]"], ["shared", "shared"]),
        (&[], ["not-run", "not-run"]),
    ] {
        assert_eq!(private_network(flags, "", BY_NAME), outcomes, "{flags:?}");
    }
}

/// What a self-test says of other sandboxes in a network that they share.
fn shared_network(kind: &[&str], flags: &[&str], off: &str) -> String {
    let place = Place::new();
    place.run(&[&["network", "create", "one"], kind].concat()).ok();
    let outcomes = selftest_with(&place, &[&["--network", "one"], flags].concat(), &[("SBX_GUARDS_OFF", off)]);
    assert!(until(|| place.run(&["network", "rm", "one"]).status == Some(0)));
    let failed = with(&outcomes, "failed");
    assert!(failed.iter().all(|id| !off.is_empty() && id == "other-sandboxes"), "{:#?}", failures(&outcomes));
    outcomes["other-sandboxes"].0.clone()
}

#[test]
fn what_a_network_that_sandboxes_share_reaches_is_what_the_profile_grants() {
    need!(userns(), tun(), tools(&["pasta", "slirp4netns"]));
    let _alone = alone();
    for kind in [&[][..], &["--internal"]] {
        assert_eq!(shared_network(kind, &[], ""), "shared", "{kind:?}");
        assert_eq!(shared_network(kind, &["--set", "network.deny=[\"private\"]"], ""), "held", "{kind:?}");
    }
}

#[test]
fn a_self_test_sees_that_landlock_holds_tcp() {
    need!(userns(), tun(), landlock(4), tools(&["pasta", "slirp4netns"]));
    let _alone = alone();
    let flags = ["--set", "network.allow=[\":443/tcp\"]", "--set", "security.landlock_tcp=require"];
    assert_eq!(private_network(&flags, "", ["landlock-tcp"]), ["held"]);
    assert_eq!(private_network(&flags[..2], "", ["landlock-tcp"]), ["not-run"]);
}

/// Run with `cargo test --features guards-off --test selftest each_guard`.
#[cfg(feature = "guards-off")]
#[test]
fn each_guard_of_a_private_network_that_is_left_out_is_seen() {
    need!(userns(), tun(), tools(&["pasta", "slirp4netns"]));
    let _alone = alone();
    assert_eq!(private_network(&[], "rules", NEAR), ["failed"; 4]);
    let [unasked, servers] = private_network(&["--set", "network.allow=[\"one.example\"]"], "names", BY_NAME);
    assert_eq!((unasked.as_str(), servers.as_str()), ("failed", "held"));
    let denied = ["--set", "network.deny=[\"one.example\"]"];
    assert_eq!(private_network(&denied, "name-servers", BY_NAME), ["shared", "failed"]);
    assert_eq!(shared_network(&[], &["--set", "network.deny=[\"private\"]"], "peers"), "failed");
    let rights = ["packet-filter", "address-set", "raw-socket-6"];
    assert_eq!(private_network(&[], "filter,capabilities", rights), ["failed"; 3]);
    let flags = ["--set", "network.allow=[\":443/tcp\"]", "--set", "security.landlock_tcp=prefer"];
    assert_eq!(private_network(&flags, "landlock-tcp", ["landlock-tcp"]), ["failed"]);
}

/// What a self-test says of the SSH agent, with an agent that has a key.
fn ssh_agent(flags: &[&str], off: &str) -> Vec<(String, String)> {
    let place = Place::new();
    let agent = Agent::new(&place, &["first"]);
    let env =
        [("SSH_AUTH_SOCK", agent.socket.to_str().unwrap()), ("SSH_ASKPASS", "/usr/bin/true"), ("SBX_GUARDS_OFF", off)];
    let outcomes = selftest_with(&place, flags, &env);
    assert_eq!(agent.list().len(), 1, "nothing is left in the agent");
    ["ssh-agent-add", "ssh-agent-sign"].map(|id| outcomes[id].clone()).into()
}

#[test]
fn what_an_ssh_agent_does_for_a_program_is_what_the_profile_grants() {
    need!(userns(), tools(&["ssh-agent", "ssh-add", "ssh-keygen"]));
    let _alone = alone();
    for value in ["false", "true", "unconfirmed"] {
        let found = ssh_agent(&["--set", &format!("services.ssh-agent={value}")], "");
        assert!(found.iter().all(|(outcome, _)| outcome == "held"), "{value}: {found:#?}");
    }
}

/// Run with `cargo test --features guards-off --test selftest each_guard`.
#[cfg(feature = "guards-off")]
#[test]
fn each_guard_of_an_ssh_agent_that_is_left_out_is_seen() {
    need!(userns(), tools(&["ssh-agent", "ssh-add", "ssh-keygen"]));
    let _alone = alone();
    let found = ssh_agent(&["--set", "services.ssh-agent=unconfirmed"], "ssh-agent");
    assert!(found.iter().all(|(outcome, _)| outcome == "failed"), "{found:#?}");
}

/// What a self-test of `ci` says of gpg-agent, and of the promise that `~/.gnupg` cannot be read.
fn gpg_agent(value: &str, off: &str) -> [String; 2] {
    let place = Place::new();
    let _agent = GpgAgent::new(&place, "");
    let flags = ["--profile", "ci", "--set", &format!("services.gpg-agent={value}")];
    let outcomes = selftest_with(&place, &flags, &[("SBX_GUARDS_OFF", off)]);
    ["gpg-agent-full", "assert-2"].map(|id| outcomes[id].0.clone())
}

#[test]
fn what_gpg_agent_does_for_a_program_is_what_the_profile_grants() {
    need!(userns(), tools(&["gpg", "gpgconf", "gpg-agent"]), no_session());
    let _alone = alone();
    assert_eq!(gpg_agent("false", ""), ["held", "held"]);
    assert_eq!(gpg_agent("true", ""), ["held", "shared"]);
}

/// Run with `cargo test --features guards-off --test selftest each_guard`.
#[cfg(feature = "guards-off")]
#[test]
fn each_guard_of_gpg_agent_that_is_left_out_is_seen() {
    need!(userns(), tools(&["gpg", "gpgconf", "gpg-agent"]), no_session());
    let _alone = alone();
    assert_eq!(gpg_agent("true", "gpg-agent")[0], "failed");
}

#[test]
fn a_self_test_that_is_killed_leaves_nothing() {
    need!(userns());
    let (_alone, place) = (alone(), Place::new());
    let before = traces();
    for milliseconds in (0..150).step_by(5) {
        let mut child = place.command().arg("selftest").stdout(std::process::Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(milliseconds));
        let _ = child.kill();
        child.wait().unwrap();
    }
    gone(&before);
}

#[test]
fn the_table_names_groups_and_counts() {
    need!(userns());
    let (_alone, place) = (alone(), Place::new());
    let out = place.run(&["selftest"]);
    assert!(out.out.starts_with("processes\n  held     see a process of the host in /proc\n"), "{out:?}");
    assert!(out.out.lines().last().unwrap().contains(" shared as the profile says, "), "{out:?}");
    let error = place.run(&["selftest", "--ro", "/nowhere"]).failed(125);
    assert!(error.contains("/nowhere"), "{error}");
}

/// Each guard that is left out: other guards that have to be left out for that, the guard, and the probes that have to
/// fail.
#[cfg(feature = "guards-off")]
const GUARDS: &[(&str, &str, &[&str])] = &[
    ("", "filter", &["filter", "tioclinux", "calls-i386-keys", "set-id-make", "core-limit", "lease"]),
    // Without no_new_privs the kernel accepts no filter of an ordinary user.
    ("filter", "no-new-privs", &["no-new-privs"]),
    ("", "capabilities", &["capabilities-effective", "capabilities-ambient", "raw-socket"]),
    ("filter,landlock", "capabilities", &["mount", "umount"]),
    ("", "bounding", &["capabilities-bounding"]),
    ("", "securebits", &["securebits"]),
    // The filter denies it as well.
    ("filter", "keyring", &["key-session"]),
    ("filter", "dumpable", &["first-trace", "first-memory", "first-descriptor", "first-files"]),
    ("", "arguments", &["launcher-arguments"]),
    ("", "descriptors", &["descriptor-inherited", "descriptors-more", "descriptor-root"]),
    // Landlock denies that the file is opened for writing, and nothing else denies chmod.
    ("", "streams", &["stream-change"]),
    ("", "environment", &["environment"]),
    // The filter and Landlock deny it as well.
    ("filter,landlock", "nested", &["nested-unshare", "nested-clone", "nested-mount"]),
    ("", "session", &["host-session"]),
    ("", "memory", &["memory-files"]),
    ("", "masks", &["masked-read", "denied-read", "stores"]),
    ("", "pins", &["inner-move"]),
    ("", "git-identity", &["git-secrets"]),
    ("", "private", &["home", "shm"]),
    ("landlock", "system-only", &["beside-system"]),
    ("", "devices", &["mounts-nodev", "terminals"]),
    ("", "proc-masks", &["proc-keys", "interrupts"]),
    (
        "",
        "read-only",
        &["ro-write", "ro-reopen", "ro-change", "inner-write", "host-write", "mounts-writable", "project-file"],
    ),
    ("", "nosuid", &["mounts-nosuid"]),
    ("", "nodev", &["mounts-nodev"]),
    ("landlock", "net", &["namespace-net", "loopback", "abstract-socket", "abstract-sockets"]),
    ("", "ipc", &["namespace-ipc", "system-v-memory", "system-v-semaphores", "system-v-messages", "posix-queue"]),
    ("", "uts", &["namespace-uts"]),
    ("landlock", "pid", &["namespace-pid", "host-process-seen", "host-process-signal", "host-process-pidfd"]),
    ("", "cgroup", &["namespace-cgroup"]),
    ("", "time", &["namespace-time"]),
    ("", "overlay", &["overlay-through"]),
];

/// Run with `cargo test --features guards-off --test selftest`.
#[cfg(feature = "guards-off")]
#[test]
fn each_guard_that_is_left_out_is_seen() {
    need!(userns());
    let (_alone, place) = (alone(), Place::new());
    let rw = place.work().display().to_string();
    std::fs::create_dir(place.work().join("inner")).unwrap();
    let inner = format!("{rw}/inner");
    let over = place.dir.path().join("over");
    std::fs::create_dir(&over).unwrap();
    let over = over.display().to_string();
    place.sh(&["--home", "private:one"], "true").ok();
    let data = place.home().join(".local/share").display().to_string();
    let mut unseen = Vec::new();
    place.write("home/.gitconfig", "[user]\nname = A\n[credential]\nhelper = secret\n");
    place.write("work/.sbx.toml", "schema = 1\n");
    let git = "services.git-identity=true";
    for (besides, guard, who) in GUARDS {
        let flags = ["--rw", &rw, "--ro", &inner, "--overlay", &over, "--ro", &data, "--set", git];
        let held = selftest(&place, &flags, besides);
        let off = selftest(&place, &flags, &format!("{besides},{guard}"));
        let seen: Vec<_> = with(&off, "failed").difference(&with(&held, "failed")).cloned().collect();
        eprintln!("without {guard}: {}", seen.join(" "));
        let missing = who.iter().filter(|id| !seen.iter().any(|seen| seen == *id) && held[**id].0 != "not-run");
        unseen.extend(missing.map(|id| format!("{id} does not see that {guard} is off: {:?}", off[*id])));
        assert!(!seen.is_empty(), "nobody sees that {guard} is off");
    }
    assert!(unseen.is_empty(), "{unseen:#?}");
}
