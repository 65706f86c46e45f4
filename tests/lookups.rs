//! What cannot be looked up is not taken for what is not there; paths that are too long, or lead nowhere.

mod common;

use common::{Host, Need, Place, not_root, ran, sbx, tools, userns};
use std::process::Command;

/// Answers FUSE's first request for as long as sbx is tried, then leaves: what is mounted there gives ENOTCONN.
const DEAD: &str = "import ctypes, os, sys\n\
    fd = os.open('/dev/fuse', os.O_RDWR)\n\
    libc = ctypes.CDLL(None, use_errno=True)\n\
    options = ('fd=%d,rootmode=40000,user_id=%d,group_id=%d' % (fd, os.getuid(), os.getgid())).encode()\n\
    done = libc.mount(b'dead', sys.argv[1].encode(), b'fuse', 6, options)\n\
    sys.exit(ctypes.get_errno() if done else 0)\n";

#[test]
fn a_dead_file_server_is_not_taken_for_nothing() {
    need!(userns(), tools(&["unshare", "python3"]), Need::new("fuse", fuse(), "/dev/fuse cannot be opened"));
    let place = Place::new();
    let script = place.write("dead.py", DEAD);
    let setup = format!(
        "mkdir -p data dead; mount --bind {} data; python3 data/dead.py dead; ",
        script.parent().unwrap().display()
    );
    let host = Host::new(&place, &setup).env("HOME", "/home/me").work("/etc");
    for flags in [&["--ro", "/dead/file"][..], &["--rw", "/dead/file"], &["--ro", "/x", "--from", "/dead/x"]] {
        let out = host.run(&[flags, &["--", "true"]].concat());
        assert!(out.status == Some(125) && out.err.contains("(ENOTCONN)"), "{flags:?}: {out:?}");
        assert!(out.err.contains("FUSE") && !out.err.contains("create it"), "{flags:?}: {out:?}");
    }
    let out = host.run(&["--ro", "/dead/file,optional", "--", "true"]);
    assert!(
        out.status == Some(0) && out.err.contains("/dead/file is left out: ") && out.err.contains("(ENOTCONN)"),
        "{out:?}"
    );
    // Nobody looks at it otherwise.
    assert_eq!(host.run(&["--", "true"]).ok(), "");
}

fn fuse() -> bool {
    std::fs::File::options().read(true).write(true).open("/dev/fuse").is_ok()
}

#[test]
fn a_layer_that_cannot_be_looked_up_is_an_error() {
    need!(userns(), tools(&["unshare"]), not_root());
    let place = Place::new();
    let host = |setup: &str| Host::new(&place, setup).env("HOME", "/home/me").work("/opt");
    let etc = "mkdir new; cp etc/passwd etc/group new; mount --bind new etc; mkdir -p etc/sbx/profiles home/me/.config/sbx/profiles; ";
    let text = "echo 'schema = 1' > etc/sbx/profiles/default.toml; ";
    let cases = [
        ("chmod 0 /etc/sbx", "(EACCES)"),
        ("chmod 0 /etc/sbx/profiles", "(EACCES)"),
        ("chmod 0 /etc/sbx/profiles/default.toml", "(EACCES)"),
        ("chmod 0 /home/me/.config", "(EACCES)"),
        ("rm /etc/sbx/profiles/default.toml; ln -s nowhere /etc/sbx/profiles/default.toml", "(ENOENT)"),
        ("rm /etc/sbx/profiles/default.toml; ln -s default.toml /etc/sbx/profiles/default.toml", "(ELOOP)"),
        // Its names cannot be read, and one may be the profile of the program.
        ("chmod 0311 /etc/sbx/profiles", "cannot tell which profile the program has"),
    ];
    for (script, cause) in cases {
        let out = host(&format!("{etc}{text}")).script(&format!("{script}; $SBX -- /bin/true"));
        assert!(out.status == Some(125) && out.err.contains(cause), "{script}: {out:?}");
    }
    // Nothing is there.
    for script in ["rm -r /etc/sbx", "rm -r /etc/sbx; echo > /etc/sbx", "ln -s user@host.1 /etc/sbx/profiles/.#x.toml"]
    {
        let out = host(&format!("{etc}{text}")).script(&format!("{script}; $SBX -q -- /bin/true"));
        assert_eq!(out.status, Some(0), "{script}: {out:?}");
    }
    let out = host(&format!("{etc}{text}")).script("chmod 0311 /etc/sbx/profiles; $SBX profile list");
    assert!(out.err.contains("the profiles in /etc/sbx/profiles are not among these"), "{out:?}");
    let out = host("mkdir new; cp etc/passwd etc/group new; mount --bind new etc; ")
        .script("chmod 0 /etc/passwd; $SBX -- /bin/true");
    assert!(out.status == Some(125) && out.err.contains("cannot read /etc/passwd"), "{out:?}");
}

