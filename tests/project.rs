//! A project's `.sbx.toml` comes with a repository that somebody cloned: each way to loosen the sandbox is refused, and
//! each way to tighten it works.

mod common;

use common::{Place, Ran, userns};

/// Runs `true` under a profile of the user's with the text `profile`, in a project with the file `project`.
fn with(profile: &str, project: &str) -> Ran {
    let place = Place::new();
    place.write("home/.ssh/id_test", "secret");
    place.write("home/tool/data", "data");
    place.write("work/sub/file", "text");
    std::os::unix::fs::symlink(place.home().join(".ssh"), place.work().join("link")).unwrap();
    place.write("home/.config/sbx/profiles/mine.toml", &format!("schema = 1\nextends = [\"base/host\"]\n{profile}"));
    place.write("work/.sbx.toml", &format!("schema = 1\n{project}"));
    place.run(&["plan", "--profile", "mine", "--", "/bin/true"])
}

const BASE: &str = "[filesystem.paths]\n\"${CWD}\" = \"ro\"\n\"${CWD}/sub\" = \"masked\"\n\"~/tool\" = \"ro\"\n";

/// A profile with one key of the SSH agent.
const SSH_AGENT: &str = "[services]\nssh-agent = true\nssh-agent-keys = [\"work\"]\n";

