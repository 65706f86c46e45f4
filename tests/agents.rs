//! The user's SSH agent: what a program in a sandbox has of it, and what the user is asked.

mod common;

use common::agent::{Agent, GpgAgent, key};
use common::process::Mark;
use common::{Place, Ran, no_session, not_root, ran, tools, until, userns};
use std::path::Path;
use std::process::{Command, Stdio};

const SSH: &[&str] = &["ssh-agent", "ssh-add", "ssh-keygen"];

/// A shell script in a sandbox, with this agent.
fn sh(agent: &Agent, place: &Place, flags: &[&str], script: &str) -> Ran {
    let mut command = place.command();
    command.env("SSH_AUTH_SOCK", &agent.socket).env("SSH_ASKPASS", "/usr/bin/true");
    command.args(flags).args(["--", "/bin/sh", "-c", script]);
    ran(command.output().unwrap())
}

/// Makes a signature of `file` with a key of the agent, and prints `signed` if that worked.
fn sign(name: &str) -> String {
    format!(
        "ssh-keygen -Y sign -f {name}.pub -n file < file > /tmp/{name}.sig && echo signed {name}; cat /tmp/{name}.sig >&2; "
    )
}

const AGENT: &[&str] = &["--set", "services.ssh-agent=unconfirmed"];

#[test]
fn keys_of_the_agent_are_listed_and_sign() {
    need!(userns(), tools(SSH));
    let place = Place::new();
    let agent = Agent::new(&place, &["first", "second"]);
    place.write("work/file", "text\n");
    let out = sh(
        &agent,
        &place,
        AGENT,
        "ssh-add -l; ssh-keygen -Y sign -f first.pub -n file < file 2>/dev/null > sig || cat",
    );
    assert_eq!(out.out.lines().map(str::to_owned).collect::<Vec<_>>(), agent.list(), "{out:?}");
    // What was signed inside is good outside.
    let rw = ["--rw", "."];
    let made = sh(&agent, &place, &[AGENT, &rw].concat(), "ssh-keygen -Y sign -f first.pub -n file < file > sig");
    made.ok();
    let public = std::fs::read_to_string(place.work().join("first.pub")).unwrap();
    let signers = place.write("signers", &format!("alice {public}"));
    let mut verify = Command::new("ssh-keygen");
    verify
        .args(["-Y", "verify", "-I", "alice", "-n", "file", "-s"])
        .arg(place.work().join("sig"))
        .arg("-f")
        .arg(signers);
    let file = std::fs::File::open(place.work().join("file")).unwrap();
    assert!(ran(verify.stdin(file).output().unwrap()).ok().starts_with("Good \"file\" signature for alice"));
    // Without the setting there is none.
    let out = sh(&agent, &place, &[], "ssh-add -l; echo [$SSH_AUTH_SOCK]");
    assert!(out.out == "[]\n" && out.err.contains("Could not open a connection"), "{out:?}");
}

#[test]
fn nothing_else_reaches_the_agent() {
    need!(userns(), tools(SSH));
    let place = Place::new();
    let agent = Agent::new(&place, &["first", "second"]);
    let before = agent.list();
    key(&place, "third");
    let third = place.dir.path().join("third");
    let show = ["--ro", third.to_str().unwrap()];
    for (what, note) in [
        (format!("ssh-add -q {}", third.display()), "the program wants to add a key, which is refused"),
        ("ssh-add -q -d first.pub".into(), "the program wants to remove a key, which is refused"),
        ("ssh-add -q -D".into(), "the program wants to remove all keys, which is refused"),
        (
            "ssh-add -q -e /usr/lib/none.so".into(),
            "the program wants to remove the keys of a smartcard, which is refused",
        ),
    ] {
        let out = sh(&agent, &place, &[AGENT, &show].concat(), &format!("{what} && echo done; ssh-add -l | wc -l"));
        assert_eq!(out.out, "2\n", "{what}: {out:?}");
        assert!(out.err.contains(&format!("ssh agent: {note}")), "{what}: {out:?}");
    }
    assert_eq!(agent.list(), before);
}

