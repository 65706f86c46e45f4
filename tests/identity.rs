//! Who the user is to git, in profiles that work on a project: the name and the settings of the user's configuration, and
//! nothing of it that runs something or holds a secret.

mod common;

use common::{Place, Ran, ran, tools, userns};
use std::collections::BTreeSet;
use std::process::Command;

/// A configuration with everything in it that must not be shown, in the forms that the format has.
const CONFIG: &str = "# who\n[user]\n\tname = Alice \"B. \" C ; c\n\temail = alice@example.org\n\tsigningKey = ABC\n\
    [credential]\n\thelper = store --file ~/secret-file\n[credential \"https://example.org\"]\n\tusername = secret\n\
    [core]\n\tautocrlf = input\n\tsshCommand = ssh -i secret\n\teditor = secret\n\tpager = secret\n\thooksPath = /secret\n\
    [alias]\n\tlast = !secret\n[url \"https://secret@example.org/\"]\n\tinsteadOf = x:\n[http]\n\textraHeader = secret\n\
    [filter \"x\"]\n\tclean = secret\n[commit]\n\tgpgSign = true\n[init] defaultBranch = trunk\n[pull]\n\trebase\n";

/// Runs git outside of a sandbox, as the user of this place.
fn git(place: &Place, args: &[&str]) -> Ran {
    let mut command = Command::new("git");
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", place.home()).env("GIT_CONFIG_NOSYSTEM", "1");
    ran(command.current_dir(place.work()).args(args).output().unwrap())
}

/// What git knows of the user's configuration inside.
fn inside(place: &Place, flags: &[&str]) -> String {
    let list = ["-q", "--profile", "ci", "--env", "GIT_CONFIG_NOSYSTEM=1"];
    let command = ["--", "git", "config", "--list"];
    place.run(&[&list[..], flags, &command].concat()).ok()
}

#[test]
fn a_commit_inside_has_the_name_of_the_user() {
    need!(userns(), tools(&["git"]));
    let place = Place::new();
    place.write("home/.gitconfig", CONFIG);
    place.write("work/file", "text\n");
    let script = "git init -q && git add file && git commit -qm first && git log --format='%an <%ae> on %D'";
    for profile in ["ci", "shell"] {
        let out = place.sh(&["-q", "--profile", profile], script).ok();
        assert_eq!(out, "Alice B.  C <alice@example.org> on HEAD -> trunk\n", "{profile}");
        std::fs::remove_dir_all(place.work().join(".git")).unwrap();
    }
    let out = place.sh(&["-q", "--profile", "ci", "--set", "services.git-identity=false"], script);
    assert!(out.failed(128).contains("Please tell me who you are"));
    let default = place.sh(&["-q"], "git config user.name || echo none");
    assert_eq!(default.ok(), "none\n", "an untrusted tool is not told");
}

#[test]
fn what_runs_something_or_is_secret_stays_outside() {
    need!(userns(), tools(&["git"]));
    let place = Place::new();
    place.write("home/.gitconfig", CONFIG);
    place.write("home/.git-credentials", "https://secret:secret@example.org\n");
    place.write("home/.config/git/credentials", "https://secret:secret@example.org\n");
    place.write("home/.config/git/config", "[user]\n\tname = Before\n[credential]\n\thelper = secret\n");
    let out = place.sh(&["-q", "--profile", "ci"], "cat ~/.gitconfig ~/.config/git/config; find ~ -type f").out;
    assert!(out.contains("alice@example.org") && out.contains("Before"), "{out}");
    assert!(!out.contains("secret") && !out.contains("credential") && !out.contains("gpg"), "{out}");
    let files: Vec<_> = out.lines().filter(|line| line.starts_with('/')).collect();
    let names = [".gitconfig", ".config/git/config"].map(|name| place.home().join(name).display().to_string());
    assert_eq!(BTreeSet::from_iter(files), BTreeSet::from_iter(names.iter().map(String::as_str)));
    // The program's copy is its own.
    let out = place.sh(&["-q", "--profile", "ci"], "git config --global user.name Eve && git config user.name").ok();
    assert_eq!(out, "Eve\n");
    assert_eq!(std::fs::read_to_string(place.home().join(".gitconfig")).unwrap(), CONFIG);
}

#[test]
fn git_inside_reads_what_git_outside_reads() {
    need!(userns(), tools(&["git"]));
    let place = Place::new();
    // Only what is shown, so that both lists have to be equal.
    let config = "\u{feff}# c\n[User]\n\tName = A \\\"B\\\\ \" c # d \" e# f\n email=a@b\r\n[core] autocrlf\n\tAbbrev = 12 \\\n 34\n\
        [CORE]\n\twhitespace = trailing-space,\\\n  tab-in-indent\n\tcommentChar = \"#\"\n[include]\n\tpath = more/one\n\
        [include]\n\tpath = ~/two\n[include]\n\tpath = none\n[log]date=\"a\\tb\"\n[user]\n\tname = Last\n[init]\n\tdefaultBranch =\n";
    place.write("home/.gitconfig", config);
    place.write("home/more/one", "[include]\npath = next\n[pull]\nff = only\n");
    place.write("home/more/next", "[push]\ndefault = simple\n");
    place.write("home/two", "[i18n]\n\tcommitEncoding = \u{e9}\\\\\n");
    let outside = git(&place, &["config", "--global", "--includes", "--list"]).ok();
    let outside: Vec<_> = outside.lines().filter(|line| !line.starts_with("include.path")).collect();
    assert_eq!(inside(&place, &[]).lines().collect::<Vec<_>>(), outside);
    assert!(outside.len() >= 12, "{outside:?}");
}