#[test]
fn every_way_to_loosen_is_refused() {
    let cases = [
        ("more system calls", "", "[security]\nseccomp = \"off\""),
        ("a system call", "", "[security]\nsyscalls = { allow = [\"ptrace\"] }"),
        (
            "a denied call taken away",
            "[security]\nsyscalls = { deny = [\"chmod\"] }",
            "[security]\nsyscalls = { deny = [\"!chmod\"] }",
        ),
        ("32-bit programs", "", "[security]\narch = [\"native\", \"x86\"]"),
        ("a promise taken away", "[assert]\ncannot_read = [\"~/.ssh\"]", "[assert]\ncannot_read = [\"!~/.ssh\"]"),
        ("less of Landlock", "", "[security]\nlandlock = \"off\""),
        (
            "less of Landlock than is required",
            "[security]\nlandlock = \"require\"",
            "[security]\nlandlock = \"prefer\"",
        ),
        ("set-user-ID bits", "", "[security]\nsetuid_bits = \"allow\""),
        ("what is reached", "[network]\nmode = \"private\"", "[network]\nallow = [\"private\"]"),
        (
            "a refusal taken away",
            "[network]\nmode = \"private\"\ndeny = [\":25/tcp\"]",
            "[network]\ndeny = [\"!:25/tcp\"]",
        ),
        ("a capability", "", "[security]\ncapabilities = [\"CAP_NET_RAW\"]"),
        ("a program", "", "[process]\nargs = [\"sh\"]"),
        ("a profile to build on", "", "extends = [\"browser\"]"),
        ("the directory to start in", "", "[process]\ncwd = \"/\""),
        ("a host name", "", "[process]\nhostname = \"x\""),
        ("ids", "", "[process]\nuser = \"root\""),
        ("a variable that is set", "", "[process]\nenv = { LD_PRELOAD = \"/work/evil.so\" }"),
        ("a variable that is passed", "", "[process]\nenv_pass = [\"SSH_AUTH_SOCK\"]"),
        ("the caller's terminal", "", "[process]\ntty = \"inherit\""),
        ("no time limit any more", "[process]\ntimeout = \"1m\"", "[process]\ntimeout = \"2m\""),
        ("more memory", "[limits]\nmemory_max = \"1G,prefer\"", "[limits]\nmemory_max = \"2G,prefer\""),
        ("a limit that may be missing", "[limits]\npids_max = 10", "[limits]\npids_max = \"5,prefer\""),
        ("more of the processors", "[limits]\ncpu_max = \"50%,prefer\"", "[limits]\ncpu_max = \"max,prefer\""),
        ("other processors", "[limits]\ncpus = \"0,prefer\"", "[limits]\ncpus = \"1,prefer\""),
        ("memory for itself", "", "[limits]\nmemory_min = \"1G,prefer\""),
        ("weight", "", "[limits]\ncpu_weight = \"10000,prefer\""),
        ("cgroups of its own", "", "[limits]\ndelegate = true"),
        ("a shared namespace", "", "[namespaces]\nshare = [\"ipc\"]"),
        ("nested namespaces", "", "[namespaces]\nnested = \"allow\""),
        ("the shared memory of another sandbox", "", "[namespaces]\nipc = \"join:1\""),
        ("the host name of another sandbox", "", "[namespaces]\nuts = \"join:1\""),
        ("another root", "", "[filesystem]\nroot = \"dir:/\""),
        ("the whole tree", BASE, "[filesystem.paths]\n\"/\" = \"ro\""),
        ("what is read-only, writable", BASE, "[filesystem.paths]\n\"${CWD}\" = \"rw\""),
        ("a part of it, writable", BASE, "[filesystem.paths]\n\"${CWD}/sub/deeper\" = \"rw\""),
        ("the same, spelt otherwise", BASE, "[filesystem.paths]\n\"${CWD}//./\" = \"rw\""),
        ("what is masked, shown", BASE, "[filesystem.paths]\n\"${CWD}/sub\" = \"ro\""),
        ("something in what is masked", BASE, "[filesystem.paths]\n\"${CWD}/sub/file\" = \"ro\""),
        ("an inherited path taken away", BASE, "[filesystem.paths]\n\"${CWD}/sub\" = \"!\""),
        ("the home", "", "[filesystem.paths]\n\"~\" = \"ro\""),
        ("something in the home", "", "[filesystem.paths]\n\"~/.ssh\" = \"ro\""),
        ("beside something shown in the home", BASE, "[filesystem.paths]\n\"~/.ssh\" = \"ro\""),
        ("a place in the home", "", "[filesystem.paths]\n\"xdg-documents\" = \"ro\""),
        ("somebody else's home", "", "[filesystem.paths]\n\"/home/other\" = \"ro\""),
        ("root's home", "", "[filesystem.paths]\n\"/root\" = \"ro\""),
        ("the host's /run", "", "[filesystem.paths]\n\"/run\" = \"ro\""),
        ("the host's /tmp", "", "[filesystem.paths]\n\"/tmp/x\" = \"ro\""),
        ("the host's /dev", "", "[filesystem.paths]\n\"/dev/mem\" = \"rw\""),
        ("the host's /proc", "", "[filesystem.paths]\n\"/proc\" = \"ro\""),
        ("the host's /sys", "", "[filesystem.paths]\n\"/sys\" = \"ro\""),
        ("a directory that is no part of the system", "", "[filesystem.paths]\n\"/data\" = \"ro\""),
        ("a file in it, writable", "", "[filesystem.paths]\n\"/scratch/x/file\" = \"rw\""),
        ("the home through a link", BASE, "[filesystem.paths]\n\"${CWD}/link\" = \"ro\""),
        ("/run through a link of the system", "", "[filesystem.paths]\n\"/var/run\" = \"ro\""),
        ("another source", BASE, "[filesystem.paths]\n\"${CWD}\" = \"ro,from=/root\""),
        ("a directory made on the host", BASE, "[filesystem.paths]\n\"${CWD}/new\" = \"rw,create\""),
        ("a mode that may fail", BASE, "[filesystem.paths]\n\"${CWD}/sub\" = \"hidden,prefer\""),
        ("what nobody may read anyway, shown", "", "[filesystem.paths]\n\"/etc/shadow\" = \"ro\""),
        ("memory in what is empty", "", "[filesystem]\npaths = { \"/etc/shadow\" = \"tmpfs\" }"),
        (
            "a larger memory",
            "[filesystem.paths]\n\"${CWD}/sub\" = \"tmpfs,size=1M\"",
            "[filesystem.paths]\n\"${CWD}/sub\" = \"tmpfs,size=2M\"",
        ),
        ("a device", "", "[devices]\nallow = [\"kvm\"]"),
        ("a device by path", "", "[devices]\nallow = [\"/dev/sda\"]"),
        ("the network", "", "[network]\nmode = \"host\""),
        ("a higher limit", "[rlimits]\nnofile = 64", "[rlimits]\nnofile = 128"),
        ("a limit switched off", "", "[rlimits]\ncore = \"unlimited\""),
        ("a higher limit than the caller's own", "", "[rlimits]\nnofile = 99999999999"),
        ("a higher soft limit", "[rlimits]\nnofile = \"64:128\"", "[rlimits]\nnofile = \"100:128\""),
        (
            "an option of the line below dropped",
            "[filesystem.paths]\n\"${CWD}\" = \"rw,noexec\"",
            "[filesystem.paths]\n\"${CWD}\" = \"rw\"",
        ),
        (
            "another source than that of the line below",
            "[filesystem.paths]\n\"${CWD}\" = \"ro,from=/usr\"",
            "[filesystem.paths]\n\"${CWD}\" = \"ro\"",
        ),
        (
            "a part of what comes from elsewhere",
            "[filesystem.paths]\n\"${CWD}\" = \"ro,from=/usr\"",
            "[filesystem.paths]\n\"${CWD}/sub\" = \"ro\"",
        ),
        ("a higher hard limit", "[rlimits]\nnofile = 64", "[rlimits]\nnofile = \"64:65\""),
        ("the compositor", "", "[desktop]\nwayland = true"),
        ("a compositor that restricts nothing", "[desktop]\nwayland = true", "[desktop]\nwayland = \"unrestricted\""),
        ("the X server", "", "[desktop]\nx11 = true"),
        ("an X server in a window", "[desktop]\nx11 = \"virtual\"", "[desktop]\nx11 = \"nested\""),
        ("the host's X server", "[desktop]\nx11 = \"nested\"", "[desktop]\nx11 = true"),
        ("sound", "", "[desktop]\nsound = [\"play\"]"),
        ("a portal", "", "[desktop]\nportals = [\"open-uri\"]"),
        ("the identity for git", "", "[services]\ngit-identity = true"),
        ("gpg-agent", "", "[services]\ngpg-agent = true"),
        ("the SSH agent", "", "[services]\nssh-agent = true"),
        ("the SSH agent without a question", SSH_AGENT, "[services]\nssh-agent = \"unconfirmed\""),
        ("a key of the SSH agent", SSH_AGENT, "[services]\nssh-agent-keys = [\"other\"]"),
        ("all keys of the SSH agent", SSH_AGENT, "[services]\nssh-agent-keys = [\"!work\"]"),
        ("the session bus", "", "[dbus.session]\npolicy = \"filter\""),
        ("all of the session bus", "[dbus.session]\npolicy = \"filter\"", "[dbus.session]\npolicy = \"host\""),
        ("a name on the bus", "[dbus.session]\npolicy = \"filter\"", "[dbus.session]\ntalk = [\"org.x.Y\"]"),
        ("a call on the bus", "[dbus.session]\npolicy = \"filter\"", "[dbus.session]\ncall = [\"org.x.Y=*\"]"),
    ];
    for (what, profile, project) in cases {
        let error = with(profile, project).failed(125);
        assert!(error.contains(".sbx.toml"), "{what}: {error}");
        assert!(error.contains("may only tighten") || error.contains("through a link"), "{what}: {error}");
        assert!(!error.contains("secret"), "{what}: {error}");
    }
}

