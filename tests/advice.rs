//! What errors advise does what they say: the hint is followed, and works.

mod common;

use common::network::programs;
use common::records::Records;
use common::{Place, tun, userns};

#[test]
fn a_program_that_is_not_shown_is_there_once_the_hint_was_followed() {
    need!(userns());
    let place = Place::new();
    // Where it lies behind links.
    let file = std::fs::canonicalize("/usr/bin/env").unwrap().display().to_string();
    let hidden = place.run(&["--hide", &file, "--", &file, "true"]).failed(127);
    assert!(hidden.contains(&format!("`--ro {file} -- {file}` shows it inside")), "{hidden}");
    place.run(&["--hide", &file, "--ro", &file, "--", &file, "true"]).ok();
    // Nothing that it needs is shown either.
    for hide in [&["--hide", "/usr"][..], &["--hide", "/usr/lib", "--hide", &file]] {
        let whole = place.run(&[hide, &["--", &file, "true"]].concat()).failed(127);
        assert!(!whole.contains("shows it inside"), "{hide:?}: {whole}");
        assert!(whole.contains("and neither is its loader /lib"), "{hide:?}: {whole}");
        assert!(whole.contains("leave out what hides them"), "{hide:?}: {whole}");
    }
    let script = place.write("home/script", "#!/usr/bin/env true\n").display().to_string();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let whole = place.run(&["--hide", &file, "--", &script]).failed(127);
    assert!(whole.contains("and neither is its interpreter /usr/bin/env"), "{whole}");
}

#[test]
fn a_name_that_is_in_use_is_free_once_a_hint_was_followed() {
    need!(userns());
    let records = Records::new();
    records.start(&["--name", "same"], "exec sleep 1000");
    let taken = records.run(&["run", "-d", "--name", "same", "--", "true"]).failed(125);
    for hint in ["sbx rm -f same", "as --replace does", "sbx rename same OTHER"] {
        assert!(taken.contains(hint), "{taken}");
    }
    records.run(&["rename", "same", "OTHER"]).ok();
    records.start(&["--name", "same"], "exec sleep 1000");
    records.run(&["rm", "-f", "same"]).ok();
    records.start(&["--name", "same"], "exec sleep 1000");
    records.start(&["--name", "same", "--replace"], "exec sleep 1000");
    records.run(&["rm", "-f", "same", "OTHER"]).ok();
}

#[test]
fn what_is_to_be_removed_is_not_to_be_made() {
    let records = Records::new();
    let unknown = records.run(&["network", "rm", "nosuch"]).failed(1);
    assert!(unknown.contains("there is no network `nosuch`") && unknown.contains("sbx network ls"), "{unknown}");
    assert!(!unknown.contains("create"), "{unknown}");
}

#[test]
fn a_value_that_looks_like_a_flag_can_be_given_as_the_hint_says() {
    let records = Records::new();
    for (line, hint) in [
        ("run --name -x true", "--name=-x"),
        ("--name -x true", "--name=-x"),
        ("--name -xyz true", "--name=-xyz"),
        ("run --stop-timeout -1 true", "--stop-timeout=-1"),
        ("--memory -1 true", "--memory=-1"),
        ("create -q -m -1 true", "-m=-1"),
        ("stop -t -1 n1", "-t=-1"),
        ("logs --tail -1 n1", "--tail=-1"),
        ("network connect --alias -x net n1", "--alias=-x"),
        ("rename --odd n1 n2", ""),
        ("run --odd true", ""),
        ("exec -q n1 true", ""),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let said = records.run(&words).failed(125);
        assert!(said.contains("unexpected argument"), "{line}: {said}");
        // That makes it the program.
        let is_name = line.starts_with("rename");
        assert!(is_name || !said.contains("use '-- "), "{line}: {said}");
        if hint.is_empty() {
            assert!(!said.contains("as a value, write"), "{line}: {said}");
            continue;
        }
        assert!(said.contains(&format!("to give it as a value, write '{hint}'")), "{line}: {said}");
        let at = words.iter().position(|word| hint.starts_with(&format!("{word}="))).unwrap();
        let followed = [&words[..at], &[hint], &words[at + 2..]].concat();
        // What it says now is of the value itself, or of the sandbox.
        let said = records.run(&followed);
        assert!(!said.err.contains("unexpected argument"), "{followed:?}: {said:?}");
    }
    let both = records.run(&["stop", "--latest", "n1"]).failed(125);
    assert!(both.contains("cannot be used with") && both.contains("Usage: sbx stop [OPTIONS] [NAME]..."), "{both}");
}

