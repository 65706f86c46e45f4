//! What completions offer for each value on the command line, and the three shells' scripts made of it.

use clap::{Arg, ArgAction, Command, ValueHint};
use clap_complete::{Shell, generate};
use std::collections::BTreeMap;
use std::fmt::Write;

/// What the values of an argument are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Names of sandboxes, those that have ended among them.
    All,
    /// Names of sandboxes that run.
    Running,
    Networks,
    Uppers,
    Homes,
    Profiles,
    /// Modes of a network, and the networks there are, by sbx's own words and by podman's.
    Net,
    Network,
    /// What becomes of changes in overlays, and which home there is, with the names that are kept.
    Upper,
    Home,
    Words(&'static [&'static str]),
    /// Words that nobody else knows.
    Free,
}

use Kind::{All, Free, Home, Homes, Net, Network, Networks, Profiles, Running, Upper, Uppers, Words};

/// The kinds of which a hint of clap's says nothing: verb (or `*`), argument, kind.
const KINDS: &[(&str, &str, Kind)] = &[
    ("start", "names", All),
    ("restart", "names", All),
    ("inspect", "names", All),
    ("rm", "names", All),
    ("logs", "names", All),
    ("wait", "names", All),
    ("rename", "name", All),
    ("update", "name", All),
    ("generate systemd", "sandbox", All),
    ("stop", "names", Running),
    ("kill", "names", Running),
    ("exec", "name", Running),
    ("attach", "name", Running),
    ("pause", "names", Running),
    ("unpause", "names", Running),
    ("top", "name", Running),
    ("port", "name", Running),
    ("stats", "names", Running),
    ("network allow", "name", Running),
    ("network connect", "name", Running),
    ("network disconnect", "name", Running),
    ("network connect", "network", Networks),
    ("network disconnect", "network", Networks),
    ("network inspect", "names", Networks),
    ("network rm", "names", Networks),
    ("diff", "name", Uppers),
    ("commit", "name", Uppers),
    ("discard", "names", Uppers),
    ("export", "name", Uppers),
    ("snapshot", "name", Uppers),
    ("fork", "name", Uppers),
    ("homes", "remove", Homes),
    ("*", "profile", Profiles),
    ("profile show", "name", Profiles),
    ("profile check", "files", Profiles),
    ("*", "net", Net),
    ("*", "network", Network),
    ("exec", "user", Free),
    ("*", "tty", Words(&["auto", "pty", "inherit", "none"])),
    ("*", "share", Words(&["ipc", "uts", "pid", "cgroup", "time"])),
    ("*", "device", Words(&["gpu", "audio", "camera", "input", "fuse", "kvm", "tun"])),
    ("*", "user", Words(&["self", "root", "keep-id", "range"])),
    ("*", "restart", Words(&["no", "on-failure", "always", "unless-stopped"])),
    ("*", "ipc", Words(&["private", "host"])),
    ("*", "pid", Words(&["private", "host"])),
    ("*", "uts", Words(&["private", "host"])),
    ("*", "upper", Upper),
    ("*", "home", Home),
    ("rename", "new", Free),
    ("fork", "new", Free),
    ("*", "set", Free),
    ("*", "env", Free),
    ("*", "timeout", Free),
    ("*", "time", Free),
    ("*", "memory", Free),
    ("*", "cpus", Free),
    ("*", "pids_limit", Free),
    ("*", "keep_fd", Free),
    ("*", "status_fd", Free),
    ("*", "stop_timeout", Free),
    ("*", "restart_sec", Free),
    ("*", "interval", Free),
    ("*", "last", Free),
];

/// How each list is made: by a command of a shell, which prints a name in each line.
const LISTS: &[(Kind, &str, &str)] = &[
    (All, "all", "sbx ps -a --format '{{.Names}}'"),
    (Running, "running", "sbx ps --format '{{.Names}}'"),
    (Networks, "networks", "sbx network ls -q"),
    (Uppers, "uppers", "echo LAST; sbx uppers | awk '{print $1}'"),
    (Homes, "homes", "sbx homes | awk '{print $1}'"),
    (Profiles, "profiles", "sbx profile list | awk '{print $1}'"),
    (Net, "net", "printf '%s\\n' none private host; sbx network ls -q | sed 's/^/net:/'"),
    (Network, "network", "printf '%s\\n' none private host; sbx network ls -q"),
    (Upper, "upper", "printf '%s\\n' discard ask keep:; sbx uppers | awk '{print \"keep:\" $1}'"),
    (Home, "home", "printf '%s\\n' tmpfs private:; sbx homes | awk '{print \"private:\" $1}'"),
];

fn list(kind: Kind) -> Option<&'static str> {
    LISTS.iter().find(|(of, ..)| *of == kind).map(|(_, name, _)| *name)
}

/// The kind of an argument of a verb, if this file says it.
fn kind(verb: &str, arg: &Arg) -> Option<Kind> {
    let here =
        |of: &&(&str, &str, Kind)| of.1 == arg.get_id() && (of.0 == verb || of.0 == "*" && arg.get_long().is_some());
    KINDS.iter().find(here).map(|(.., kind)| *kind)
}