#[test]
fn every_key_is_either_refused_or_known_to_tighten() {
    // What a project's file may say, each with a value that is stricter than `BASE` and base/host.
    let tightens = [
        ("schema", ""),
        ("description", "description = \"x\""),
        ("process.timeout", "[process]\ntimeout = \"1s\""),
        ("process.env_pass", "[process]\nenv_pass = [\"!LANG\"]"),
        ("namespaces.share", "[namespaces]\nshare = [\"!ipc\"]"),
        ("namespaces.nested", "[namespaces]\nnested = \"deny\""),
        ("namespaces.ipc", "[namespaces]\nipc = \"private\""),
        ("namespaces.uts", "[namespaces]\nuts = \"private\""),
        ("filesystem.paths", "[filesystem.paths]\n\"${CWD}/sub\" = \"deny\""),
        ("filesystem.paths", "[filesystem.paths]\n\"/data\" = \"masked,optional\""),
        ("filesystem.paths", "[filesystem.paths]\n\"${CWD}/.env\" = \"masked,optional\""),
        ("filesystem.arguments", "[filesystem]\narguments = \"none\""),
        ("devices.allow", "[devices]\nallow = [\"!gpu\"]"),
        ("network.mode", "[network]\nmode = \"none\""),
        ("network.deny", "[network]\ndeny = [\"private\", \"203.0.113.0/24\"]"),
        ("network.on_helper_death", "[network]\non_helper_death = \"end\""),
        ("security.seccomp", "[security]\nseccomp = \"strict\""),
        ("security.syscalls.deny", "[security]\nsyscalls = { deny = [\"@debug\"] }"),
        ("security.syscalls.allow", "[security]\nsyscalls = { allow = [\"!ptrace\"] }"),
        ("security.arch", "[security]\narch = [\"!x86\"]"),
        ("assert.cannot_read", "[assert]\ncannot_read = [\"~/.ssh\"]"),
        ("assert.cannot_write", "[assert]\ncannot_write = [\"/usr\"]"),
        ("assert.cannot_reach", "[assert]\ncannot_reach = [\"127.0.0.1:631\"]"),
        ("security.landlock", "[security]\nlandlock = \"require\""),
        ("security.landlock_tcp", "[security]\nlandlock_tcp = \"off\""),
        ("security.setuid_bits", "[security]\nsetuid_bits = \"deny\""),
        ("security.capabilities", "[security]\ncapabilities = [\"!CAP_NET_RAW\"]"),
        ("rlimits.core", "[rlimits]\ncore = 1"),
        ("rlimits.nofile", "[rlimits]\nnofile = 20"),
        ("limits.memory_max", "[limits]\nmemory_max = \"1G,prefer\""),
        ("limits.cpu_max", "[limits]\ncpu_max = \"50%,prefer\""),
        ("desktop.wayland", "[desktop]\nwayland = false"),
        ("desktop.x11", "[desktop]\nx11 = false"),
        ("desktop.sound", "[desktop]\nsound = [\"!play\"]"),
        ("desktop.portals", "[desktop]\nportals = [\"!camera\"]"),
        ("dbus.session.policy", "[dbus.session]\npolicy = \"none\""),
        ("services.gpg-agent", "[services]\ngpg-agent = false"),
        ("services.ssh-agent", "[services]\nssh-agent = false"),
        ("services.ssh-agent-keys", "[services]\nssh-agent-keys = [\"work\"]"),
        ("services.git-identity", "[services]\ngit-identity = false"),
        ("filesystem.memory", "[filesystem]\nmemory = \"64M\""),
        ("dbus.session.talk", "[dbus.session]\ntalk = [\"!org.x.Y\"]"),
    ];
    for (key, text) in tightens {
        let ran = with(BASE, text);
        assert_eq!(ran.status, Some(0), "{key}: {ran:#?}");
    }
    // A new key has to be decided on: here and in profile/project.rs.
    let refused = [
        "extends",
        "process.args",
        "process.cwd",
        "process.hostname",
        "process.domainname",
        "process.user",
        "process.env",
    ];
    let refused = [
        &refused[..],
        &[
            "process.tty",
            "filesystem.root",
            "filesystem.home",
            "filesystem.upper",
            "filesystem.upper_size",
            "filesystem.mechanism",
            "security.syscalls.errno",
            "profile.programs",
            "network.helper",
            "network.publish",
            "network.aliases",
            "network.ip6",
            "network.forward",
            "network.dns",
            "network.allow",
            // By an answer the program reaches more, and without questions, where nothing is allowed, the Internet.
            "network.ask",
        ],
    ]
    .concat();
    for key in sbx::profile::schema::KEYS {
        let group = ["rlimits.", "limits.", "dbus.session."].iter().any(|group| key.name.starts_with(group));
        let known = tightens.iter().any(|(name, _)| *name == key.name) || refused.contains(&key.name) || group;
        assert!(known, "{}: may a project's file say this?", key.name);
    }
}