#[test]
fn each_flag_for_the_network_says_what_it_takes_and_what_the_other_takes() {
    let place = Place::new();
    for (given, hints) in [
        ("lan", &["none, private, host, net:NAME", "join:PID", "--network takes the name of a network"][..]),
        ("bridge", &["none, private, host, net:NAME", "--network bridge is --net private"]),
        ("container:a", &["none, private, host, net:NAME", "--network container:a joins"]),
        ("hots", &["did you mean `host`?"]),
    ] {
        let said = place.run(&["plan", "--net", given, "--", "true"]).failed(125);
        assert!(hints.iter().all(|hint| said.contains(hint)), "{given}: {said}");
    }
    // In a profile there is one word for each.
    let file = place.write("p.toml", "schema = 1\n[network]\nmode = \"lan\"\n").display().to_string();
    let said = place.run(&["profile", "check", &file]).failed(1);
    assert!(said.contains("it takes: none, private, host, net:NAME, join:PID"), "{said}");
    let said = place.run(&["plan", "--publish", "18081:8000", "--", "true"]).failed(125);
    assert!(said.contains("--net private"), "{said}");
    // Which namespaces there are is said in the help, too.
    let said = place.run(&["plan", "--share", "odd", "--", "true"]).failed(125);
    let help = place.run(&["run", "--help"]).ok();
    let help = help.split("--share").nth(1).unwrap().split("\n      --").next().unwrap();
    let known = said.split("it takes: ").nth(1).unwrap().lines().next().unwrap();
    for word in known.split(", ") {
        assert!(help.contains(word), "{word}: {help}");
    }
}

#[test]
fn a_published_port_is_there_once_the_network_is_the_one_that_the_hint_names() {
    need!(userns(), tun(), programs());
    let place = Place::new();
    place.run(&["plan", "--publish", "18081:8000", "--net", "private", "--", "true"]).ok();
}

#[test]
fn values_are_told_as_they_were_written() {
    let place = Place::new();
    for (flags, said) in [
        (&["--memory", "foo"][..], "`foo` is no value of limits.memory_max"),
        (&["--timeout", "0"], "name seconds, or a time with units: 90, 90s"),
        (&["--name", "x", "--cidfile", ""], "--cidfile: the name of the file is empty"),
        (&["--receipt", ""], "--receipt: the name of the file is empty"),
    ] {
        let ran = place.run(&[&["run"], flags, &["--", "true"]].concat()).failed(125);
        assert!(ran.contains(said), "{flags:?}: {ran}");
    }
}

#[test]
fn a_tmpfs_in_podmans_words_is_that_or_is_refused() {
    need!(userns());
    let place = Place::new();
    let script = "[ ! -e /mnt:size=1m ] && touch /mnt/x && stat -f -c '%T %b %S' /mnt";
    let said = place.sh(&["--tmpfs", "/mnt:size=1m,nosuid"], script).ok();
    let fields: Vec<&str> = said.split_whitespace().collect();
    let size: u64 = fields[1].parse::<u64>().unwrap() * fields[2].parse::<u64>().unwrap();
    assert_eq!((fields[0], size), ("tmpfs", 1 << 20), "{said}");
    let refused = place.run(&["--tmpfs", "/mnt:mode=1777", "--", "true"]).failed(125);
    assert!(refused.contains("no option `mode=1777`") && refused.contains("--tmpfs PATH,size=64M"), "{refused}");
}