fn takes_value(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Set | ArgAction::Append)
}

/// All verbs with their definitions: "" for a run without one, "network rm".
fn verbs(command: &Command) -> Vec<(String, &Command)> {
    let mut all = vec![(String::new(), command)];
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        for below in verb.get_subcommands().filter(|below| below.get_name() != "help") {
            for name in below.get_name_and_visible_aliases() {
                all.push((format!("{} {name}", verb.get_name()), below));
            }
        }
        all.push((verb.get_name().to_owned(), verb));
    }
    all
}

/// The name of a verb by which [`KINDS`] knows it, whatever alias was written.
fn first_name(verb: &str, definition: &Command) -> String {
    verb.split_once(' ').map_or_else(|| verb.to_owned(), |(above, _)| format!("{above} {}", definition.get_name()))
}

/// Arguments that have a value of which nobody has said what it is.
pub fn undecided() -> Vec<String> {
    let mut command = sbx::cli::completed();
    command.build();
    let mut found = Vec::new();
    for (verb, definition) in verbs(&command) {
        let verb = first_name(&verb, definition);
        for arg in definition.get_arguments().filter(|arg| takes_value(arg) && !arg.is_hide_set()) {
            let said = arg.get_value_hint() != ValueHint::Unknown || !arg.get_possible_values().is_empty();
            if !said && kind(&verb, arg).is_none() {
                found.push(format!("sbx {verb}: {}", arg.get_id()));
            }
        }
    }
    found
}

