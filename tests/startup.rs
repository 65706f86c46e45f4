//! Start-up files of the user's, such as `~/.bashrc`, that are links into what a profile shows writable: a repository of dotfiles, as
//! stow and its like install it. No program may write what they lead to.

mod common;

use common::{Place, Ran, not_root, ran, tools, userns};
use std::process::Command;

const PROFILES: [&str; 2] = ["ci", "shell"];

/// A place whose directory `work` is a repository of dotfiles, installed by a script that runs there, with `$HOME` as the home.
fn dotfiles(script: &str) -> Place {
    let place = Place::new();
    for file in ["bashrc", "gitconfig", "other", "nvim/init.lua", "bin/tool", "fish/conf.d/x.fish"] {
        place.write(&format!("work/{file}"), "");
    }
    let mut shell = Command::new("/bin/sh");
    let script = format!("set -e; mkdir -p ~/.config ~/.local/bin; {script}");
    ran(shell.args(["-c", &script]).current_dir(place.work()).env("HOME", place.home()).output().unwrap()).ok();
    place
}

fn write(place: &Place, flags: &[&str], path: &str) -> Ran {
    let script = format!(
        "echo x > {path} && echo WRITTEN; rm -rf {path}; echo x > {path} && echo REPLACED; touch free && echo free"
    );
    place.sh(flags, &script)
}

#[test]
fn what_links_in_the_home_lead_to_is_read_only() {
    need!(userns());
    for profile in PROFILES {
        for (install, path) in [
            ("ln -s ../work/bashrc ~/.bashrc", "bashrc"),
            ("ln -s $PWD/gitconfig ~/.gitconfig", "gitconfig"),
            ("ln -s $PWD/nvim ~/.config/nvim", "nvim/init.lua"),
            ("mkdir ~/.config/nvim; ln -s $PWD/nvim/init.lua ~/.config/nvim/init.lua", "nvim/init.lua"),
            ("rmdir ~/.config; ln -s ../work ~/dot; ln -s dot/fish ~/.config", "fish/conf.d/x.fish"),
            ("ln -s $PWD/bin/tool ~/.local/bin/tool", "bin/tool"),
            ("ln -s $PWD/bin ~/bin", "bin/tool"),
            ("mkdir -p ~/.config/systemd/user; ln -s $PWD/other ~/.config/systemd/user/x.service", "other"),
            // A link in a directory that is a link, and one that leads through another one outside of the project.
            ("mkdir ~/c; rmdir ~/.config; ln -s c ~/.config; ln -s $PWD/other ~/c/starship.toml", "other"),
            ("ln -s $PWD/other ~/hop; ln -s hop ~/.profile", "other"),
            // A link in a directory that a link leads to, and one in a further one.
            ("ln -s ../other bin/x; ln -s ../work/bin ~/bin", "other"),
            ("mkdir rare; ln -s ../other rare/rc; ln -s ../work/rare ~/.rare", "other"),
            ("mkdir rare; ln -s ../other rare/rc; ln -s ../rare nvim/sub; ln -s $PWD/nvim ~/.config/nvim", "other"),
            // Nothing of the usual names, beside one that is.
            (
                "ln -s $PWD/bashrc ~/.bashrc; mkdir -p ~/.config/rare/sub; ln -s $PWD/other ~/.config/rare/sub/rc",
                "other",
            ),
            ("ln -s $PWD/bashrc ~/.bashrc; mkdir -p ~/.rare; ln -s $PWD/other ~/.rare/rc", "other"),
        ] {
            let place = dotfiles(install);
            let out = write(&place, &["--profile", profile], path);
            assert_eq!(out.out, "free\n", "{profile}: {install}: {out:#?}");
        }
    }
    // Whatever the line is that shows it writable.
    let place = dotfiles("ln -s $PWD/bashrc ~/.bashrc");
    let work = place.work().display().to_string();
    for flags in [&["--rw", work.as_str()][..], &["--rw", "."], &["--rw", "/mnt/x", "--from", &work]] {
        let path = if flags.len() == 4 { "/mnt/x/bashrc" } else { "bashrc" };
        let out = place.sh(flags, &format!("echo x > {path} && echo WRITTEN; touch {path}2 && echo free"));
        assert_eq!(out.out, "free\n", "{flags:?}: {out:#?}");
    }
    // A project's file does not open it, and the user does.
    place.write("work/.sbx.toml", "schema = 1\n[filesystem.paths]\n\"${CWD}/bashrc\" = \"rw\"\n");
    let out = write(&place, &["--profile", "ci"], "bashrc");
    assert!(!out.out.contains("WRITTEN") && !out.out.contains("REPLACED"), "{out:#?}");
    std::fs::remove_file(place.work().join(".sbx.toml")).unwrap();
    let out = place.sh(&["--profile", "ci", "--rw", "bashrc"], "echo x > bashrc && echo WRITTEN");
    assert_eq!(out.out, "WRITTEN\n", "{out:#?}");
}

#[test]
fn a_file_that_a_link_in_the_home_leads_to_and_that_comes_into_being_is_told() {
    need!(userns());
    let place = dotfiles("ln -s $PWD/zshrc ~/.zshrc");
    let out = place.sh(&["--profile", "ci"], "touch zshrc");
    assert!(out.err.contains("zshrc was not there when the program started"), "{out:#?}");
}

#[test]
fn a_directory_of_the_home_that_cannot_be_read_is_told() {
    need!(userns(), not_root());
    let place = dotfiles("mkdir ~/.config/fish; chmod 0 ~/.config/fish");
    let out = place.sh(&["--profile", "ci"], "true");
    assert!(out.err.contains("not all directories of your home could be read"), "{out:#?}");
}

#[test]
fn a_link_of_the_project_on_the_way_is_refused() {
    need!(userns(), tools(&["git"]));
    let place = dotfiles("ln -s bashrc rc; ln -s $PWD/rc ~/.bashrc");
    let error = place.sh(&["--profile", "ci"], "true").failed(125);
    let link = place.home().join(".bashrc").display().to_string();
    assert!(error.contains("work/rc") && error.contains(&link) && error.contains("prefer"), "{error}");
    // So is one behind a hook or a configuration of git's.
    let place = dotfiles("ln -s bashrc rc; git init -q; ln -s ../../rc .git/hooks/pre-commit");
    let error = place.sh(&["--profile", "ci"], "true").failed(125);
    assert!(error.contains("work/rc"), "{error}");
}

#[test]
fn a_project_that_programs_start_from_as_a_whole_is_told() {
    need!(userns());
    for (install, from, dir) in [
        ("ln -s $PWD ~/.vim", "work", "work"),
        ("ln -s $PWD ~/.vim", "work/nvim", "work/nvim"),
        ("mkdir ~/.config/fish", "home/.config/fish", "home/.config/fish"),
    ] {
        let place = dotfiles(install);
        let mut command = place.command();
        command.current_dir(place.dir.path().join(from)).args(["--profile", "ci", "--", "true"]);
        let out = ran(command.output().unwrap());
        let dir = place.dir.path().join(dir).display().to_string();
        assert!(out.err.contains(&dir) && out.err.contains("start what the program inside leaves"), "{out:#?}");
    }
    // A link that the profile itself names, one to a home, and one to what is no part of it, say nothing.
    let place = dotfiles("mkdir ~/c; ln -s c ~/.npm; ln -s $HOME ~/.self; ln -s / ~/.root; ln -s /usr ~/.usr");
    assert_eq!(place.sh(&["--profile", "ci"], "true").err, "");
}
