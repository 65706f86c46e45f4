//! Generated files are checked in and up to date: the manual, the completions, the schema, the settings of the built-in profiles.
//! With SBX_UPDATE=1 these tests rewrite them.

#[path = "common/completed.rs"]
mod completed;
#[path = "common/debian.rs"]
mod debian;

use clap_mangen::Man;
use sbx::profile::{json_schema, schema};
use std::path::PathBuf;

fn root() -> PathBuf {
    std::env::var("CARGO_MANIFEST_DIR").unwrap().into()
}

#[track_caller]
fn fresh(file: &str, text: &str) {
    let path = root().join(file);
    if std::env::var_os("SBX_UPDATE").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let old = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(old == text, "{file} is stale: SBX_UPDATE=1 cargo test --test generated");
}

#[test]
fn completions_are_fresh() {
    assert_eq!(completed::undecided(), [""; 0], "say in tests/common/completed.rs what these values are");
    fresh("completions/sbx.bash", &completed::bash());
    fresh("completions/_sbx", &completed::zsh());
    fresh("completions/sbx.fish", &completed::fish());
}

#[test]
fn the_settings_of_built_in_profiles_are_fresh() {
    use sbx::profile::{Loader, literal, load};
    let mut text = String::from(
        "//! Generated from profiles/*.toml by `SBX_UPDATE=1 cargo test --test generated`.\n\n\
         use super::literal::{Line, Literal, Word};\n\n\
         /// The settings of each profile, and the offsets at which the lines of its text start.\n\
         pub(super) static BUILT_IN: &[(&str, &[Line], &[usize])] = &[\n",
    );
    for (name, profile) in load::BUILT_IN {
        let mut loader = Loader::default();
        let document = loader.text(name, profile);
        assert!(loader.errors.is_empty(), "{name}: {:?}", loader.errors);
        text.push_str(&literal::generate(name, &document, profile));
    }
    text.push_str("];\n");
    fresh("src/profile/built_in.rs", &text);
}

#[test]
fn the_filters_of_built_in_profiles_are_fresh() {
    use sbx::plan::{plan, syscalls};
    use sbx::profile::{Loader, Merged, resolve};
    let policy = |profile: &str| {
        let (mut loader, mut merged) = (Loader::new(Vec::new()), Merged::default());
        loader.profile(profile).into_iter().for_each(|layer| merged.apply(layer));
        let facts = debian::debian();
        let sandbox = resolve::sandbox(&merged, &loader.sources, &debian::vars(&facts));
        let mut sandbox = sandbox.unwrap_or_else(|errors| panic!("{profile}: {errors:?}"));
        sandbox.process.args = vec!["program".into()];
        plan(&sandbox, &facts).unwrap().lockdown.syscalls.unwrap()
    };
    let policies: Vec<_> = ["default", "browser", "ci", "shell", "viewer"].map(policy).into();
    fresh("src/plan/syscalls/filters.rs", &syscalls::ready::generate(&policies));
    if std::env::var_os("SBX_UPDATE").is_none() {
        for policy in &policies {
            assert_eq!(syscalls::ready(policy), Some(syscalls::compile(policy)), "{policy:?}");
        }
    }
}

#[test]
fn the_schema_is_fresh() {
    fresh("profiles/schema.json", &format!("{:#}\n", json_schema()));
}

#[test]
fn the_manual_is_fresh() {
    let mut command = sbx::cli::command();
    command.build();
    let mut out = Vec::new();
    let man = Man::new(command.clone()).manual("sbx").source("sbx");
    man.render_title(&mut out).unwrap();
    man.render_name_section(&mut out).unwrap();
    let mut text = String::from_utf8(out).unwrap();
    text.push_str(BEFORE);
    for path in [
        &["run"][..],
        &["plan"],
        &["check"],
        &["selftest"],
        &["homes"],
        &["diff"],
        &["commit"],
        &["discard"],
        &["export"],
        &["uppers"],
        &["snapshot"],
        &["fork"],
        &["ps"],
        &["create"],
        &["start"],
        &["restart"],
        &["exec"],
        &["attach"],
        &["logs"],
        &["inspect"],
        &["stop"],
        &["kill"],
        &["wait"],
        &["rm"],
        &["prune"],
        &["rename"],
        &["generate", "systemd"],
        &["network", "create"],
        &["network", "allow"],
        &["network", "connect"],
        &["network", "disconnect"],
        &["network", "ls"],
        &["network", "inspect"],
        &["network", "rm"],
        &["pause"],
        &["unpause"],
        &["top"],
        &["port"],
        &["cp"],
        &["stats"],
        &["events"],
        &["update"],
        &["profile", "list"],
        &["profile", "show"],
        &["profile", "check"],
    ] {
        let verb = path.iter().fold(command.clone(), |command, name| command.find_subcommand(name).unwrap().clone());
        text.push_str(&format!(".SH \"SBX {}\"\n{}.\n", path.join(" ").to_uppercase(), verb.get_about().unwrap()));
        if path == ["create"] {
            text.push_str("It takes the flags of\n.BR \"sbx run\" .\n");
            continue;
        }
        if path == ["plan"] {
            text.push_str("It takes the flags of\n.BR \"sbx run\" ,\nand\n.BR \\-\\-json .\n");
            continue;
        }
        if path == ["selftest"] {
            text.push_str(SELFTEST);
            continue;
        }
        let verb = verb.mut_args(|arg| if arg.get_id() == "help" { arg.hide(true) } else { arg });
        let mut options = Vec::new();
        Man::new(verb.disable_help_flag(true)).render_options_section(&mut options).unwrap();
        let options = String::from_utf8(options).unwrap();
        text.push_str(options.replace(".SH OPTIONS\n", "").as_str());
        if path == ["homes"] {
            text.push_str(HOMES);
        }
    }
    text.push_str(AFTER);
    fresh("man/sbx.1", &text);
}

/// What `--help` ends with is broken where the terminal's lines end, and not within a sentence.
#[test]
fn no_line_of_help_ends_within_a_sentence() {
    let mut command = sbx::cli::command();
    command.build();
    for verb in command.get_subcommands() {
        let text = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
        let broken =
            text.lines().skip(1).find(|line| line.starts_with(|first: char| first.is_lowercase() || first == '~'));
        assert_eq!(broken, None, "sbx {}", verb.get_name());
    }
}

/// Each verb of the definition is in the synopsis and has a section, and is in what `sbx --help` prints first.
#[test]
fn every_verb_is_in_the_manual_and_in_the_usage() {
    let text = std::fs::read_to_string(root().join("man/sbx.1")).unwrap();
    let synopsis = text.split(".SH SYNOPSIS").nth(1).unwrap().split("\n.SH ").next().unwrap();
    let mut command = sbx::cli::command();
    command.build();
    let usage = command.render_usage().to_string();
    let below = |command: &clap::Command| -> Vec<String> {
        let names = command.get_subcommands().map(|verb| verb.get_name().to_owned());
        names.filter(|name| name != "help").collect()
    };
    // The words behind a start, of which some begin the entry, and others stand behind a `|`.
    let entries = |start: &str| -> Vec<String> {
        let entries = synopsis.split("\n.br\n").filter(|entry| entry.contains(&format!(".B sbx {start}")));
        let words = entries.flat_map(|entry| entry.lines().filter_map(|line| line.strip_prefix(".B ")));
        words.map(|word| word.trim_start_matches(&format!("sbx {start}")).to_owned()).collect()
    };
    let used = |start: &str| -> Vec<String> {
        let lines = usage.lines().filter_map(|line| line.split_once("sbx ")?.1.strip_prefix(start)?.split(' ').next());
        lines.flat_map(|words| words.split('|').map(str::to_owned)).collect()
    };
    for verb in below(&command) {
        let subverbs = below(command.find_subcommand(&verb).unwrap());
        if subverbs.is_empty() {
            // `run` may be left out.
            assert!(verb == "run" || entries("").contains(&verb), "sbx(1), SYNOPSIS: {verb}");
            assert!(used("").contains(&verb), "usage: {verb}: {usage}");
            assert!(
                text.contains(&format!("\n.SH \"SBX {}\"\n", verb.to_uppercase())),
                "sbx(1): no section for {verb}"
            );
        }
        for subverb in subverbs {
            let (start, whole) = (format!("{verb} "), format!("{verb} {subverb}"));
            assert!(entries(&start).contains(&subverb), "sbx(1), SYNOPSIS: {whole}");
            assert!(used(&start).contains(&subverb), "usage: {whole}: {usage}");
            assert!(
                text.contains(&format!("\n.SH \"SBX {}\"\n", whole.to_uppercase())),
                "sbx(1): no section for {whole}"
            );
        }
    }
}