#[test]
fn what_it_tightens_is_tighter() {
    need!(userns());
    let place = Place::new();
    place.write("work/keys/private", "secret");
    place.write(
        "work/.sbx.toml",
        "schema = 1\n[filesystem.paths]\n\"${CWD}/keys\" = \"deny\"\n[rlimits]\nnofile = 20\n",
    );
    let out = place.sh(&[], "cat keys/private; ulimit -n");
    assert!(out.err.contains("Permission denied") && out.out == "20\n", "{out:?}");
    let out = place.sh(&["--no-project"], "cat keys/private");
    assert_eq!(out.ok(), "secret");
}

#[test]
fn what_sbx_closes_by_itself_where_no_line_names_it_stays_closed() {
    need!(userns());
    let place = Place::new();
    let with = |lines: &str, flags: &[&str]| {
        place.write("work/.sbx.toml", &format!("schema = 1\n{lines}\n"));
        place.run(
            &[flags, &["--", "/bin/sh", "-c", "df --output=size -k /tmp | tail -n 1; grep core /proc/self/limits"]]
                .concat(),
        )
    };
    for path in ["/etc/machine-id", "/var/lib/dbus/machine-id"] {
        if std::path::Path::new(path).exists() {
            let error = with(&format!("[filesystem.paths]\n\"{path}\" = \"ro\""), &[]).failed(125);
            assert!(error.contains("machine-id` is `tmpfs` here, and a project's file cannot make it `ro`"), "{error}");
        }
    }
    for lines in ["\"/tmp\" = \"tmpfs,size=30G\"", "\"/tmp/a\" = \"tmpfs,size=1M\"", "\"/tmp\" = \"tmpfs,size=0\""] {
        let error = with(&format!("[filesystem.paths]\n{lines}"), &["--tmpfs-size", "64M"]).failed(125);
        assert!(error.contains("bytes of memory") || error.contains("has no limit"), "{lines}: {error}");
    }
    let smaller = with("[filesystem.paths]\n\"/tmp\" = \"tmpfs,size=1M\"", &["--tmpfs-size", "64M"]).ok();
    assert!(smaller.trim_start().starts_with("1024\n"), "{smaller}");
    // A limit of 1 keeps core dumps from a handler outside, and 0 does not.
    let error = with("[rlimits]\ncore = 0", &[]).failed(125);
    assert!(error.contains("a higher limit"), "{error}");
    with("[rlimits]\ncore = 1", &[]).ok();
    // A size of one's own limits the number of files, too.
    let files = place.run(&[
        "--no-project",
        "--tmpfs",
        "/tmp/a,size=1M",
        "--",
        "/bin/sh",
        "-c",
        "df --output=itotal /tmp/a | tail -n 1",
    ]);
    assert_eq!(files.ok().trim(), "256");
}