#[test]
fn what_is_included_on_a_condition_is_so_inside() {
    need!(userns(), tools(&["git"]));
    let place = Place::new();
    let work = place.work().canonicalize().unwrap();
    let config = format!(
        "[user]\n\tname = Alice\n[includeIf \"gitdir:{0}/at-work/\"]\n\tpath = at-work\n[includeIf \"gitdir:{0}/x/\"]\n\tpath = x\n",
        work.display()
    );
    place.write("home/.gitconfig", &config);
    place.write("home/at-work", "[user]\n\temail = alice@work.example\n[credential]\n\thelper = secret\n");
    place.write("home/x", "[user]\n\tname = X\n");
    for repository in ["at-work", "else"] {
        git(&place, &["init", "-q", repository]).ok();
    }
    let script = "for d in at-work else; do (cd $d; git config user.name; git config user.email || echo none); done";
    assert_eq!(place.sh(&["-q", "--profile", "ci"], script).ok(), "Alice\nalice@work.example\nAlice\nnone\n");
}

#[test]
fn conditions_show_no_addresses_and_no_other_directories() {
    need!(userns(), tools(&["git"]));
    let place = Place::new();
    let conditions = [
        "hasconfig:remote.*.url:https://USER:TOKEN@git.example/**",
        "hasconfig:remote.*.url:https://*@other.example/**",
        "gitdir:~/clients/hidden/",
        "gitdir:hidden/",
        "gitdir:work/",
    ];
    let text = |condition: &&str| format!("[includeIf \"{condition}\"]\npath = inc-{}\n", condition.len());
    place.write("home/.gitconfig", &conditions.iter().map(text).collect::<String>());
    for condition in conditions {
        let number = condition.len();
        place.write(&format!("home/inc-{number}"), &format!("[log]\ndate = d{number}\n"));
    }
    let seen =
        || place.sh(&["-q", "--profile", "ci"], "cat ~/.gitconfig* 2>/dev/null; git config --get-all log.date").out;
    git(&place, &["init", "-q"]).ok();
    let out = seen();
    assert!(out.ends_with(&format!("\nd{}\n", "gitdir:work/".len())), "{out}");
    assert!(!["TOKEN", "example", "clients", "hidden"].iter().any(|word| out.contains(word)), "{out}");
    // What is met is decided outside, and holds inside.
    git(&place, &["remote", "add", "origin", "https://USER:TOKEN@git.example/x"]).ok();
    let out = seen();
    assert!(out.contains(&format!("\nd{}\n", conditions[0].len())) && !out.contains("TOKEN"), "{out}");
}

#[test]
fn what_cannot_be_read_is_told() {
    need!(userns());
    let place = Place::new();
    place.write("home/.gitconfig", "[user]\nname = \"A\n");
    let out = place.sh(&["--profile", "ci"], "ls -A ~");
    assert!(out.err.contains("git does not know who you are inside: ") && out.err.contains(".gitconfig:"), "{out:?}");
    assert!(!out.out.contains(".gitconfig"), "{out:?}");
    std::fs::write(place.home().join(".gitconfig"), "[user]\nname = A\n").unwrap();
    let out = place.sh(&["--profile", "ci", "--set", "filesystem.home=private:x"], "ls -A ~");
    assert!(out.err.contains("the private home is kept") && !out.out.contains(".gitconfig"), "{out:?}");
    let receipt = place.dir.path().join("receipt");
    let flags = ["--profile", "ci", "--set", "filesystem.home=private:x", "--receipt", receipt.to_str().unwrap()];
    place.sh(&flags, "true").ok();
    let receipt: String = std::fs::read_to_string(receipt).unwrap().chars().filter(|c| !c.is_whitespace()).collect();
    assert!(
        receipt.contains("\"setting\":\"services.git-identity=true\"") && receipt.contains("gitdoesnotknow"),
        "{receipt}"
    );
}

#[test]
fn a_line_of_the_profile_for_the_file_or_the_home_wins() {
    need!(userns());
    let place = Place::new();
    place.write("home/.gitconfig", CONFIG);
    let ci = ["-q", "--profile", "ci"];
    let ro = place.sh(&[&ci[..], &["--ro", "~/.gitconfig"]].concat(), "cat ~/.gitconfig").ok();
    assert_eq!(ro, CONFIG);
    let home = place.sh(&[&ci[..], &["--ro", "~"]].concat(), "cat ~/.gitconfig").ok();
    assert_eq!(home, CONFIG);
    std::fs::remove_file(place.home().join(".gitconfig")).unwrap();
    place.write("home/.config/git/config", CONFIG);
    let none = place.sh(&[&ci[..], &["--ro", "~"]].concat(), "ls -A ~");
    assert!(none.out.contains(".config") && !none.out.contains(".gitconfig"), "{none:?}");
}
