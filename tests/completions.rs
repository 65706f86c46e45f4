//! What the shells' completions offer: names of what there is, and no programs where no program can stand.

mod common;

use common::records::Records;
use common::{ran, sbx, tools, userns};
use std::path::PathBuf;

/// Completes lines as bash does, which takes words apart at colons and equals signs, and prints what is offered, with a line `--end--` behind it.
const DRIVER: &str = r#"
COMP_WORDBREAKS=$' \t\n"\'><=;|&(:'
compopt() { :; }
. "$SCRIPT"
while IFS= read -r COMP_LINE; do
    COMP_POINT=${#COMP_LINE}
    apart="${COMP_LINE//:/ : }"
    read -r -a COMP_WORDS <<<"${apart//=/ = }"
    case "$COMP_LINE" in *' ') COMP_WORDS+=("") ;; esac
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    current="${COMP_WORDS[COMP_CWORD]}"
    case "$current" in [:=]) current="" ;; esac
    COMPREPLY=()
    _sbx_more sbx "$current" "${COMP_WORDS[COMP_CWORD - 1]}" </dev/null
    printf '%s\n' "${COMPREPLY[@]}" --end--
done <<<"$LINES"
"#;

struct Offers {
    records: Records,
}

impl Offers {
    fn new() -> Offers {
        let records = Records::new();
        std::fs::create_dir(records.place.dir.path().join("bin")).unwrap();
        std::os::unix::fs::symlink(sbx(), records.place.dir.path().join("bin/sbx")).unwrap();
        Offers { records }
    }