#[test]
fn the_manual_of_bubblewraps_front_is_fresh() {
    let roff = |text: &str| text.replace('\\', "\\e").replace('-', "\\-");
    let mut options = String::new();
    for entry in sbx::bwrap::OPTIONS {
        let values: String = entry.values.iter().map(|value| format!(" \\fI{}\\fR", roff(value))).collect();
        options.push_str(&format!(".TP\n\\fB{}\\fR{values}\n{}.\n", roff(entry.name), roff(entry.help)));
    }
    let page = std::fs::read_to_string(root().join("man/sbx-bwrap.1.in")).unwrap();
    fresh("man/sbx-bwrap.1", &page.replace("@OPTIONS@\n", &options));
}

#[test]
fn the_manual_of_profiles_names_every_key_mode_option_and_variable() {
    let text = std::fs::read_to_string(root().join("man/sbx-profile.5")).unwrap().replace('\\', "");
    let keys = schema::KEYS.iter().map(|key| key.name.rsplit('.').next().unwrap());
    let words = [schema::MODES, schema::DEVICES, schema::NAMESPACES, schema::PORTALS, schema::SOUND].concat();
    let options = schema::PATH_OPTIONS.iter().map(|option| option.trim_end_matches('='));
    for word in
        keys.chain(words).chain(options).chain(["HOME", "CWD", "UID", "USER", "XDG_RUNTIME_DIR", "xdg-download"])
    {
        assert!(text.contains(word), "sbx-profile(5) does not name `{word}`");
    }
    for key in schema::KEYS {
        let table = key.name.rsplit_once('.').map_or("", |(table, _)| table);
        assert!(table.is_empty() || text.contains(&format!("[{table}]")), "sbx-profile(5) has no [{table}]");
    }
}