#[test]
fn what_is_left_out_without_it_is_left_out_with_it() {
    need!(userns());
    let place = Place::new();
    place.write("work/secrets/key", "secret");
    place.write("work/file", "text");
    let secrets = place.work().join("secrets").display().to_string();
    let profile = |text: String| {
        place.write("home/.config/sbx/profiles/mine.toml", &format!("schema = 1\nextends = [\"ci\"]\n{text}"))
    };
    let with = |project: &str| {
        place.write("work/.sbx.toml", &format!("schema = 1\n{project}\n"));
        place.sh(
            &["-q", "--profile", "mine"],
            &format!("cat {0}/file {0}/secrets/key; touch {0}/made", place.work().display()),
        )
    };
    let none = |out: Ran| {
        assert!(!out.out.contains("text") && !out.out.contains("secret"), "{out:?}");
        assert!(!place.work().join("made").exists(), "{out:?}");
    };
    // The directory holds what must not be written to, and no line of the profile's closes that.
    profile(format!("[assert]\ncannot_write = [{secrets:?}]\n"));
    none(with(""));
    for mode in ["ro", "masked", "tmpfs", "deny"] {
        none(with(&format!("[filesystem.paths]\n{secrets:?} = \"{mode}\"")));
    }
    // A path may hold a comma: this one says nothing of the other.
    let work = place.work().display().to_string();
    for promise in ["cannot_read", "cannot_write"] {
        profile(format!("[assert]\n{promise} = [{work:?}]\n"));
        none(with(""));
        none(with(&format!("[assert]\n{promise} = [\"{work},x\"]")));
    }
}

#[test]
fn what_a_line_closes_around_the_current_directory_is_not_opened_by_the_directorys_own_file() {
    need!(userns());
    let place = Place::new();
    place.write("work/closed/a/s", "secret");
    place.write("work/closed/a/b/s", "secret");
    place.write("work/closed/other/s", "secret");
    let dir = place.work().join("closed/a").display().to_string();
    let closed = place.work().join("closed").display().to_string();
    let sub = format!("{dir}/b");
    let script = format!("cat {dir}/s {sub}/s {closed}/other/s; touch {dir}/made {sub}/made");
    let run = |flags: &[&str]| {
        let mut command = place.command();
        command.current_dir(&dir).args(["-q", "--profile", "mine"]).args(flags).args(["--", "/bin/sh", "-c", &script]);
        common::ran(command.output().unwrap())
    };
    for base in ["default", "ci", "shell"] {
        for above in ["hidden", "tmpfs", "masked", "deny"] {
            // The profile's own lines for the directory say nothing of what another closes.
            for own in ["", "\"${CWD}\" = \"rw\"\n", "\"${PROJECT}\" = \"rw\"\n", "\"${CWD}/b\" = \"rw\"\n"] {
                let profile =
                    format!("schema = 1\nextends = [{base:?}]\n[filesystem.paths]\n{closed:?} = {above:?}\n{own}");
                place.write("home/.config/sbx/profiles/mine.toml", &profile);
                let names = ["${CWD}", "${PROJECT}", "${CWD}/b", "${CWD}/s", &dir, &sub, &closed];
                // All pairs would take long, and each name stands for all modes.
                for (name, mode) in names.iter().zip(["ro", "rw", "overlay", "ro", "ro", "rw", "ro"]) {
                    place.write(
                        "work/closed/a/.sbx.toml",
                        &format!("schema = 1\n[filesystem.paths]\n{name:?} = {mode:?}\n"),
                    );
                    let out = run(&[]);
                    let what = format!("{base} {above} {own:?} {name} {mode}: {out:?}");
                    assert!(!out.out.contains("secret"), "{what}");
                    assert!(!place.work().join("closed/a/made").exists(), "{what}");
                    assert!(!place.work().join("closed/a/b/made").exists(), "{what}");
                }
            }
        }
    }
    // The line that names the directory is refused, with what is in force there; what tightens goes on.
    let profile = format!("schema = 1\nextends = [\"default\"]\n[filesystem.paths]\n{closed:?} = \"hidden\"\n");
    place.write("home/.config/sbx/profiles/mine.toml", &profile);
    place.write("work/closed/a/.sbx.toml", &format!("schema = 1\n[filesystem.paths]\n{dir:?} = \"ro\"\n"));
    let error = run(&[]).failed(125);
    assert!(error.contains("a` is `hidden` here, and a project's file cannot make it `ro`"), "{error}");
    place.write("work/closed/a/.sbx.toml", "schema = 1\n[filesystem.paths]\n\"${CWD}/b\" = \"deny\"\n");
    assert_eq!(run(&[]).out, "");
    // The user's own flag opens it, and the file may tighten that.
    assert_eq!(run(&["--no-project", "--ro", &sub]).out, "secret");
    place.write("work/closed/a/.sbx.toml", "schema = 1\n[filesystem.paths]\n\"${CWD}/b/s\" = \"masked\"\n");
    assert_eq!(run(&["--rw", &sub]).out, "");
    assert!(place.work().join("closed/a/b/made").exists());
}