#[test]
fn a_directory_that_is_made_anew_has_all_of_its_entries_or_is_an_error() {
    need!(userns(), tools(&["unshare"]));
    let place = Place::new();
    let setup = "mkdir tree; printf x > tree/gone; printf y > \"tree/$(printf '\\351t\\351')\"; printf z > tree/kept; ln -s kept tree/link; ";
    let host = Host::new(&place, setup).work("/tree");
    let out = host.sh(&["--hide", "./gone"], "cat *; ls | wc -l");
    assert!(out.out == "zzy3\n" || out.out == "yzz3\n", "{out:?}");
    if available!(not_root()) {
        let out = host.script("chmod 0311 /tree; $SBX --ro . --hide ./gone -- /bin/sh -c 'cat kept'");
        assert!(out.status == Some(125) && out.err.contains("the names in /tree cannot be read"), "{out:?}");
        let out = host.script("chmod 0311 /tree; $SBX --ro . --hide ./gone,prefer -- /bin/sh -c 'cat kept'");
        assert!(out.out == "z" && out.err.contains("is not `hidden`"), "{out:?}");
    }
    // The root of another tree, too.
    let setup = format!(
        "{setup} mkdir -p tree/usr tree/bin tree/lib tree/lib64; for d in usr lib lib64 bin; do mount --rbind /$d tree/$d; done; "
    );
    let host = Host::new(&place, &setup).work("/");
    let out = host.sh(&["-q", "--set", "filesystem.root=\"dir:/tree\""], "cat /?t?");
    assert_eq!(out.out, "y", "{out:?}");
}

#[test]
fn a_home_with_dots_is_where_they_lead_or_an_error() {
    need!(userns());
    let place = Place::new();
    let home = place.home().display().to_string();
    let run = |value: &str| {
        let mut command = place.command();
        ran(command.env("HOME", value).args(["--", "sh", "-c", "echo $HOME; touch ~/x && ls ~"]).output().unwrap())
    };
    for value in
        [format!("{home}/../home"), format!("{home}/./"), home.replace('/', "//"), format!("{home}/../work/../home/")]
    {
        assert_eq!(run(&value).ok(), format!("{home}\nx\n"), "{value}");
    }
    assert_eq!(run(&format!("{home}/../new")).ok(), format!("{}\nx\n", home.replace("/home", "/new")));
    for name in ["HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"] {
        let out = ran(place.command().env(name, "/no/../such").args(["--", "true"]).output().unwrap());
        let said = format!("sbx: {name} is /no/../such, and where `..` leads cannot be told: ");
        assert!(out.status == Some(125) && out.err.starts_with(&said), "{out:?}");
    }
    let config = place.write("config/sbx/profiles/mine.toml", "schema = 1\nextends = [\"default\"]\n");
    let config = config.ancestors().nth(3).unwrap().join("../config").display().to_string();
    let out =
        ran(place.command().env("XDG_CONFIG_HOME", config).args(["--profile", "mine", "--", "true"]).output().unwrap());
    assert_eq!(out.status, Some(0), "{out:?}");
}

#[test]
fn a_current_directory_with_a_path_that_is_too_long_is_left_out_with_a_note() {
    need!(userns(), tools(&["python3"]));
    let place = Place::new();
    let script = "import os, subprocess, sys\n\
        for i in range(20):\n\
        \u{20}os.mkdir('d' * 250); os.chdir('d' * 250)\n\
        done = subprocess.run(sys.argv[1:], capture_output=True, text=True)\n\
        print(done.returncode, done.stdout, done.stderr)\n";
    let run = |args: &[&str]| {
        let mut command = Command::new("python3");
        command
            .args(["-c", script])
            .arg(sbx())
            .args(args)
            .current_dir(tempfile::tempdir_in(place.work()).unwrap().keep());
        ran(command.env_clear().env("HOME", place.home()).env("PATH", "/usr/bin:/bin").output().unwrap()).ok()
    };
    for profile in ["default", "ci", "shell", "viewer"] {
        let said = run(&["--profile", profile, "--", "pwd"]);
        assert!(said.starts_with(&format!("0 {}\n", place.home().display())), "{profile}: {said}");
        let note = "has a path of more than 4095 bytes, which Linux does not look up, and is not shown inside";
        assert!(profile == "viewer" || said.contains(note), "{profile}: {said}");
    }
    let said = run(&["--ro", ".", "--", "true"]);
    assert!(said.starts_with("125 ") && said.contains("Linux takes 4095"), "{said}");
}

#[test]
fn why_a_program_is_not_found_is_told_apart() {
    need!(userns());
    let place = Place::new();
    let tool = place.write("home/tools/mytool", "#!/bin/sh\necho mine\n");
    std::fs::set_permissions(&tool, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let (dir, tool) = (tool.parent().unwrap().display().to_string(), tool.display().to_string());
    let not_found = |args: &[&str]| place.run(args).failed(127);
    let shown = not_found(&["--ro", "~/tools", "--", "mytool"]);
    assert!(
        shown.contains(&format!("it is {tool}, which is shown, but PATH inside does not have its directory")),
        "{shown}"
    );
    let hidden = not_found(&["--", &tool]);
    assert!(hidden.contains("on the host, and not shown: `--ro "), "{hidden}");
    let out = ran(place.command().env("PATH", format!("/bin:{dir}")).args(["--", "mytool"]).output().unwrap());
    assert!(out.err.contains("on the host, and not shown: `--ro "), "{out:?}");
    let path = format!("PATH=/bin:{dir}");
    assert_eq!(place.run(&["--ro", "~/tools", "--env", &path, "--", "mytool"]).ok(), "mine\n");
    let nowhere = not_found(&["--ro", "~/tools", "--", "no-such-tool"]);
    assert!(nowhere.contains("PATH inside is /usr/local/sbin"), "{nowhere}");
    let source = place.run(&["--ro", "/here,from=.", "--", "true"]).failed(125);
    assert!(source.contains("write --from behind the flag: --ro /here --from ."), "{source}");
}