const BEFORE: &str = r#".SH SYNOPSIS
.B sbx
.RB [ run ]
.RI [ FLAG ]...
.RB [ \-\- ]
.I PROGRAM
.RI [ ARGUMENT ]...
.br
.B sbx plan
.RI [ FLAG ]...
.RB [ \-\- ]
.RI [ PROGRAM
.RI [ ARGUMENT ]...]
.br
.B sbx check
.RB [ \-\-profile
.IR NAME ]
.RB [ \-\-kernel\-config
.RI [ FILE ]]
.RB [ \-\-json ]
.br
.B sbx selftest
.RI [ FLAG ]...
.RB [ \-\-verbose ]
.RB [ \-\-json ]
.br
.B sbx profile list
.RB [ \-\-json ]
|
.B show
.I NAME
|
.B check
.RB [ \-\-strict ]
.RB [ \-\-json ]
.IR FILE | NAME ...
|
.B schema
.br
.B sbx diff
.RB [ \-\-stat | \-\-patch | \-\-json ]
.RI [ NAME ]
.RI [ PATH ...]
.br
.B sbx commit
.RB [ \-\-dry\-run ]
.RB [ \-\-merge ]
.I NAME
.RI [ PATH ...]
.br
.B sbx discard
.IR NAME ...
|
.B export
.RB [ \-\-patch ]
.RB [ \-o
.IR FILE ]
.I NAME
|
.B snapshot
.I NAME
|
.B fork
.I NAME NEW
|
.B uppers
.RB [ \-\-json ]
.br
.B sbx ps
.RB [ \-a ]
.RB [ \-q ]
.RB [ \-\-filter
.IR KEY = VALUE ]
.RB [ \-\-format
.IR TEMPLATE ]
.br
.B sbx create
.RI [ FLAG ]...
.RB [ \-\- ]
.I PROGRAM
.br
.B sbx start
.RB [ \-ai ]
|
.B restart
.IR NAME ...
.br
.B sbx attach
.RB [ \-\-no\-stdin ]
.RB [ \-\-detach\-keys
.IR KEYS ]
.I NAME
.br
.B sbx exec
.RB [ \-it | \-d ]
.RB [ \-e
.IR NAME = VALUE ]
.RB [ \-w
.IR DIR ]
.RB [ \-u
.IR USER ]
.I NAME PROGRAM
.RI [ ARGUMENT ]...
.br
.B sbx logs
.RB [ \-f ]
.RB [ \-t ]
.RB [ \-\-tail
.IR N ]
.RB [ \-\-since
.IR TIME ]
.RB [ \-\-until
.IR TIME ]
.I NAME
.br
.B sbx inspect
|
.B stop
|
.B kill
|
.B wait
|
.B rm
.IR NAME ...
|
.B prune
|
.B rename
.I NAME NEW
.br
.B sbx pause
|
.B unpause
.RB [ \-a ]
.IR NAME ...
.br
.B sbx top
.RB [ \-\-json ]
.I NAME
.RI [ COLUMN ...]
.br
.B sbx port
.RB [ \-\-json ]
.IR NAME " [" PORT "[/" tcp | udp ]]
.br
.B sbx cp
.IR FROM
.IR TO
.br
.B sbx stats
.RB [ \-\-no\-stream ]
.RB [ \-a ]
.RI [ NAME ]...
.br
.B sbx events
.RB [ \-\-no\-stream ]
.RB [ \-\-since
.IR TIME ]
.RB [ \-\-until
.IR TIME ]
.RB [ \-\-filter
.IR KEY = VALUE ]...
.br
.B sbx update
.RB [ \-\-memory
.IR SIZE ]
.RB [ \-\-cpus
.IR N ]
.RB [ \-\-pids\-limit
.IR N ]
.I NAME
.br
.B sbx generate systemd
.RB [ \-\-new ]
.RB [ \-\-name ]
.RB [ \-\-files ]
.RB [ \-\-restart\-policy
.IR WHEN ]
.I NAME
.br
.B sbx homes
.RB [ \-\-json ]
.RB [ \-\-remove
.IR NAME ]...
.br
.B sbx network create
.RB [ \-\-subnet
.IR CIDR ]...
.RB [ \-\-gateway
.IR ADDRESS ]...
.RB [ \-\-ipv6 ]
.RB [ \-\-internal ]
.I NAME
.br
.B sbx network connect
.RB [ \-\-alias
.IR NAME ]...
|
.B disconnect
.I NETWORK SANDBOX
.br
.B sbx network allow
.I SANDBOX
.IR HOST [: PORTS ][/ PROTOCOL ]...
.br
.B sbx network ls
.RB [ \-q ]
.RB [ \-\-json ]
|
.B inspect
|
.B rm
.IR NAME ...
.SH DESCRIPTION
.B sbx
runs a program in a sandbox, as an ordinary user: without root, without a set-user-ID program of its own and without a
daemon. A profile, a TOML file that
.BR sbx\-profile (5)
describes, says what the program may see and do; flags are the last layer on top of it. Without
.B \-\-profile
the profile is the one that names the program
.RB ( viewer
for
.BR evince ,
see
.B programs
in
.BR sbx\-profile (5)),
else
.BR default :
the system read-only, an empty home, no network, and changes in the current directory kept from the host: on a terminal sbx asks at the end what
becomes of them, elsewhere they are discarded, and a line says how many files were changed.
.B "\-\-ro ."
shows that directory read-only,
.B "\-\-rw ."
writable. Where the kernel mounts no overlay, has something mounted below the directory, or cannot keep what is asked about, it is read-only.
.PP
It creates new namespaces (user, mount, pid, network, ipc, uts, cgroup, time), builds the view of the filesystem from bind mounts and
directories in memory, drops all capabilities, sets no_new_privs, and starts the program under a small init, which reaps orphaned
processes and ends with the program. Nothing is created on the host for that but the layer of changes that are asked about or kept, and when
.B sbx
has exited, no process of the sandbox is left.
.PP
What a profile asks for is enforced, or sbx refuses to run and prints the cause and the fix. A path that is marked
.B optional
is left out if it is missing. If a device, display, sound server or bus is missing, or if something marked
.B prefer
is not possible, a line that begins with
.B "sbx: note:"
says so. A path with
.B overlay,prefer
is read-only where the kernel's overlay cannot be had, or not without a server.
.PP
A flag that takes no value may be given one of true and false, as podman's (`\-\-rm=true', `\-\-rm=false').
If a flag is given twice for the same thing, the last one counts; so it does of two flags for one path, and of a flag and
.BR \-\-set .
Paths in flags may be relative, and may use the variables and places of profiles. A text that names a file which is there is that file,
commas included; one that could as well be a variable or a path with options is an error, since somebody else may have chosen the name. A
source is written behind its own flag, which no file's name can be:
.BR "\-\-ro /data \-\-from \(dq$dir\(dq" .
"#;

const SELFTEST: &str = r#"It takes the flags of
.BR "sbx run" ,
starts a sandbox with them, and in it a program, which is
.B sbx
itself, that does what hostile programs do: it looks for the host's files, processes, sockets, keys and devices, for descriptors and
variables that were left over, and for system calls that exploits need, and it tries to write, to mount, to trace and to escape. Most of the
attempts come from known attacks on containers. So that there is something to find, sbx creates a process, files, sockets and keys outside,
and removes them afterwards. The sandbox is the profile's except that it has no terminal, and shows a few files of the test below /tmp.
No attempt harms the host, even if it works, and none of them needs root.
.PP
Each line of the table is one attempt, or one line of the profile's [assert]:
.TP
.B held
it did not work;
.B \-\-verbose
says how that was seen
.TP
.B shared
it worked, and the profile allows it; the line says where
.TP
.B FAILED
it worked, and should not
.TP
.B not run
it could not be tried, and why: the host has no such socket, device or system call
.PP
.B \-\-json
prints the same for programs: a list of lines, each with its
.BR id ,
.BR group ,
.BR title ,
.B outcome
.RB ( held ,
.BR shared ,
.B failed
or
.BR not\-run )
and
.BR detail .
.B \-\-timeout
and
.B \-\-tty
have no effect.
.PP
The exit status is 0 if nothing failed, 1 if something did, and 125 if the sandbox did not start.
"#;

const HOMES: &str = r#".PP
A private home is made by
.BI "\-\-home private:" NAME\fR,
or
.B filesystem.home
in a profile, and is kept for the next run with that name. Its files are in
.IR ~/.local/share/sbx/homes/NAME/home .
What a program left there counts as hostile: look at it before you use it outside. One that a sandbox uses is not removed.
"#;

const AFTER: &str = r##".PP
Errors are shown as in a run. For a profile without errors, each grant that counts is listed with its severity, its weight from 0 to 10,
what a program inside can do with it, the line that grants it, and what to use instead:
.TP
.B undoes
a way out of the sandbox, on some hosts if not on all; its weight is 5 or more
.TP
.B weakens
more than programs usually need
.TP
.B note
worth knowing
.PP
A stricter line for a path takes away what a freer line for a directory above it grants. The host is not looked at, and the current
directory counts as one that holds a project. Flaws of the kernel are not judged.
.PP
The exposure is from 0.0 (nothing is shared) to 10.0: the heaviest grant counts in full, each further one takes a third of its share of
what is left. Below 1.0 it is
.BR SAFE ,
below 3.0
.BR OK ,
below 5.0
.BR MEDIUM ,
below 8.0
.BR EXPOSED ,
below 9.5
.BR UNSAFE ,
and
.B DANGEROUS
from there. With
.BR \-\-strict ,
a grant that undoes the sandbox is a failure, unless the profile gives a reason in a comment above its line. Such a grant still counts
for the exposure:
.EX
[network]
# accepted: it downloads from anywhere
mode = "host"
.EE
.SH "SBX PROFILE SCHEMA"
Prints the JSON schema of the profile language, for editors.
.SH "RUNNING SANDBOXES"
With
.BR \-d ,
.B sbx run
goes on in the background and prints the sandbox's id once the program has started; if it does not start, it prints the error, and exits with its
status. The program's standard input is empty, and what it writes goes to a log, which
.B sbx logs
shows: by stream, with the time of each line, as Kubernetes' container runtimes have it, in two files of 10 MiB each at most
.RB ( "\-\-log\-opt max\-size=" ).
What the disk has no room for is lost, and a line says how much. On a terminal, control characters in it are shown and not sent, but for colours. With
.B "\-\-log\-driver none"
nothing is kept, with
.B passthrough
the program has the caller's standard output and standard error. With
.B journald
each line is a message of systemd's journal, with the fields that podman's have (CONTAINER_ID_FULL, CONTAINER_NAME and so on, and PRIORITY 3 for standard error), and
.B sbx logs
reads it there by
.BR journalctl (1),
as far as the user may. Where there is no journal, nothing is started. What the journal does not take is lost, once it was waited for 200 milliseconds in a second: neither the program nor
.B sbx
waits longer for it; a message says how much, and so does State.Error of
.BR "sbx inspect" .
What the journal itself drops behind that, since a unit has sent more than RateLimitBurst= of
.BR journald.conf (5)
lets it, is in no count of sbx's: the journal says "Suppressed N messages". Such a run, and one with
.BR \-\-name ,
has a record, which stays until it is removed; with
.B \-\-rm
it goes when the program has ended. With
.B \-\-cidfile
its id is written to a new file once the program runs; a file that is there already, or that the program could change, is refused, and none is left of a sandbox that does not start. Names are unique, and random where none is given;
.B \-l
stands for the one that was made last; in place of a name, an id, or any beginning of an id that no other has, says which sandbox is
meant.
.PP
.BR "sbx ps" ,
.BR logs ,
.BR inspect ,
.BR stop ,
.BR kill ,
.BR wait ,
.BR rm ,
.B prune
and
.B rename
do what podman's and docker's verbs do. Their exit status is 125 if one of the sandboxes could not be had; that of
.B rm
is 1 if there is no such sandbox, and 2 if it runs. These verbs come before programs of the same name:
.B "sbx \-\- ps"
runs the program.
.PP
.B "sbx ps"
lists the newest first, as docker does;
.B "\-\-sort created"
is podman's order. A
.B "\-\-filter name="
or
.B id=
is a part of a name or the beginning of an id;
.B ^
and
.B $
say where a name begins and ends, and other regular expressions are refused.
.B "sbx logs"
of several sandboxes puts the id before each line; without
.B \-f
it ends with what there was when it was called, however fast the program writes.
.B "sbx wait \-\-condition running"
waits for another status than the end, and prints \-1 where there is no exit status. A program that does not end in time after
.B "sbx stop"
is ended by SIGKILL, and a note says so. What others have chosen (labels, arguments, names of processes) is shown on a terminal with control characters escaped, and
otherwise printed as it is.
.PP
.B "sbx create"
makes a record, and
.B "sbx start"
starts what was created or has ended, in the background: the words of its command line are read anew, in the directory where they were written, with the profiles and
the variables of the one who starts it.
.B "\-\-restart on\-failure"
(or
.BI on\-failure: N \fR,
.BR always ,
.BR unless\-stopped )
starts a program in the background again when it has ended, after 0.1 s, twice as long each time, up to a minute; not once
.B "sbx stop"
or
.B "sbx kill"
has ended it.
.PP
After a boot, the unit
.I sbx\-restart.service
of the user's systemd manager starts what has
.B always
and what has
.B unless\-stopped
and was not stopped or killed by the user
.RB ( "systemctl \-\-user enable sbx\-restart" ;
.B loginctl enable\-linger
has it do so before the user logs in), also what was created and never started. It does that by
.BR "sbx start \-\-all \-\-filter should\-start\-on\-boot=true" ,
with the variables of the manager, and one that cannot be started is in the journal. At a shutdown, it ends them as
.B sbx stop
does, with
.BR \-\-until\-boot ,
so that the next boot starts them.
.B "sbx generate systemd"
prints a unit for a single sandbox: for its record, or with
.B \-\-new
for the words of its command line, without
.BR \-\-detach ", " \-\-restart ", " \-\-name ", " \-\-replace " and " \-\-rm ,
which the unit says itself. The process that systemd sees exits as the program does. What is started again by its own monitor gets no unit by its record.
.PP
Flags of
.B run
that podman and docker have are other words for keys of a profile, as their descriptions say, and
.B sbx plan
shows what they do. Where those know more, the flag is refused with the reason.
.B \-\-env\-file
takes their format: lines NAME=VALUE, whose value is taken as it stands, NAME for a variable of the caller's that is left out if it is not set, and comments
.RB ( # );
.B \-\-env
counts more, wherever it stands.
.BI "\-\-network container:" NAME
joins the network of a running sandbox, which is then the program's with its name servers and its host name; it is looked up at each start, and the program has no rights over
the other's processes and files, nor it over the program's.
.BI "\-\-ipc container:" NAME
joins its System V shared memory, semaphores and message queues (not what is in /dev/shm, nor POSIX message queues), and
.BI "\-\-uts container:" NAME
its host name, which the program cannot change. Its processes are not joined, since PID 1 there is not this sandbox's:
.B "sbx exec"
runs a program among them.
.PP
.B "sbx attach"
is in front of the program of a sandbox in the background: it shows what the program writes from then on, standard output and standard error apart, and passes what is typed on if the sandbox was started
with
.BR \-i .
Several may be attached at once. Where the program has a terminal
.RB ( \-t ),
it is told of the window's size, the last one counting, and draws what it shows anew; every key goes to it, but for those by which it is left to go on,
.B "^P ^Q"
or those of
.BR \-\-detach\-keys ,
with exit status 0. Without one, signals for
.B "sbx attach"
are sent to the program unless
.B \-\-sig\-proxy=false
is given, and the end of standard input is the end of the program's; whoever is killed, or hangs up, does not end it. What the program has made of the caller's terminal by control sequences is put back when it is left, too.
The exit status is the program's, and 137 if the monitor was killed.
.B "sbx start \-a"
and
.B \-i
attach in the same way, from the first line on;
.B \-i
passes standard input on.
.PP
The program never waits for one that is attached, nor do the others: of what one does not read 8 MiB wait, and one that leaves more is attached no more, and says so. With
.B "\-\-log\-driver passthrough"
there is nothing to attach to, nor in a run in the foreground.
.PP
.B "sbx exec"
has the sandbox's PID 1 execute a further program, as it has executed the first: in the same namespaces, with the same ids, Landlock rules, filter, limits and keyring, and
without capabilities. Its standard streams are pipes, which
.B sbx
copies; standard input is empty without
.BR \-i .
It ends when
.B "sbx exec"
is killed, and with the sandbox. There is none in a sandbox with
.B \-\-as\-pid\-1
or
.BR "\-\-share pid" .
.PP
With
.BR \-t ,
the program has a terminal of the sandbox's own, with the settings and the size of the caller's, or of 80 columns and 24 lines. With
.BR \-it ,
every key that is typed goes there,
.BR ^C ,
.B ^Z
and their like as well, which act on what runs inside; the caller's terminal is as before when
.B "sbx exec"
has ended, whatever ended it. Standard input that is no terminal is typed there, and ends with the character that ends input (as with podman, and other than with docker, that is no
error). The keys
.BR "^P ^Q" ,
or those of
.B \-\-detach\-keys
(single characters and
.BI ctrl\- X\fR,
separated by commas; an empty text is none), leave the program to go on: what it writes from then on is dropped, and the exit status is 0. When the caller's terminal hangs up, the program is told so
(SIGHUP), and has a second to end.
.PP
With
.BR \-d ,
.B "sbx exec"
returns once the program was executed, and prints nothing. The program goes on until it ends or the sandbox does; its streams are /dev/null, or with
.B \-t
a terminal that nobody reads.
.PP
.B \-u
takes the ids that the sandbox's program has, by number or by the name that they have in the sandbox's own /etc/passwd and /etc/group as its start has made them, and refuses all others: the
sandbox's PID 1 has given up the right to take them.
.PP
The exit status is that of the program, 128+N if signal N ended it, 127 or 126 if it was not found or cannot be executed, 125 if
.B sbx
failed, 137 if the sandbox has ended meanwhile, and 255 if it does not run.
.PP
.B "sbx pause"
has the kernel freeze all processes of a sandbox by its cgroup, and
.B "sbx unpause"
has them go on. A sandbox has a cgroup of its own where it has a limit, such as
.BR \-\-pids\-limit ;
another one is not paused. While it is paused, nothing is executed in it; signals of
.B "sbx kill"
arrive when it goes on, but for SIGKILL, and
.BR "sbx stop" ,
as a signal that asks the launcher for the end, has it go on.
.PP
.B "sbx top"
lists the processes of a sandbox with podman's columns, or with those that are named. They are read from /proc outside:
.I pid
and
.I user
are those inside,
.I hpid
and
.I huser
those outside; the names and arguments are what the processes say, with control characters escaped. As for ps(1),
.B \-eo
or
.B \-o
may stand before the columns.
.B "sbx port"
prints at which ports of the host servers inside are reached, also those that were given by 0.
.PP
.B "sbx cp"
copies a file or a tree from one path to another, one of which is
.IR NAME : PATH
in a running sandbox (from / on), or both are; in place of a path of the host,
.B \-
is a tar stream. A directory that is there gets the copy by its name; else it becomes the path.
.IB DIR /.
is what is in a directory. The side in a sandbox is read and written there, by
.B sbx
itself, which PID 1 executes as
.B "sbx exec"
executes programs: links lead where they lead for the program, and what it may not write is not written. Links in a tree are copied as links. Permissions and times stay, the sticky bit of directories among them; set-user-ID bits do not, and
files belong to whoever may make them, the program's user inside and the caller outside. Below the path of the host no link is followed, whatever takes the place of a directory meanwhile;
a link on the way to that path is, unless it leads out of a directory that a program may have written to, such as the current one, which is an error. Directories that are there keep their permissions. Devices, named pipes, sockets, and what changes while it is read are left out and named; the exit status is 1 then.
.PP
.B "sbx stats"
prints what sandboxes use, every five seconds. Their cgroups count it: of a sandbox without one, and of what the cgroup has no controller for, it prints
.BR \-\- .
Memory is counted without files that the kernel gives up as soon as others need memory; the network is that of a private network's own interface. The share of a processor is that since the
table before, and in the first one since the start.
.B "sbx update"
changes limits of a sandbox that runs. Each is read back after it was written; if one does not hold, those before it are put back, and the message says so. The new limits
count for the next start, too, whatever its command line says. A memory limit below what is used has the kernel take memory back, and end processes if that is not enough.
.PP
.B "sbx events"
prints what happens to sandboxes that have a record: that one was created, started, died, was stopped, killed, paused, renamed, removed and so on, with podman's words; with
.B \-\-since
or
.BR \-\-until ,
also what has happened before. The monitors and the verbs append a line for each to
.IR ~/.local/state/sbx/.events/events ;
once that is larger than a MiB, it becomes
.I events.1
and the older one is gone. Of a monitor that is killed nobody tells the end, and a disk that is full keeps lines out; whoever could not write one says so once.
.PP
There is no daemon. The launcher of each sandbox goes on in the background, as its monitor, and the sandbox ends with it: one that is killed is listed as
.BR "Exited (137), killed" ,
and one that ran when the machine was started anew as
.BR "Exited (137) by a reboot" .
Where systemd ends the processes of a session at its end
.RB ( KillUserProcesses ),
it ends them, too:
.B loginctl enable\-linger
and
.B systemd\-run \-\-user
keep them.
.SH "UPPER LAYERS"
What a program changes in paths of the mode
.B overlay
goes to an upper layer; with
.BI "\-\-upper keep:" NAME
that stays, and
.B LAST
stands for the one that was used last. Nobody can work on a layer that a sandbox uses.
.TP
.B sbx diff
lists the paths that differ from the host:
.B A
added,
.B M
modified,
.B D
deleted; a
.B !
marks one that has changed on the host since the program saw it, or is gone there, or lies in what may be another directory by now. In
parentheses: another kind of file, other permissions, a name that tools outside run something from. A path with control characters, or bytes that
are no UTF-8, is in double quotes, with escapes; in JSON, such bytes are numbers in
.IR path_bytes ,
and
.I target
is the text of a link.
.B \-\-patch
prints the differences of texts as a patch that git applies in the directory of the overlay. What it applies no patch to, as files in
.BR .git ,
is there as comments. A comment comes before what tools outside may run, as
.B sbx commit
finds it
.TP
.B sbx commit
puts the changes onto the host, all or those at or below the paths. Each file is replaced at once, and then taken out of the layer. A file
that has changed on the host since the program saw it is left as it is, and named; the exit status is then 1. So are a deleted directory in
which something has changed or is mounted, files in what may be another directory by now, and permissions of a directory that may have been
changed on the host; and what the program changed and the host has deleted since, as far as that was noted when the run ended. Where the host
has nothing at a path, whoever names the path has it put there all the same. What both have made the same, but for the time, is done, and goes
out of the layer. What cannot be put there whole is named, too. Files are the user's on the host; a file that replaces one keeps its
group. Where root commits, and all ids are mapped
.RB ( "\-\-user range" ),
owners are those that the program saw. Set-user-ID and set-group-ID bits are left out, but for those that the host's file has and that stay
its owner's or its group's. What is at or below a name that tools outside run on their own (those of the profile
.BR base/worktree ,
in whatever directory: .git, .envrc, .vscode and the like), and what the host's git runs besides, is left as it is and named, unless it, or a path
in it, is one of the paths; the exit status is then 1. The same holds for what links in such names and in the home lead to, files that variables
name as code, profiles and what sbx keeps, files that programs in the home start from, a link in the place of a directory above one of these, and a
directory that is deleted or replaced and holds a repository or a .sbx.toml. A path at which nothing differs is named; the exit status is then 1. What was
deleted inside and is gone on the host by somebody else is done: it goes out of the layer as well, if it is at or below the paths, and a note names
it. A commit that was interrupted is finished by the next one. With
.BR \-\-merge ,
a text of up to 1 MiB that the host has changed, too, gets both changes, if the two have changed neither the same lines nor lines beside each
other, and nothing but lines. What the program saw is known for files that the host had not changed during the run, in layers that were
not frozen; the output names what was merged
.TP
.B sbx discard
removes the layers
.TP
.B sbx export
writes a tar file of the changes, as a layer of an OCI image: a deleted file is one named
.BI .wh. NAME
.RB "(names of the program's own that begin so are left out, with a note)."
With
.BR \-\-patch ,
it writes a patch instead, which
.B "git apply"
applies in the directory of the overlay, or of several overlays, in /: with files of up to 32 MiB that are no texts, and without empty
directories, named pipes, permissions other than that to execute, and files that git applies no patch to, as those in
.BR .git ;
they are named. Extended attributes whose names a tar file would change, as those with an equals sign, are left out with a note. In both forms is what a commit
leaves alone unless it is named: a note says how many files that are and where, and in the patch a comment comes before each
.TP
.B sbx uppers
lists the layers: name, size on disk, when they were used last (UTC), paths, with the directory of the host where that is another, and the
size of the frozen layers below
.TP
.B sbx snapshot
freezes the layers: nothing is copied, and what they hold now stays below a new, empty layer
.TP
.B sbx fork
makes layers of a new name that begin with what these hold now
.PP
With
.B \-\-upper ask
and a terminal, sbx lists the changes when the program has ended, and asks whether to commit, keep or discard them. What was typed before
the question is no answer. Of more than 20 paths, those that are changed, deleted or may be executed are listed first, and only the whole
word
.B commit
commits. What tools outside may run is asked about by itself, after the rest. If nobody answers, or at ^C, they are kept, under a name that
sbx prints. So they are, and nobody is asked, where SIGTERM or SIGHUP has asked sbx for the end, as by
.BR timeout (1).
If nothing was changed, nothing is asked. Where standard input or standard error is no terminal, or standard output is a pipe, at
whose other end a pager may read the keys, the changes are discarded, and a line says how many files were changed. Runs that end at once ask one
after the other. The profiles
.B default
(for the current directory),
.B shell
and
.B ci
(with
.BR "\-\-overlay ." )
have that. What
.B base/worktree
closes stays read-only in such a directory;
.B "\-\-overlay .git"
besides has a program commit in the layer.
.SH "THE TERMINAL"
If one of the three standard streams is a terminal, the program gets a terminal of its own, and
.B sbx
copies between the two: the program can neither type into the caller's terminal nor read what is typed while the sandbox is in the
background. Streams that are pipes, files or sockets are handed over, and never read by
.BR sbx .
A closed stream becomes /dev/null.
.PP
The caller's terminal stays as it is for the other programs of the job, until the program changes the settings of its own, as editors and
prompts for passwords do; it is set back when the program sets its own back. What the program has made of it by control
sequences and not put back (mice, bracketed paste, the alternate screen, colours, other keys and characters) is put back at the end, in the
foreground; a title stays. If the program has asked the terminal something and not read the answer, sbx waits for that, up to 0.2 seconds, and drops it
and what was typed meanwhile. A line that was typed is read only once a process of the sandbox
waits for it. So pagers behind a pipe, several sandboxes on one terminal
.RB ( "make \-j" ", " "xargs \-P" ),
^C, ^Z, ^\\, ^D, fg, bg, jobs in the background, the size of the window and typing ahead work as without a sandbox. If the caller's terminal hangs up, so
does the program's.
.PP
What a program can notice all the same:
.IP \(bu 2
Its terminal is a pseudo-terminal, /dev/pts/0 as a rule, whose session PID 1 leads. It starts with the settings and the size of the
caller's, without speed and parity. Requests to a console of the machine (keyboard, virtual terminals) fail.
.IP \(bu 2
What it leaves set is gone with its terminal: stty(1) and reset(1) in a sandbox do not change the caller's.
.IP \(bu 2
A line is handed to a program that waits in read(2), poll(2), select(2), epoll_wait(2) or their kin. One that looks for input without ever waiting,
.RB ( "read \-t 0" ),
finds none until it sets its terminal; from then on it gets every key. If
.B sbx
may not see what processes wait for (ptrace_scope 3 of Yama), they get every line at once, and what is typed ahead is lost.
.IP \(bu 2
Other settings of its terminal take effect on the caller's with the next output, or within half a second.
.IP \(bu 2
Numbers of processes, groups and sessions are those of its pid namespace.
.PP
SIGINT, SIGQUIT, SIGHUP, SIGTSTP, SIGTTIN, SIGTTOU and SIGCONT that are sent to
.B sbx
reach the program's whole process group, as shells and terminals send them; all others reach the program alone. When the program stops,
.B sbx
stops as well, for the shell to see, if one of the standard streams is a terminal. If ^C or ^\\ has ended the program,
.B sbx
ends by the same signal, so that scripts end, too.
.PP
.B \-\-tty inherit
hands the caller's terminal over instead, to a process group of the program's own, which has the terminal to itself until it ends: other programs of a
pipeline cannot read it then.
.B \-\-tty none
gives no controlling terminal: a stream that is the caller's terminal can be read at any time, in the background, too. With both, that stream has no name
inside: tty(1) finds none. At the end, the terminal's exclusive mode, line discipline and suspended output and its descriptors' flags are put back, and with
.B none
its settings. So are its permissions, owner and group, and the window's size if the program has made it too small for a line of text.
.B \-\-tty pty
gives a new terminal even if no stream is one, in place of pipes and files: it echoes, and ends lines with CR LF.
.PP
A file that was opened for reading, and that the program could change, is opened again from a read-only mount. Its offset begins where the
caller's is, and the caller's is moved when the program has ended. If somebody else reads from it meanwhile, both read the same. What the
program permits others on a file, device or named pipe that it has as a stream, by chmod(2), chown(2) or an access control list (acl(5)), is
taken back at the end, with a note.
.SH HINTS
Where standard error is a terminal,
.B sbx
says at the end what may have surprised the program: it failed and had tried to reach addresses or a resolver of names in a sandbox without a network;
it is one that traces others
.RB ( gdb ", " strace
and the like), and the filter refuses that; it changed the entries of a home that is in memory, where what it wrote is gone.
.B \-\-quiet
leaves the hints out.
.SH "WHAT A PROGRAM NOTICES"
.IP \(bu 2
.IR "Read-only mounts" :
what may not be changed fails with EROFS, also where a program outside gets EACCES (to make a file in / or /usr) or ENOENT (to remove one
that is not there).
.IP \(bu 2
.IR Ids :
where one id is mapped, chown(2), setuid(2) and access control lists of other ids fail with EINVAL, not EPERM. So fakeroot(1), which the
building of Debian packages uses, and others that go on after EPERM, need
.B \-\-user keep\-id
or
.BR "\-\-user range" ,
which have subordinate ids. They start newuidmap(1) and newgidmap(1), which takes a few milliseconds. Files of other users and groups belong to
nobody and nogroup.
.IP \(bu 2
.IR Privileges :
there are none, not even for root: set-user-ID programs
.RB ( su ", " sudo )
do not gain any, and sockets of raw packets
.RB ( tcpdump )
do not exist. ping(8) works where the host lets users ping (net.ipv4.ping_group_range).
.IP \(bu 2
.IR Pseudo-terminals :
there are 256 of them, of those that the kernel has for all containers; the next one is an error (ENOSPC).
.IP \(bu 2
.IR Debuggers :
the profiles
.B ci
and
.B shell
let programs trace each other (gdb, strace, sanitizers) and have fixed addresses
.RB ( "setarch \-R" ).
perf(1) and rr(1) need
.BR "\-\-set security.syscalls.allow=[\(dqperf_event_open\(dq]" .
.IP \(bu 2
.IR Descriptors :
all but the three standard streams are closed, and those of
.BR \-\-keep\-fd .
So what a shell passes for <(...), such as /dev/fd/63, is not there: a note says
.BR "\-\-keep\-fd 63" .
A directory as a standard stream is refused, since its parents lead out of the view, unless
.B \-\-keep\-fd 0
asks for it. So is a socket, unless the network is the caller's: it belongs to the network that it was made in, where the program could connect it
to others. Connections of unix(7), as those of ssh(1) and of the journal, are handed over. What inetd(8), systemd(1) (Accept=yes) or bash's /dev/tcp open
is passed through pipes,
.IR "cat | sbx ... | cat" ,
or handed over by
.BR "\-\-keep\-fd 0 \-\-keep\-fd 1 \-\-keep\-fd 2" ,
with the network that it belongs to.
.IP \(bu 2
.IR "Process ids" :
they are those of a namespace of its own; the program is not PID 1, which is sbx's, unless
.B \-\-as\-pid\-1
makes it that. A server for socket activation compares LISTEN_PID with its own id (sd_listen_fds(3)), so a shell inside sets it:
.EX
sbx \-\-keep\-fd 3 \-e LISTEN_FDS \-\- sh \-c \(aqLISTEN_PID=$$ exec "$@"\(aq sh SERVER
.EE
.IP \(bu 2
.IR Terminal :
started on a terminal, the program has one of its own,
.B /dev/pts/0
inside, which is its controlling terminal; its settings, its size and its keys are those of the caller's. It is not the caller's session that
the program is in: it is neither seen by tty(1), write(1) and w(1) outside, nor can it put characters into the caller's terminal (TIOCSTI).
.B \-\-tty
says more. Without a terminal among the standard streams there is none, and /dev/tty cannot be opened.
.IP \(bu 2
.IR "Groups and signals" :
the program leads a process group of its own in a session of the sandbox. What the caller's terminal or another process sends to
.B sbx
(SIGINT, SIGTERM, SIGTSTP, SIGCONT and others) goes to the group that a shell would have sent it to. Signals that the caller ignores are ignored
inside; none is blocked that the caller does not block. Supplementary groups are there as far as ids are mapped, and all others are nogroup.
.IP \(bu 2
.IR Names :
the host's name is
.BR sandbox ,
the machine id is a random one, and
.B HOME
is an empty directory in memory unless a line shows something there. /proc shows the processes of the sandbox alone, and what tells of the whole
machine in it and in /sys is empty.
.IP \(bu 2
.IR Network :
where the profile has none, there is a loopback interface and nothing else: connecting fails with ENETUNREACH, names are not resolved.
.IP \(bu 2
.IR "Files in memory" :
/tmp, the home and /dev/shm have a size of their own (filesystem.memory), and ENOSPC at it.
.IP \(bu 2
.IR Limits :
those of the caller (ulimit) hold for sbx as well. Where one is too low for a start, an error names it.
.IP \(bu 2
.IR "Core dumps" :
they are off and cannot be turned on, unless
.B rlimits.core
is another than 1: setrlimit(2) of it does nothing.
.SH "WITHOUT AN INIT"
With
.B \-\-as\-pid\-1
the program itself is PID 1 of its namespace: it has to reap orphaned processes, it gets only signals that it handles, and if it clears
its parent-death signal, it outlives an
.B sbx
that is killed with SIGKILL. With
.B \-\-share pid
there is no pid namespace to end: what the program starts in the background may outlive it.
.SH "EXIT STATUS"
The program's own status, and:
.TP
.B 124
the program ran longer than
.BR \-\-timeout :
it got SIGTERM, and two seconds later SIGKILL
.TP
.B 125
.B sbx
failed before the program started
.TP
.B 126
the program could not be executed
.TP
.B 127
the program was not found in the sandbox
.TP
.BI 128+ N
signal
.I N
ended the program
.PP
.B sbx check
tries each call and each namespace that a sandbox takes, and starts one, so that it cannot say anything else than a run would.
It names the cause of what is refused (a kernel without a call, the seccomp filter or the masked /proc of a container, a chroot, a
setting, another sandbox around sbx), the fix, and the flags that run without it; a start that fails says the same.
.B \-\-kernel\-config
lists the options of the kernel's that sbx has a use for, with what each is for, whether it is built in or a module, and what was seen when it was tried, which counts
more: from /proc/config.gz, /boot/config\-RELEASE or /lib/modules/RELEASE/config. With a file, or with one in the variable CONFIG, it is about the kernel of that, and nothing
is tried.
.B sbx check
and
.B sbx profile check
exit with 1 if something is wrong with what they check; a grant of a profile is no error without
.BR \-\-strict .
.B sbx selftest
exits with 1 if something failed.
.SH "STATUS LINES"
.BI \-\-status\-fd " N"
writes a line of JSON for each event to the file descriptor:
.EX
{"event":"started","pid":4242}
{"event":"exited","status":143,"cause":"signal","signal":15}
{"event":"failed","status":125,"message":"..."}
{"event":"note","message":"..."}
{"event":"kept","name":"..."}
{"event":"published","address":"127.0.0.1","host":8080,"inside":80,"transport":"tcp"}
{"event":"allowed","time":"...","lines":["example.net:443"]}
{"event":"asks","by":"by a notification"}
{"event":"asked","time":"...","name":"example.net","answer":"once"}
{"event":"refused","time":"...","protocol":"dns","name":"example.org","type":"A","pid":4250,"program":"curl","rule":"not in network.allow"}
.EE
The process id is that of the sandbox's init in the caller's pid namespace. The cause is
.BR exited ,
.BR signal ,
.BR timeout ,
.B oom
if the program was ended for memory, or
.B killed
if somebody killed the sandbox itself. With limits or
.BR \-\-stats ,
.B used
has the usage of the sandbox's cgroup: times in microseconds, sizes in bytes;
.B oom_killed
names processes that were ended for memory. The kernel counts them, but writes their names only to its log. So sbx names those that it has
.B seen
being ended, and as probable those that were the largest shortly before and are gone. With
.B \-\-stats
SIGUSR1 is not handed on to the program: sbx prints the usage so far, here as an event
.BR stats .
At the end, the usage is written to the receipt, too.
.SH "THE RECEIPT"
.BI \-\-receipt " FILE"
writes the file when the program has been started, and again with the usage when it has ended. Each time a new file takes the place of the
old one. It is an error if something that is no regular file has that name, if a link leads out of a directory in which somebody else may
have put it, and if the program could change the file, since the profile shows its directory writable. A number, or a name such as
.IR /dev/stderr ,
is a descriptor.
.SH "QUESTIONS ABOUT NAMES"
With
.B \-\-ask\-network
.RB ( "network.ask = true" ),
the user is asked about a name that a program in a private network asks for, and that no line of
.B network.allow
or
.B network.deny
is for. Without
.BR network.allow ,
nothing is reached but what the user allows. The answers are
.B once
(the name is reached until this run ends, at all ports, at addresses of the Internet),
.B always
(the same, and the line for the profile is told at once, since sbx changes no profile), and
.B never
(it is refused, and not asked about again in this run). Who has asked for the name waits up to 20 seconds; no answer is a refusal, after which a later attempt asks again, three times
at most. What
.B network.deny
has is refused without a question.
.PP
The question is asked on the terminal that sbx was started on, if the program has no part in it: none of its standard streams and
.B \-\-keep\-fd
is a terminal, these (and those descriptors) are files,
.I /dev/null
or, but for standard output and standard error, ends of pipes that are read,
and sbx is in the foreground. An answer is a whole word. What was typed before the question, or in the second in which it
appears, does not count. Otherwise it is a notification of the desktop's with three buttons
(org.freedesktop.Notifications on the session bus), also with
.BR \-\-detach ,
where a button that is pressed within a second counts as little, and the notification is shown again.
It is none where
.B dbus.session
lets the program send messages to who shows them. With neither, a note at the start says that nobody can be asked, and the names are refused. A profile by which the
program could type or click for the user, or start programs outside
.RB ( "desktop.x11 = true" ", " "desktop.wayland = \(dqunrestricted\(dq" ", " "dbus.session.policy = \(dqhost\(dq" ,
names such as org.freedesktop.systemd1 in
.BR dbus.session ,
input devices, and paths with the sockets of displays, of terminals and editors such as tmux's, of assistive technology, of the session bus or of systemd) is refused together with
.BR network.ask ,
and so are
.B internet
in
.BR network.allow ,
by which addresses are reached whatever is said of names, and
.BR security.landlock_tcp .
.PP
There is one question at a time; eight names wait, for their turn no longer than 20 seconds, there are 100 questions in a run, and names of more than 100 letters, or longer than a line of the terminal, are refused without one: a note says so, as it does once where a question cannot be shown, and the refusals are recorded as others.
The name is shown as it is asked for, which is with
.B xn\-\-
for letters of other alphabets. A program that knows an address, or finds the name in hosts(5), asks for no name: the packets are refused without a question, and
.B sbx network allow
allows them. The receipt
.RB ( asked )
and
.B \-\-status\-fd
.RB ( asks ", " asked )
have how the user is asked, and the answers.
.SH "WHAT A NETWORK REFUSES"
What the rules on a private network refuse
.RB ( network.allow " and " network.deny )
is recorded if somebody is told: on a terminal, in one line at the end; as events
.B refused
of
.BR \-\-status\-fd ;
with its number and the first 50 that differ, in the receipt once the program has ended
.RB ( refused );
and in a line of JSON each, at the end of the file that
.BI \-\-network\-log " FILE"
names, or at a descriptor if that is a number:
.EX
{"time":"2026-01-01T12:00:00.000Z","protocol":"dns","name":"example.org","type":"A","pid":4250,"program":"curl","rule":"not in network.allow"}
{"time":"2026-01-01T12:00:00.200Z","protocol":"tcp","address":"10.0.0.7","port":443,"pid":4250,"program":"curl","rule":"10.0.0.0/8"}
.EE
.PP
The name, or the address and the port, and the rule are exact. Who was refused is known for names and connections of TCP: the process that holds the socket, by its number in the
caller's pid namespace and by what it calls itself
.RB ( comm
of proc(5)), unless it has ended by then, hides among thousands of processes and descriptors, or shares the socket with others of the sandbox. For UDP, it is the process that still has
the socket a moment later. For ICMP it is not known. While refusals are recorded, sbx itself answers the first 50 connections of each family in a second, once it knows whose they are; the kernel answers
others, and all where it does not count packets (nft_limit), so that who was refused is not known of these.
.PP
A program may have as much refused as it likes. 100 refusals in a second are recorded, 200 after a pause, and 100,000 in all; others are only counted
.RB ( only_counted ", " only\-counted ),
and at the end of a flood not even all of them. What a program calls itself is escaped. The file is no link and has no other name, lies in no directory that the program
can write to, and is written by one run at a time; what is in it already stays. What cannot be written, since the disk is full or nobody reads, is lost, which a note at the end says.
A kernel that does not tell of packets (nft_log, nfnetlink_log) is no reason not to start: names are recorded alone then, and a note says so.
.PP
.B sbx network allow
.I SANDBOX
.IR HOST ...
lets a running sandbox with a private network, its own or one that sandboxes share, and a record
.RB ( \-\-name ", " \-\-detach )
reach more, with lines as in
.BR network.allow .
They count at once and for all of its processes, until this run ends: the answer has the line for the profile, by which the next run begins. Either all lines count, or none. What
.B network.deny
refuses stays refused, as the answer says. A name counts for a program once that has asked for it anew. A sandbox that was started without names in its rules cannot be allowed names, since nobody in it
tells sbx of them, unless it shares a network; one that Landlock holds to ports
.RB ( security.landlock_tcp )
cannot be allowed others; one in an internal network cannot be allowed anything.
.B sbx inspect
has the rules of now
.RB ( NetworkSettings.Rules ),
the receipt what was allowed
.RB ( allowed_later ),
as
.B \-\-status\-fd
.RB ( allowed ).
Nothing inside can ask for it: only the user's own commands reach the sandbox's control socket.
.SH "FURTHER NETWORKS OF A RUNNING SANDBOX"
.B sbx network connect
.RB [ \-\-alias
.IR NAME ]
.I NETWORK
.I SANDBOX
puts a running sandbox with a record that was started in a network of
.B sbx network create
into a further one, which is started if nobody is in it. It gets an interface and an address there, and others in that network find it by its name, if it has one, and by each
.BR \-\-alias .
It finds them by theirs, alone or with the network's name behind a dot; for a name that somebody has in several of its networks, most programs try that with the name of the network behind it first that it was
started in, which stands in resolv.conf(5), and else have all addresses. What
.B network.deny
has is neither reached nor let in there, whatever else is; and nothing is reached by that interface but the others in the network. The outside is reached as before, by the network that it was started in, and not at all
where that is internal. Names of others are not told to a sandbox with
.BR "network.dns = \(dqnone\(dq" .
Addresses are those of IPv4: a network that was made with
.B \-\-ipv6
is refused, as one to connect to and as one that the sandbox was started in. Which address it is cannot be chosen. The processes of a network belong to the session of the command that had it started, which may be this one.
.PP
That holds until the run ends, or
.B sbx network disconnect
.I NETWORK
.I SANDBOX
takes it out again: what is open by then ends with an error. The next run begins in the network of its command line alone. The network that a sandbox was started in is not one to be disconnected from. If the further
network ends, since the process that holds it or what carries its packets was killed, a note says so, and the sandbox goes on. A sandbox is in nine networks at most. One with a private network, no network, or that of
the host or of another sandbox cannot be connected.
.B sbx inspect
has the networks
.RB ( NetworkSettings.Networks ),
and
.B sbx events
tells of both, as podman does, with the type
.BR network .
.SH FILES
.TP
.I /etc/sbx/profiles/NAME.toml
the system's profiles
.TP
.I ~/.config/sbx/profiles/NAME.toml
the user's (or below
.IR $XDG_CONFIG_HOME )
.TP
.I .sbx.toml
the project's file, in the current directory and in each one above, which may only tighten.
.B \-\-no\-project
ignores all of them
.PP
Files with the same name are layers: the user's is applied on top of the system's, and that on top of the built-in one.
.TP
.I ~/.local/share/sbx/uppers/NAME
upper layers that are kept (or below
.IR $XDG_DATA_HOME );
nobody else may enter the directory
.TP
.I ~/.local/state/sbx/ID
records of sandboxes that run in the background or have a name (or below
.IR $XDG_STATE_HOME );
while one runs, also
.IR $XDG_RUNTIME_DIR/sbx/ID .
A sandbox that shows a directory above these has an empty one there
.TP
.I ~/.local/share/sbx/homes/NAME/home
private homes (or below
.IR $XDG_DATA_HOME ).
A link in the place of
.IR ~/.local/share/sbx ,
or in it, is an error. A sandbox that shows a directory above it has an empty one there, and one that shows a directory above
.I ~/.config/sbx
writable has that read-only; what is not there, and could be made, is made first. Where a directory of the caller's own lacks the permission for
that, and is shown writable, it is an error
.TP
.I ~/.config/systemd/user/sbx.service
a unit of the user's systemd manager, which comes with sbx and runs a process that sleeps. While it runs, sandboxes with limits share its
cgroup
.RI ( sbx.slice/sbx.service )
instead of getting a scope each. If sbx itself runs below the manager (in a terminal of the desktop, or in a service), it does not
ask the manager at all; from a session of its own (ssh, a console), the manager only has to move sbx there. The price: the sandboxes have no
units of their own, stopping the service ends them all, and the cgroup of a killed launcher stays until the next start removes it
.TP
.I ~/.config/systemd/user/sbx\-restart.service
a unit that comes with sbx, too, and starts sandboxes after a boot. What it has started ends with it
.SH ENVIRONMENT
The environment of the program has HOME, USER, LOGNAME, SHELL, PATH, HOSTNAME and XDG_RUNTIME_DIR, which describe the sandbox, and what
the profile or
.B \-\-env
sets or passes; nothing else. NO_COLOR disables colours in messages.
.SH "TEST RUNNERS"
Runners that can start each test by a program of one's choice start it in a sandbox of its own:
.EX
CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER='sbx \-q \-\-profile ci \-\-' cargo test
CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER='sbx \-q \-\-profile ci \-\-' cargo nextest run
go test \-exec 'sbx \-q \-\-profile ci \-\-' ./...
sbx \-q \-\-profile ci \-\- python3 \-m pytest
.EE
The profile
.B ci
shows the project that the current directory belongs to
.RB ( ${PROJECT} ,
see
.BR sbx\-profile (5)),
and the test's own program wherever it lies: that of a member of a workspace is in ../../target, those of doctests and of Go are in /tmp. It passes what
these runners set; others' variables are named by
.BR "\-\-env \(aqTOOL_*\(aq" .
The job server of a
.B make \-j
around sbx is not handed over, and MAKEFLAGS does not name it inside: make counts its jobs there by itself. With a
.B +
before the command of the rule, and the descriptors that MAKEFLAGS names after
.BR "\-\-jobserver\-auth=" ,
.B "\-\-keep\-fd 3 \-\-keep\-fd 4"
hands it over; where it is a named pipe,
.BI \-\-rw " PATH"
does.
What a test leaves in /tmp is gone with it, so a log that Go expects there is not found, and Go does not take the result for a cached one.
.SH EXAMPLES
.EX
sbx \-\- ./downloaded\-tool \-\-help
sbx \-\-profile firefox
sbx \-\-profile ci \-\-timeout 10m \-\- cargo test
sbx \-\-profile ci\-net \-\- cargo fetch
sbx \-\-rw out \-\-ro ~/data,noexec \-\- ./tool ~/data out
sbx run \-\-status\-fd 3 \-\- make 3>events.json
sbx \-\-set rlimits.nofile=256 \-\-hide /usr/bin/curl \-\- sh
sbx plan \-\-json \-\-profile ci \-\- make | jq .view
.EE
.SH "SEE ALSO"
.BR sbx\-profile (5),
.BR user_namespaces (7),
.BR mount_setattr (2),
.BR newuidmap (1),
.BR xdg\-dbus\-proxy (1),
.BR bwrap (1)
"##;