#[test]
fn what_a_variable_outside_names_as_code_is_not_opened_by_its_lines() {
    need!(userns());
    let place = Place::new();
    place.write("work/s/env.sh", ":");
    let file = place.work().join("s/env.sh");
    let run = |project: &str| {
        place.write("work/.sbx.toml", &format!("schema = 1\n{project}\n"));
        let mut command = place.command();
        command.env("BASH_ENV", &file).args([
            "-q",
            "--profile",
            "ci",
            "--",
            "/bin/sh",
            "-c",
            "echo x >> s/env.sh; echo done",
        ]);
        common::ran(command.output().unwrap())
    };
    let lines = [
        "",
        "\"${CWD}/s/env.sh\" = \"rw\"",
        "\"${CWD}/s\" = \"rw\"",
        "\"${CWD}\" = \"rw\"",
        "\"${CWD}/s\" = \"overlay\"",
    ];
    for line in lines {
        let out = run(&format!("[filesystem.paths]\n{line}"));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), ":", "{line}: {out:?}");
        assert!(out.err.contains("Read-only") || out.err.contains("a project's file cannot"), "{line}: {out:?}");
    }
    assert_eq!(run("[filesystem.paths]\n\"${CWD}/s\" = \"ro\"").ok(), "done\n");
}

#[test]
fn of_another_root_it_shows_nothing_of_the_hosts() {
    need!(userns());
    let place = Place::new();
    for dir in ["usr", "etc", "tmp", "proc", "dev"] {
        std::fs::create_dir_all(place.dir.path().join("root").join(dir)).unwrap();
    }
    for link in ["bin", "lib", "lib64"] {
        std::os::unix::fs::symlink(format!("usr/{link}"), place.dir.path().join("root").join(link)).unwrap();
    }
    let root = place.dir.path().join("root").display().to_string();
    let profile = format!("schema = 1\n[filesystem]\nroot = \"dir:{root}\"\n[filesystem.paths]\n\"/usr\" = \"ro\"\n");
    place.write("home/.config/sbx/profiles/tree.toml", &profile);
    let with = |project: &str| {
        place.write("work/.sbx.toml", &format!("schema = 1\n[filesystem.paths]\n{project}\n"));
        place.run(&["-q", "--profile", "tree", "--", "/bin/ls", "/etc"])
    };
    for path in ["/etc", "/etc/passwd"] {
        let error = with(&format!("\"{path}\" = \"ro\"")).failed(125);
        assert!(error.contains("a project's file cannot"), "{path}: {error}");
    }
    assert_eq!(with("\"/etc\" = \"masked\"").ok(), "");
}

#[test]
fn a_project_file_in_the_home_itself_grants_nothing() {
    let place = Place::new();
    place.write("home/.ssh/id_test", "secret");
    place.write("home/.sbx.toml", "schema = 1\n[filesystem.paths]\n\"${CWD}/.ssh\" = \"rw\"\n");
    let mut command = place.command();
    let output = command.current_dir(place.home()).args(["plan", "--profile", "ci", "--", "true"]).output().unwrap();
    assert!(common::ran(output).failed(125).contains("may only tighten"));
}

#[test]
fn what_is_no_plain_file_is_not_read() {
    let place = Place::new();
    let file = place.work().join(".sbx.toml");
    std::process::Command::new("mkfifo").arg(&file).status().unwrap();
    assert!(place.run(&["plan", "--", "true"]).failed(125).contains("not a regular file"));
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    assert!(place.run(&["plan", "--", "true"]).failed(125).contains("not a regular file"));
}

#[test]
fn it_is_small() {
    let place = Place::new();
    let file = |length: usize| {
        let start = "schema = 1\n[filesystem.paths]\n\"${CWD}/x\" = \"hidden\"\n#";
        place.write("work/.sbx.toml", &format!("{start}{}", "x".repeat(length - start.len())));
    };
    file(64 << 10);
    place.run(&["plan", "--", "/bin/true"]).ok();
    file((64 << 10) + 1);
    let refused = place.run(&["plan", "--", "/bin/true"]).failed(125);
    assert!(refused.contains(".sbx.toml: it is larger than 64 KiB"), "{refused}");
}