#[test]
fn only_the_keys_that_are_named_are_seen_and_sign() {
    need!(userns(), tools(SSH));
    let place = Place::new();
    let agent = Agent::new(&place, &["first", "second"]);
    place.write("work/file", "text\n");
    let list = agent.list();
    let fingerprint = list[0].split(' ').nth(1).unwrap();
    let script = format!("ssh-add -l; {}{}", sign("first"), sign("second"));
    for (names, at, name) in [(fingerprint, 0, "first"), ("second", 1, "second")] {
        let keys = format!("services.ssh-agent-keys=[\"{names}\"]");
        let out = sh(&agent, &place, &[AGENT, &["--set", &keys]].concat(), &script);
        assert_eq!(out.out, format!("{}\nsigned {name}\n", list[at]), "{out:?}");
        let other = if name == "first" { "second" } else { "first" };
        assert!(out.err.contains(&format!("No private key found for public key \"{other}.pub\"")), "{out:?}");
    }
}

#[test]
fn the_user_is_asked_before_each_signature() {
    need!(userns(), tools(SSH));
    let place = Place::new();
    let agent = Agent::new(&place, &["first", "second"]);
    place.write("work/file", "text\n");
    let script = format!("ssh-add -l | wc -l; {}{}", sign("first"), sign("second"));
    let asked = |program: &str, script: &str| {
        let mut command = place.command();
        command.env("SSH_AUTH_SOCK", &agent.socket).env("SSH_ASKPASS", program);
        command.args(["--set", "services.ssh-agent=true", "--", "/bin/sh", "-c", script]);
        ran(command.output().unwrap())
    };
    assert_eq!(asked("/usr/bin/true", &script).out, "2\nsigned first\nsigned second\n");
    let no = asked("/usr/bin/false", &script);
    assert_eq!(no.out, "2\n", "{no:?}");
    assert!(no.err.contains("ssh agent: a signature is refused: the answer to the question was not yes"), "{no:?}");
    let no = asked("/usr/bin/false", &sign("first").repeat(5));
    assert!(
        no.out.is_empty() && no.err.contains("three questions were not answered with yes: the program may ask no more"),
        "{no:?}"
    );
}

#[test]
fn a_question_goes_with_the_program_that_asks() {
    need!(userns(), tools(SSH), tools(&["yes"]));
    let place = Place::new();
    let agent = Agent::new(&place, &["first", "second"]);
    place.write("work/file", "text\n");
    // A profile of a name of its own, which is a part of the question: `yes` asks for as long as it is let.
    let mark = Mark::new();
    let text = "schema = 1\nextends = [\"base/host\"]\n[services]\nssh-agent = true\n[filesystem.paths]\n\"${CWD}\" = \"rw\"\n";
    let profile = place.write(&format!("home/{}.toml", mark.0), text);
    let mut command = place.command();
    command.env("SSH_AUTH_SOCK", &agent.socket).env("SSH_ASKPASS", "/usr/bin/yes");
    let script = "ssh-keygen -Y sign -f first.pub -n file < file & \
                  while ! [ -e kill ]; do sleep 0.05; done; kill -KILL $!; while ! [ -e end ]; do sleep 0.05; done";
    command.arg("--profile").arg(profile).args(["--", "/bin/sh", "-c", script]);
    let mut sandbox = command.stderr(Stdio::null()).spawn().unwrap();
    let asked = || questions().into_iter().find(|question| question.contains(&mark.0));
    assert!(until(|| asked().is_some()), "the user is asked");
    let question = asked().unwrap();
    assert!(question.contains("use your SSH key\n\nfirst\nSHA256:"), "{question}");
    assert!(question.contains("make a signature for `file`"), "{question}");
    place.write("work/kill", "");
    assert!(until(|| asked().is_none()), "the question goes with who asked");
    place.write("work/end", "");
    assert!(sandbox.wait().unwrap().success());
}

#[test]
fn questions_that_come_and_go_are_counted() {
    need!(userns(), tools(SSH), tools(&["yes", "timeout"]));
    let place = Place::new();
    let agent = Agent::new(&place, &["first"]);
    place.write("work/file", "text\n");
    let mut command = place.command();
    command.env("SSH_AUTH_SOCK", &agent.socket).env("SSH_ASKPASS", "/usr/bin/yes");
    let script =
        "until timeout -s KILL 1 ssh-keygen -Y sign -f first.pub -n file < file 2>&1 | grep -q refused; do :; done";
    command.args(["--set", "services.ssh-agent=true", "--timeout", "60s", "--", "/bin/sh", "-c", script]);
    let out = ran(command.output().unwrap());
    assert!(out.status == Some(0) && out.err.contains("the program may ask no more"), "{out:?}");
}

