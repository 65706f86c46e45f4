//! Reads the command line of one verb without building clap's definitions of the others, which would take two thirds of the instructions of `sbx exec`.

use super::args::{self, Verb};
use clap::{Args, Command};
use std::ffi::OsString;

/// The arguments of this verb; none if they cannot be read. The caller then parses with the whole definition, which reports the error or
/// prints the help.
fn read<A: Args>(verb: &'static str, words: &[OsString]) -> Option<A> {
    let command = Command::new(verb).no_binary_name(true).disable_version_flag(true).args_override_self(true);
    A::from_arg_matches(&args::matches(A::augment_args(command), words)?).ok()
}

macro_rules! verbs {
    ($($word:literal $verb:ident($args:ident),)*) => {
        /// The verb of a command line, if it is one that ends soon; none if it cannot be read.
        pub(super) fn quickly(words: &[OsString]) -> Option<Verb> {
            let (verb, rest) = words.get(1..)?.split_first()?;
            match verb.to_str()? {
                $($word => read::<args::$args>($word, rest).map(Verb::$verb),)*
                _ => None,
            }
        }

        #[cfg(test)]
        const READ: &[&str] = &[$($word),*];
    };
}

verbs! {
    "attach" Attach(Attach),
    "check" Check(Check),
    "commit" Commit(Commit),
    "cp" Cp(Cp),
    "diff" Diff(Diff),
    "discard" Discard(Discard),
    "events" Events(Events),
    "exec" Exec(Exec),
    "export" Export(Export),
    "fork" Fork(Fork),
    "inspect" Inspect(Inspect),
    "kill" Kill(Kill),
    "logs" Logs(Logs),
    "pause" Pause(Pause),
    "port" Port(Port),
    "prune" Prune(Prune),
    "ps" Ps(Ps),
    "rename" Rename(Rename),
    "restart" Restart(Restart),
    "rm" Rm(Rm),
    "snapshot" Snapshot(Snapshot),
    "start" Start(Start),
    "stats" Stats(Stats),
    "stop" Stop(Stop),
    "top" Top(Top),
    "unpause" Unpause(Pause),
    "update" Update(Update),
    "uppers" Uppers(Uppers),
    "wait" Wait(Wait),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn a_verb_is_read_as_by_the_whole_definition_or_not_at_all() {
        let lines = [
            "",
            "x",
            "x y",
            "x -- y",
            "-- x",
            "-- -x",
            "x ls -l",
            "x ls -h",
            "x -- ls --help",
            "-h",
            "--help",
            "x -h",
            "--version",
            "-V",
            "--odd",
            "-a",
            "-l",
            "-al",
            "-q -q",
            "-a -q -a",
            "x --all --all",
            "-f",
            "-f x",
            "--time 3 x",
            "-t 3 x",
            "-t 3 -t 4 x",
            "-t x",
            "--json",
            "--format json",
            "--format={{.Names}} x",
            "--filter name=x --filter id=y",
            "-it x sh",
            "-i -t -e A=b -w / -u 1:1 x sh -c -i",
            "-s KILL x",
            "-HUP x",
            "--signal=9 x y",
            "--memory 5m x",
            "-m 5m --cpus 2 x",
            "x:/a b",
            "- x:/a",
            "a x:/b -a",
            "--tail 5 -f x",
            "--since 5m --until 1m x",
            "-n x y",
            "--patch x",
            "x a b",
            "--dry-run x a",
            "-o f x",
            "--output f x",
            "--tar x",
            "--no-stream x",
            "--stdin=true x",
            "--sig-proxy=false x",
            "run x",
        ];
        let mut read = 0;
        for verb in READ {
            for line in lines {
                let words = || ["sbx", verb].into_iter().chain(line.split(' ').filter(|word| !word.is_empty()));
                let words: Vec<_> = words().map(OsString::from).collect();
                let whole = args::Cli::try_parse_from(&words).ok().map(|cli| format!("{:?}", cli.verb));
                let alone = quickly(&words).map(|verb| format!("{verb:?}"));
                assert_eq!(alone, whole, "{words:?}");
                read += usize::from(whole.is_some());
            }
        }
        assert!(read > 200, "{read}");
    }
}