#[test]
fn what_is_hidden_in_a_directory_of_very_many_files_is_an_error() {
    let place = Place::new();
    std::fs::create_dir(place.work().join("many")).unwrap();
    for number in 0..10_001 {
        std::fs::write(place.work().join(format!("many/{number}")), "").unwrap();
    }
    place.write("work/.sbx.toml", "schema = 1\n[filesystem.paths]\n\"${CWD}/many/1\" = \"hidden\"\n");
    let refused = place.run(&["plan", "--", "/bin/true"]).failed(125);
    assert!(refused.contains("10001 entries") && refused.contains(".sbx.toml:3"), "{refused}");
}

#[test]
fn flags_and_links_of_the_layers_around_it_hold() {
    need!(userns());
    let place = Place::new();
    place.write("work/src/d/f", "SRC");
    place.write("work/real/sub/f", "REAL");
    std::os::unix::fs::symlink("real", place.work().join("link")).unwrap();
    place.write(
        "home/.config/sbx/profiles/mine.toml",
        "schema = 1\nextends = [\"base/host\"]\n[filesystem.paths]\n\"${CWD}\" = \"rw\"\n\"${CWD}/link\" = \"ro\"\n",
    );
    let project = |rule: &str| place.write("work/.sbx.toml", &format!("schema = 1\n[filesystem.paths]\n{rule}\n"));
    let cases: [(&str, &[&str]); 6] = [
        ("\"${CWD}/src/d\" = \"ro\"", &["--tmpfs", "src"]),
        ("\"${CWD}/src/d\" = \"ro\"", &["--hide", "src"]),
        ("\"/var/lib/dpkg/status\" = \"ro\"", &["--hide", "/var/lib/dpkg"]),
        ("\"${CWD}/src/d\" = \"rw\"", &["--profile", "ci", "--ro", "src"]),
        ("\"/etc\" = \"ro\"", &["--set", "filesystem.root=empty", "--ro", "/usr"]),
        ("\"${CWD}/real/sub\" = \"rw\"", &["--profile", "mine"]),
    ];
    for (rule, flags) in cases {
        project(rule);
        let out = place.run(&[flags, &["--", "/usr/bin/true"]].concat());
        assert!(out.status == Some(125) && out.err.contains("may only tighten"), "{rule} {flags:?}: {out:?}");
    }
    project("\"${CWD}/src/d\" = \"masked\"");
    assert_eq!(place.sh(&["--rw", "src"], "ls src/d").ok(), "");
}

#[test]
fn the_profiles_of_the_next_run_cannot_be_written() {
    need!(userns());
    let place = Place::new();
    let home = place.home();
    let links: [(&str, &str, &str); 3] = [
        ("", "", ".config"),
        ("../dot/sbx", ".config/sbx", ".config"),
        ("../../dot/sbx/profiles", ".config/sbx/profiles", "dot"),
    ];
    for (target, link, cwd) in links {
        let _ = std::fs::remove_dir_all(&home);
        std::fs::create_dir_all(home.join("dot/sbx/profiles")).unwrap();
        std::fs::create_dir_all(home.join(if link.ends_with("profiles") { ".config/sbx" } else { ".config" })).unwrap();
        if !link.is_empty() {
            std::os::unix::fs::symlink(target, home.join(link)).unwrap();
        }
        let script = "mv sbx old; mkdir -p sbx/profiles; echo x > sbx/profiles/default.toml; true";
        let mut command = place.command();
        command.current_dir(home.join(cwd)).args(["--profile", "ci", "--", "/bin/sh", "-c", script]);
        let out = common::ran(command.output().unwrap());
        assert!(out.err.contains("profiles of sbx"), "{link}: {out:?}");
        assert!(!home.join(".config/sbx/profiles/default.toml").exists(), "{link}: {out:?}");
    }
}