/// The arguments of all processes that are `yes`.
fn questions() -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let arguments = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let arguments = arguments.map(|text| String::from_utf8_lossy(&text).into_owned());
    arguments.filter(|text| text.starts_with("/usr/bin/yes\0")).collect()
}

#[test]
fn a_program_to_ask_with_is_needed_that_nobody_else_can_change() {
    need!(userns(), not_root(), tools(SSH));
    let place = Place::new();
    let agent = Agent::new(&place, &["first", "second"]);
    let own = place.write("askpass", "#!/bin/sh\n");
    std::fs::set_permissions(&own, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = place.command();
    command.env("SSH_AUTH_SOCK", &agent.socket).env("SSH_ASKPASS", &own);
    let out = ran(command.args(["--set", "services.ssh-agent=true", "--", "true"]).output().unwrap());
    // Where the system has one, that is taken.
    if Path::new("/usr/bin/ssh-askpass").exists() && out.status == Some(0) {
        return;
    }
    let error = out.failed(125);
    assert!(
        error.contains("asks before each signature, by ssh-askpass, which is not among the system's programs"),
        "{error}"
    );
    assert!(error.contains(&format!("{} is not used: ", own.display())) && error.contains("unconfirmed"), "{error}");
}

#[test]
fn without_an_agent_the_program_runs_and_is_told() {
    need!(userns());
    let place = Place::new();
    let out = place.sh(AGENT, "echo [$SSH_AUTH_SOCK]");
    assert!(out.out == "[]\n" && out.err.contains("no SSH agent: SSH_AUTH_SOCK is not set"), "{out:?}");
    let mut command = place.command();
    command.env("SSH_AUTH_SOCK", "/nonexistent").args(AGENT).args(["--", "true"]);
    let out = ran(command.output().unwrap());
    assert!(
        out.status == Some(0) && out.err.contains("SSH_AUTH_SOCK is /nonexistent, where there is no socket"),
        "{out:?}"
    );
}

#[test]
fn what_is_no_request_ends_the_connection_and_nothing_else() {
    need!(userns(), tools(SSH), tools(&["python3"]));
    let place = Place::new();
    let agent = Agent::new(&place, &["first", "second"]);
    let script = "import os, socket, subprocess\n\
        for data in [b'\\xff' * 100, b'\\0' * 4, b'\\0\\0\\0\\x01\\x0d', b'\\0\\0\\0\\x02\\x0bx', b'\\0\\x04\\0\\0' + b'x' * 1000000]:\n\
        \x20   s = socket.socket(socket.AF_UNIX); s.connect(os.environ['SSH_AUTH_SOCK'])\n\
        \x20   try:\n\
        \x20       s.sendall(data); print(s.recv(100))\n\
        \x20   except OSError as error: print(b'')\n\
        # More than one request at once are answered one after the other.\n\
        s = socket.socket(socket.AF_UNIX); s.connect(os.environ['SSH_AUTH_SOCK'])\n\
        s.sendall(b'\\0\\0\\0\\x01\\x13' * 3 + b'\\0\\0\\0\\x01\\x0b' + b'\\0\\0\\0\\x01\\x13')\n\
        got = b''\n\
        while got.count(b'\\0\\0\\0\\x01\\x05') < 4: got += s.recv(10000)\n\
        print(got.startswith(b'\\0\\0\\0\\x01\\x05' * 3), b'first' in got)\n\
        print(subprocess.run(['ssh-add', '-l'], stdout=subprocess.PIPE).stdout.count(b'\\n'))\n";
    let file = place.write("work/script", script);
    let out = sh(&agent, &place, AGENT, &format!("python3 {}", file.display()));
    assert_eq!(out.out, "b''\nb''\nb''\nb''\nb''\nTrue True\n2\n", "{out:?}");
    assert!(out.err.contains("ssh agent: the program broke the protocol"), "{out:?}");
}

/// The tools of the tests with gpg.
const GPG: &[&str] = &["gpg", "gpgconf", "gpg-agent", "git"];

const GPG_AGENT: &[&str] = &["--set", "services.gpg-agent=true"];

#[test]
fn git_signs_commits_inside_by_the_users_agents() {
    need!(userns(), tools(GPG), tools(SSH), no_session());
    let place = Place::new();
    let gpg = GpgAgent::new(&place, "");
    let ssh = Agent::new(&place, &["first"]);
    place.write("work/file", "text\n");
    let script = "git init -q /tmp/r && cd /tmp/r && git commit -q --allow-empty -m first && git cat-file -p HEAD";
    let config = "[user]\nname = Alice\nemail = alice@example.org\n[commit]\ngpgSign = true\n";
    let key = place.dir.path().join("first");
    for (flags, more, kind) in [
        (GPG_AGENT, String::new(), "-----BEGIN PGP SIGNATURE-----"),
        (
            AGENT,
            format!("[gpg]\nformat = ssh\n[user]\nsigningKey = {}\n", key.display()),
            "-----BEGIN SSH SIGNATURE-----",
        ),
        (&[], String::new(), ""),
    ] {
        place.write("home/.gitconfig", &format!("{config}{more}"));
        let out = sh(&ssh, &place, &[&["--profile", "ci"], flags].concat(), script);
        assert_eq!(out.status, Some(0), "{kind}: {out:?}");
        assert!(out.out.contains("author Alice <alice@example.org>"), "{kind}: {out:?}");
        assert!(out.out.contains(kind) && (out.out.contains("gpgsig") != kind.is_empty()), "{kind}: {out:?}");
    }
    // What gpg signs inside is good outside.
    let out = place
        .sh(&[&["-q", "--rw", "."], GPG_AGENT].concat(), "gpg -q --detach-sign -o sig file; gpg -K | grep -c ssb || :");
    assert_eq!(out.status, Some(0), "{out:?}");
    let verified =
        ran(gpg.command("gpg").current_dir(place.work()).args(["--verify", "sig", "file"]).output().unwrap());
    assert!(verified.err.contains("Good signature from \"Alice <alice@example.org>\""), "{verified:?}");
    let none = place.sh(&["-q"], "gpg -q --detach-sign -o /tmp/sig file");
    assert!(none.status != Some(0), "{none:?}");
}

#[test]
fn gpg_agent_hands_out_no_secret_key_and_shows_no_other_file() {
    need!(userns(), tools(GPG), no_session());
    let place = Place::new();
    let gpg = GpgAgent::new(&place, "");
    let before = std::fs::read(place.home().join(".gnupg/pubring.kbx")).unwrap();
    let script = "ls -A ~/.gnupg; gpg-connect-agent --no-autostart 'getinfo restricted' /bye; \
        gpg --batch --pinentry-mode loopback --passphrase '' --export-secret-keys > /tmp/secret 2>&1; grep -c PRIVATE /tmp/secret; \
        gpg --batch --yes --delete-secret-keys $(gpg -K --with-colons 2>&1 | sed -n 's/^fpr:*//;s/:$//;T;p;q') 2>&1; \
        echo x >> ~/.gnupg/pubring.kbx; gpg-connect-agent --no-autostart killagent /bye";
    let out = place.sh(GPG_AGENT, script);
    assert!(out.out.starts_with("pubring.kbx\nOK\n0\n"), "{out:?}");
    assert!(out.out.contains("ERR") && out.err.contains("Read-only file system"), "{out:?}");
    assert_eq!(std::fs::read(place.home().join(".gnupg/pubring.kbx")).unwrap(), before);
    let list = ran(gpg.command("gpg").args(["-K"]).output().unwrap()).ok();
    assert!(list.contains("alice@example.org"), "{list}");
}

#[test]
fn the_agents_socket_without_restrictions_is_not_shown_instead() {
    need!(userns(), tools(GPG), no_session());
    let place = Place::new();
    let _gpg = GpgAgent::new(&place, "extra-socket none\n");
    let error = place.sh(GPG_AGENT, "true").failed(125);
    assert!(
        error.contains("gpg-agent has no restricted socket") && error.contains("gpgconf --kill gpg-agent"),
        "{error}"
    );
    // Nor what a link in its place leads to.
    let dir = place.home().join(".gnupg");
    std::os::unix::fs::symlink(dir.join("S.gpg-agent"), dir.join("S.gpg-agent.extra")).unwrap();
    assert!(place.sh(GPG_AGENT, "true").failed(125).contains("gpg-agent has no restricted socket"));
    let other = Place::new();
    let out = other.sh(GPG_AGENT, "echo runs");
    assert!(out.out == "runs\n" && out.err.contains("no gpg-agent: it does not run"), "{out:?}");
}