/// The definition with what clap has a word for: what is chosen from, and nothing at all. A list is to be `listed`.
fn hinted(command: Command, verb: &str, listed: fn(Arg, &'static str) -> Arg) -> Command {
    let verb_of = verb.to_owned();
    let command = command.mut_args(move |arg| match kind(&verb_of, &arg) {
        Some(Words(words)) => arg.value_parser(words.to_vec()),
        Some(kind) => match list(kind) {
            Some(name) => listed(arg, name),
            None => arg.value_hint(ValueHint::Other),
        },
        None => arg,
    });
    let verb = verb.to_owned();
    command.mut_subcommands(move |below| {
        let name = format!("{verb} {}", below.get_name());
        hinted(below, name.trim_start(), listed)
    })
}

fn generated(shell: Shell, listed: fn(Arg, &'static str) -> Arg) -> String {
    let mut out = Vec::new();
    generate(shell, &mut hinted(sbx::cli::completed(), "", listed), "sbx", &mut out);
    String::from_utf8(out).unwrap()
}

/// For scripts that have lists behind what clap writes.
fn unhinted(arg: Arg, _: &'static str) -> Arg {
    arg.value_hint(ValueHint::Other)
}

pub fn zsh() -> String {
    // Each list is a word to choose, and then a function in its place.
    let mut text = generated(Shell::Zsh, |arg, name| {
        let word: &'static str = Box::leak(format!("SBX-LIST-{name}").into_boxed_str());
        arg.value_parser([word])
    });
    for (_, name, _) in LISTS {
        text = text.replace(&format!(":(SBX-LIST-{name})'"), &format!(": _sbx_names {name}'"));
    }
    assert!(!text.contains("SBX-LIST"), "{text}");
    // What stands first is a verb or a program, and not one before the other.
    let program = "'::program -- Program and arguments (default\\: process.args of the profile):_cmdambivalent' \\\n\":: :_sbx_commands\"";
    assert_eq!((text.matches(program).count(), text.matches("$line[2]").count()), (1, 3));
    text = text.replace(program, "\":: :_sbx_first\"").replace("$line[2]", "$line[1]");
    let verb = "        curcontext=\"${curcontext%:*:*}:sbx-command-$line[1]:\"\n";
    assert!(text.contains(verb));
    let other = "        if (( ! $+functions[_sbx__subcmd__${line[1]}_commands] )); then\n            _normal\n            return\n        fi\n";
    text = text.replace(verb, &format!("{verb}{other}"));
    let mut lists = String::new();
    for (_, name, command) in LISTS {
        writeln!(lists, "        {name}) names=(${{(f)\"$({command})\"}}) ;;").unwrap();
    }
    let names = format!(
        "(( $+functions[_sbx_first] )) ||\n_sbx_first() {{\n    _sbx_commands\n    _command_names -e\n}}\n\n\
         (( $+functions[_sbx_names] )) ||\n_sbx_names() {{\n    local -a names\n    case \"$1\" in\n{lists}    esac 2>/dev/null\n    compadd -a names\n    \
         [[ \"$1\" == profiles ]] && _files\n    return 0\n}}\n\n"
    );
    let end = "if [ \"$funcstack[1]\" = \"_sbx\" ]; then";
    assert!(text.contains(end), "{text}");
    text.replace(end, &(names + end))
}

pub fn fish() -> String {
    let mut text = generated(Shell::Fish, unhinted);
    text.push_str("\n# Names, which only sbx knows.\n");
    let mut command = sbx::cli::completed();
    command.build();
    let list_of = |kind| {
        LISTS.iter().find(|(of, ..)| *of == kind).map(|(.., command)| command.replace('$', "\\$").replace('"', "\\\""))
    };
    for (verb, definition) in verbs(&command) {
        let when = match verb.split_once(' ') {
            // The function for that fails where a flag has no value yet.
            _ if verb.is_empty() => {
                let names: Vec<_> = command.get_subcommands().map(clap::Command::get_name).collect();
                format!("not __fish_sbx_using_subcommand {}", names.join(" "))
            }
            None => format!("__fish_sbx_using_subcommand {verb}"),
            Some((above, below)) => {
                format!("__fish_sbx_using_subcommand {above}; and __fish_seen_subcommand_from {below}")
            }
        };
        let mut positionals = Vec::new();
        for arg in definition.get_arguments() {
            let Some(list) = kind(&first_name(&verb, definition), arg).and_then(list_of) else { continue };
            let files = if kind(&first_name(&verb, definition), arg) == Some(Profiles) { "-F" } else { "-f" };
            match arg.get_long() {
                Some(long) => {
                    writeln!(text, "complete -c sbx -n \"{when}\" -l {long} -r {files} -a \"({list})\"").unwrap();
                }
                None => positionals.push((list, files)),
            }
        }
        positionals.dedup();
        for (list, files) in positionals {
            writeln!(text, "complete -c sbx -n \"{when}\" {files} -a \"({list})\"").unwrap();
        }
    }
    text
}

pub fn bash() -> String {
    let mut command = hinted(sbx::cli::completed(), "", unhinted);
    command.build();
    // The same for several verbs is said once.
    let mut valued: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (mut kinds, mut above) = (String::new(), Vec::new());
    let mut names = Vec::new();
    for (verb, definition) in verbs(&command) {
        if !verb.is_empty() && !verb.contains(' ') {
            names.push(verb.clone());
        }
        if definition.has_subcommands() && !verb.is_empty() {
            above.push(verb);
            continue;
        }
        let known = if verb.is_empty() { "run".to_owned() } else { verb.clone() };
        let mut flags = Vec::new();
        for arg in definition.get_arguments().filter(|arg| takes_value(arg) && !arg.is_require_equals_set()) {
            flags.extend(arg.get_long_and_visible_aliases().unwrap_or_default().iter().map(|long| format!("--{long}")));
            flags.extend(arg.get_all_aliases().unwrap_or_default().iter().map(|long| format!("--{long}")));
            let shorts = arg.get_short().into_iter().chain(arg.get_all_short_aliases().unwrap_or_default());
            flags.extend(shorts.map(|short| format!("-{short}")));
        }
        if !verb.is_empty() {
            valued.entry(flags.join(" ")).or_default().push(format!("'{known}'"));
            for (at, arg) in definition.get_positionals().enumerate() {
                let kind = kind(&first_name(&verb, definition), arg).and_then(list);
                let kind = kind.unwrap_or(match arg.get_value_hint() {
                    ValueHint::CommandWithArguments => "program",
                    ValueHint::AnyPath | ValueHint::FilePath | ValueHint::DirPath => "files",
                    _ => "free",
                });
                let many = arg.get_num_args().is_some_and(|number| number.max_values() > 1);
                let place = if many { "'*".to_owned() } else { format!("{}'", at + 1) };
                writeln!(kinds, "        '{known} {}) kind={kind} ;;", place).unwrap();
            }
        }
    }
    let flag_kinds: String = LISTS
        .iter()
        .filter_map(|(kind, name, _)| {
            let flags: Vec<_> = KINDS
                .iter()
                .filter(|(_, _, of)| of == kind)
                .filter_map(|(verb, id, _)| {
                    let long = |command: &Command| {
                        let arg = command.get_arguments().find(|arg| arg.get_id() == id)?;
                        Some(format!("--{}", arg.get_long()?))
                    };
                    if *verb == "*" { long(&command) } else { long(command.find_subcommand(verb)?) }
                })
                .collect();
            (!flags.is_empty()).then(|| format!("            {}) kind={name} ;;\n", flags.join(" | ")))
        })
        .collect();
    let valued: String = valued
        .iter()
        .filter(|(flags, _)| !flags.is_empty())
        .map(|(flags, verbs)| format!("        {}) valued=\" {flags} \" ;;\n", verbs.join(" | ")))
        .collect();
    let lists: String = LISTS.iter().map(|(_, name, command)| format!("        {name}) {command} ;;\n")).collect();
    let more = include_str!("completed.bash")
        .replace("@LISTS@\n", &lists)
        .replace("@VERBS@", &names.join("|"))
        .replace("@ABOVE@", &above.join("|"))
        .replace("@VALUED@\n", &valued)
        .replace("@FLAGS@\n", &flag_kinds)
        .replace("@PLACES@\n", &kinds);
    generated(Shell::Bash, unhinted) + "\n" + &more
}