#[test]
fn what_a_project_file_makes_the_user_lose_is_told() {
    need!(userns());
    let place = Place::new();
    place.write("work/f", "before\n");
    std::fs::create_dir_all(place.work().join("out")).unwrap();
    let script = "echo after > f; cat f";
    let lost = "is gone at the end, and would be written to the host, kept or asked about without the lines of the project's file";
    for (mode, of) in
        [("overlay", "${CWD}"), ("tmpfs", "${CWD}/out"), ("overlay", &*place.work().display().to_string())]
    {
        place.write("work/.sbx.toml", &format!("schema = 1\n[filesystem.paths]\n\"{of}\" = \"{mode}\"\n"));
        let told = |flags: &[&str]| place.run(&[flags, &["--", "sh", "-c", script]].concat());
        // Wherever the notes go: it is told without a terminal.
        let inside = told(&["--profile", "ci"]);
        assert_eq!((inside.status, &*inside.out), (Some(0), "after\n"), "{mode}: {inside:#?}");
        assert!(inside.err.contains(".sbx.toml:3)") && inside.err.contains(lost), "{inside:#?}");
        // Nothing is lost where nothing would be written, or where the changes are kept.
        let inside = told(&["--profile", "ci", "--ro", "."]);
        assert!(!inside.err.contains(lost), "{mode}: {inside:#?}");
        if mode == "overlay" {
            let inside = told(&["--profile", "ci", "--upper", "keep:name"]);
            assert!(!inside.err.contains(lost), "{mode}: {inside:#?}");
            assert_eq!(place.run(&["discard", "name"]).status, Some(0));
        }
        std::fs::write(place.work().join("f"), "before\n").unwrap();
    }
    // Nor what would be kept or asked about without the lines.
    place.write("work/.sbx.toml", "schema = 1\n[filesystem.paths]\n\"${CWD}\" = \"tmpfs\"\n");
    let kept = place.run(&["--upper", "keep:name", "--", "sh", "-c", "echo x > b"]);
    assert!(kept.status == Some(0) && kept.err.contains(lost), "{kept:#?}");
    let discarded = place.run(&["--upper", "discard", "--", "sh", "-c", "echo x > b"]);
    assert!(!discarded.err.contains(lost), "{discarded:#?}");
}

#[test]
fn profile_check_takes_a_projects_file_as_a_start_does() {
    let place = Place::new();
    let check = |text: &str| {
        place.write("work/.sbx.toml", &format!("schema = 1\n{text}"));
        place.run(&["profile", "check", ".sbx.toml"])
    };
    for (text, why) in [
        ("[network]\nmode = \"host\"\n", "a project's file cannot ask for the network"),
        ("extends = [\"browser\"]\n", "a project's file cannot set `extends`"),
        ("[process]\nargs = [\"sh\"]\n", "a project's file cannot set `process.args`"),
        ("[security]\nseccomp = \"off\"\n", "a project's file cannot ask for more system calls"),
        ("[security.syscalls]\ndeny = [\"nosuchcall\"]\n", "unknown system call `nosuchcall`"),
        ("[process]\ntimeout = \"soon\"\n", "`soon` is no duration"),
        ("[filesystem]\nmemory = \"1\"\n", "1 bytes are too few"),
        ("[process]\nnofile = 3\n", "unknown key"),
    ] {
        let ran = check(text);
        assert!(ran.status == Some(1) && ran.err.contains(why), "{text}: {ran:#?}");
        assert!(!ran.out.contains("exposure"), "{text}: {ran:#?}");
        let start = place.run(&["plan", "--profile", "default", "--", "true"]);
        assert!(start.status != Some(0) && start.err.contains(why), "{text}: {start:#?}");
    }
    let ran = check("[security]\nseccomp = \"strict\"\n[filesystem.paths]\n\"${CWD}\" = \"ro\"\n");
    assert_eq!((ran.status, ran.err.as_str()), (Some(0), ""), "{ran:#?}");
    assert_eq!(ran.out, ".sbx.toml: ok, a project's file: it only tightens `default`\n");
    // What another profile has may be tightened, too.
    let ran = check("[network]\nmode = \"private\"\n");
    assert!(ran.status == Some(0) && ran.out.contains("it only tightens `browser`"), "{ran:#?}");
    assert!(ran.out.contains("a start with `default` refuses it") && ran.out.contains(".sbx.toml:3"), "{ran:#?}");
    // By any path, and from anywhere.
    let from_root = place.run(&["profile", "check", "--json", place.work().join(".sbx.toml").to_str().unwrap()]);
    assert!(
        from_root.out.contains("\"tightens\": \"browser\"") && !from_root.out.contains("exposure"),
        "{from_root:#?}"
    );
    let none = place.run(&["profile", "check", "sub/.sbx.toml"]);
    assert!(none.status == Some(1) && none.err.contains("cannot read profile"), "{none:#?}");
}

#[test]
fn profile_check_refuses_a_projects_file_that_shows_more() {
    need!(userns());
    let place = Place::new();
    place.write("work/sub/file", "text");
    place.write("work/.sbx.toml", "schema = 1\n[filesystem.paths]\n\"~/.ssh\" = \"rw\"\n");
    place.write("home/.ssh/id_test", "secret");
    let ran = place.run(&["profile", "check", ".sbx.toml"]);
    let start = place.run(&["plan", "--profile", "default", "--", "true"]);
    assert!(start.status != Some(0) && ran.status == Some(1), "{ran:#?} {start:#?}");
    assert_eq!(ran.err, start.err);
}