    /// What is offered at the end of each of these lines.
    fn each(&self, lines: &[String]) -> Vec<Vec<String>> {
        let sbx = self.records.command();
        let mut bash = std::process::Command::new("bash");
        bash.current_dir(self.records.place.work()).env_clear();
        bash.envs(sbx.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let bin = self.records.place.dir.path().join("bin");
        bash.env("PATH", format!("{}:/usr/bin:/bin", bin.display())).env("LINES", lines.join("\n"));
        let script = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("completions/sbx.bash");
        let ran = ran(bash.env("SCRIPT", script).args(["--norc", "-c", DRIVER]).output().unwrap());
        assert_eq!((ran.status, ran.err.as_str()), (Some(0), ""), "{lines:?}");
        let offered = ran
            .out
            .split("--end--\n")
            .map(|part| part.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect());
        let offered: Vec<Vec<String>> = offered.take(lines.len()).collect();
        assert_eq!(offered.len(), lines.len());
        offered
    }

    /// What is offered at the end of this line.
    fn all(&self, line: &str) -> Vec<String> {
        self.each(&[line.to_owned()]).remove(0)
    }

    #[track_caller]
    fn are(&self, line: &str, words: &[&str]) {
        let mut offered = self.all(line);
        offered.sort();
        assert_eq!(offered, words, "{line}");
    }
}

#[test]
fn names_are_offered_where_names_stand() {
    need!(tools(&["bash", "awk"]));
    let offers = Offers::new();
    for name in ["aged", "anew", "other"] {
        offers.records.run(&["create", "-q", "--name", name, "--", "true"]).ok();
    }
    for name in ["inner", "outer"] {
        offers.records.run(&["network", "create", name]).ok();
    }
    for (line, words) in [
        ("sbx rm ", &["aged", "anew", "other"][..]),
        ("sbx rm a", &["aged", "anew"]),
        ("sbx rm -f aged a", &["aged", "anew"]),
        ("sbx rm -- o", &["other"]),
        ("sbx logs -f ", &["aged", "anew", "other"]),
        ("sbx logs -n 5 o", &["other"]),
        ("sbx logs -fn 5 o", &["other"]),
        ("sbx inspect --format x o", &["other"]),
        ("sbx generate systemd o", &["other"]),
        ("sbx update --memory 1g o", &["other"]),
        ("sbx rename o", &["other"]),
        ("sbx rename other ", &[]),
        // None of them runs.
        ("sbx exec -it ", &[]),
        ("sbx stop ", &[]),
        ("sbx network rm ", &["inner", "outer"]),
        ("sbx network remove i", &["inner"]),
        ("sbx network inspect inner o", &["outer"]),
        ("sbx network connect --alias x o", &["outer"]),
        ("sbx network connect outer ", &[]),
        ("sbx network create ", &[]),
        ("sbx --network i", &["inner"]),
        ("sbx run --network ", &["host", "inner", "none", "outer", "private"]),
        ("sbx --net ", &["host", "net:inner", "net:outer", "none", "private"]),
        ("sbx --net net:i", &["inner"]),
        ("sbx --net=net:i", &["inner"]),
        ("sbx --net=h", &["host"]),
        ("sbx plan --net h", &["host"]),
        ("sbx --upper ", &["ask", "discard", "keep:"]),
        ("sbx --name x --restart ", &["always", "no", "on-failure", "unless-stopped"]),
        ("sbx --name stop --restart o", &["on-failure"]),
        ("sbx --tty p", &["pty"]),
        ("sbx exec -u ", &[]),
        ("sbx profile show brow", &["browser"]),
        ("sbx --profile brow", &["browser"]),
        ("sbx diff ", &["LAST"]),
        ("sbx commit LAST ", &[]),
        ("sbx homes --remove ", &[]),
        ("sbx --memory ", &[]),
    ] {
        let mut offered = offers.all(line);
        // The definition of the flags offers what was typed for a value that it knows nothing of.
        offered.retain(|word| line.rsplit([' ', '=', ':']).next() != Some(word));
        offered.sort();
        assert_eq!(offered, words, "{line}");
    }
}

#[test]
fn running_sandboxes_are_offered_where_one_has_to_run() {
    need!(userns(), tools(&["bash", "awk"]));
    let offers = Offers::new();
    offers.records.run(&["create", "-q", "--name", "ended", "--", "true"]).ok();
    offers.records.start(&["--name", "running"], "exec sleep 1000");
    for line in [
        "sbx exec -it ",
        "sbx exec -e A=b ",
        "sbx exec -eA=b -w / --user 0 r",
        "sbx attach ",
        "sbx stop -t 5 ",
        "sbx stop -it5 ",
        "sbx network allow ",
        "sbx network connect outer ",
        "sbx top ",
        "sbx port ",
        "sbx pause ",
    ] {
        offers.are(line, &["running"]);
    }
    // Behind the sandbox stands a program.
    for line in ["sbx exec running tru", "sbx exec -l tru", "sbx exec -itl -- tru", "sbx exec -it running -- tru"] {
        assert!(offers.all(line).contains(&"true".to_owned()), "{line}");
    }
    offers.records.run(&["rm", "-f", "running", "ended"]).ok();
}

#[test]
fn programs_are_offered_where_a_program_stands_and_nowhere_else() {
    need!(tools(&["bash", "awk"]));
    let offers = Offers::new();
    let is_program = |word: &String| ["true", "compgen", "while"].contains(&word.as_str());
    for line in ["sbx ", "sbx run ", "sbx -- ", "sbx --net none ", "sbx plan --ro /etc ", "sbx run -e A=b -q -- "] {
        assert!(offers.all(line).iter().any(is_program), "{line}");
    }
    // What stands behind the program are its arguments.
    std::fs::write(offers.records.place.work().join("argument"), "").unwrap();
    for line in ["sbx cat ", "sbx run cat arg", "sbx --net none cat -n ", "sbx -- cat -- "] {
        offers.are(line, &["argument"]);
    }
    // Each verb, and each flag that takes a value, as the definition has them.
    let mut command = sbx::cli::completed();
    command.build();
    let mut lines = Vec::new();
    for verb in command.get_subcommands() {
        let takes_program = ["run", "plan", "create"].contains(&verb.get_name());
        if !takes_program {
            lines.push(format!("sbx {} ", verb.get_name()));
        }
        for below in verb.get_subcommands() {
            lines.push(format!("sbx {} {} ", verb.get_name(), below.get_name()));
        }
        for arg in verb.get_arguments().filter(|arg| arg.get_action().takes_values() && !arg.is_require_equals_set()) {
            lines.extend(arg.get_long().map(|long| format!("sbx {} --{long} ", verb.get_name())));
        }
    }
    assert!(lines.len() > 100, "{lines:?}");
    let offered = offers.each(&lines);
    let wrong: Vec<_> = lines.iter().zip(offered).filter(|(_, offered)| offered.iter().any(is_program)).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}
