//! What `sbx profile check` says of grants that undo a sandbox: for every shipped profile as a snapshot, for bad
//! profiles by what must be found; and a stricter line takes a finding away.

mod common;

use common::Place;
use sbx::profile::resolve;
use sbx::profile::{Failed, Loader, Merged, Vars};
use sbx::review::{Finding, Review, Severity, review};
use std::collections::BTreeMap;

/// The variables of a user alice whose current directory is a project.
fn vars() -> Vars {
    let names = [
        ("HOME", "/home/alice"),
        ("USER", "alice"),
        ("UID", "1000"),
        ("CWD", "/home/alice/src/tool"),
        ("XDG_CONFIG_HOME", "/home/alice/.config"),
        ("XDG_DATA_HOME", "/home/alice/.local/share"),
        ("XDG_CACHE_HOME", "/home/alice/.cache"),
        ("XDG_RUNTIME_DIR", "/run/user/1000"),
    ];
    let strings = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    };
    Vars {
        cwd: "/home/alice/src/tool".into(),
        names: strings(&names),
        places: strings(&[
            ("xdg-download", "/home/alice/Downloads"),
            ("xdg-documents", "/home/alice/Documents"),
            ("xdg-pictures", "/home/alice/Pictures"),
        ]),
        homes: vec!["/home/alice".into()],
        other_homes: vec!["/home/bob".into()],
        ..Vars::default()
    }
}

/// The review of a profile with this text that extends another.
#[track_caller]
fn judged(base: &str, text: &str) -> Review {
    let mut loader = Loader::default();
    let mut merged = Merged::default();
    loader.profile(base).into_iter().for_each(|layer| merged.apply(layer));
    let layer = loader.text("p.toml", text);
    merged.apply(layer);
    let errors = std::mem::take(&mut loader.errors);
    let (diagnostics, sandbox) = match resolve::sandbox(&merged, &loader.sources, &vars()) {
        Ok(sandbox) if errors.is_empty() => (errors, Some(sandbox)),
        Ok(_) => (errors, None),
        Err(more) => (more, None),
    };
    let Some(sandbox) = sandbox else { panic!("{}", Failed { diagnostics, sources: loader.sources }.render(false)) };
    review(&sandbox, &vars(), &loader.sources.accepted())
}

/// The findings of the text's own lines.
fn own(review: &Review) -> Vec<&Finding> {
    let own = |finding: &&Finding| finding.origins.iter().any(|origin| origin.0.starts_with("p.toml:"));
    review.findings.iter().filter(own).collect()
}

fn path(line: &str) -> String {
    format!("[filesystem.paths]\n{line}\n")
}

const NET: &str = "[network]\nmode = \"host\"\n";

#[test]
fn every_shipped_profile_as_it_is_printed() {
    let place = Place::new();
    let names = [
        "default",
        "browser",
        "firefox",
        "chromium",
        "ci",
        "ci-net",
        "net",
        "shell",
        "viewer",
        "base/host",
        "base/desktop",
        "base/test",
    ];
    let out = place.run(&[&["profile", "check"], &names[..]].concat()).ok();
    insta::assert_snapshot!(out);
}

#[test]
fn what_undoes_a_shipped_profile_is_accepted_with_a_reason() {
    for name in Loader::default().names() {
        let name = name.as_str();
        let found = judged(name, "");
        let silent: Vec<_> =
            found.findings.iter().filter(|f| f.severity == Severity::Undoes && f.accepted.is_none()).collect();
        assert!(!found.is_undone() && silent.is_empty(), "{name}: {silent:#?}");
        let place = Place::new();
        place.run(&["profile", "check", "--strict", name]).ok();
    }
}

#[test]
fn a_browser_is_clearly_better_than_an_unfiltered_bus() {
    let browser = judged("browser", "");
    let bus = judged("default", "[dbus.session]\npolicy = \"host\"\n");
    assert!(browser.exposure + 2.0 < bus.exposure, "{} {}", browser.exposure, bus.exposure);
    assert_eq!((browser.level(), bus.level()), ("MEDIUM", "DANGEROUS"));
    assert_eq!(judged("default", "").level(), "SAFE");
    let tight = judged("browser", "[desktop]\nx11 = false\nsound = [\"!record\"]\n");
    assert!(tight.exposure < browser.exposure - 0.2, "{}", tight.exposure);
}

#[test]
fn every_way_out_is_found_where_it_is_written() {
    use Severity::{Note, Undoes, Weakens};
    let paths: &[(&str, Severity, &str)] = &[
        // The whole home, and files that are executed at the next login.
        ("\"~\" = \"rw\"", Undoes, "~ is writable"),
        ("\"~\" = \"ro\"", Weakens, "~ is readable"),
        ("\"/\" = \"ro\"", Weakens, "/ is readable"),
        ("\"/home\" = \"rw\"", Note, "/home is writable"),
        ("\"~/.bashrc\" = \"rw\"", Undoes, "~/.bashrc is writable"),
        ("\"~/.profile\" = \"rw,optional\"", Undoes, "~/.profile is writable"),
        ("\"~/.zshenv\" = \"rw\"", Undoes, "~/.zshenv is writable"),
        (
            "\"~/.config\" = \"rw\"",
            Undoes,
            "~/.config is writable, with ~/.config/autostart, ~/.config/systemd, ~/.config/bash and ",
        ),
        ("\"${XDG_CONFIG_HOME}/autostart\" = \"rw,create\"", Undoes, "~/.config/autostart is writable"),
        ("\"~/.config/autostart/x.desktop\" = \"rw\"", Undoes, "~/.config/autostart/x.desktop is writable"),
        ("\"~/.config/systemd/user\" = \"rw\"", Undoes, "~/.config/systemd/user is writable"),
        ("\"~/.config/fish\" = \"rw\"", Undoes, "~/.config/fish is writable"),
        ("\"~/.config/environment.d\" = \"rw\"", Undoes, "~/.config/environment.d is writable"),
        ("\"~/.local/share\" = \"rw\"", Undoes, "~/.local/share is writable, with ~/.local/share/"),
        ("\"~/.local/share/applications\" = \"rw\"", Undoes, "~/.local/share/applications is writable"),
        ("\"~/.local/share/dbus-1/services\" = \"rw\"", Undoes, "~/.local/share/dbus-1/services is writable"),
        ("\"~/.local/bin\" = \"rw\"", Undoes, "~/.local/bin is writable"),
        ("\"~/bin\" = \"rw\"", Undoes, "~/bin is writable"),
        ("\"~/.cargo\" = \"rw\"", Undoes, "~/.cargo is writable, with ~/.cargo/bin"),
        ("\"~/.gitconfig\" = \"rw\"", Undoes, "~/.gitconfig is writable"),
        ("\"~/.vimrc\" = \"rw\"", Undoes, "~/.vimrc is writable"),
        ("\"~/.npmrc\" = \"rw\"", Undoes, "~/.npmrc is writable"),
        ("\"~/.ssh/authorized_keys\" = \"rw\"", Undoes, "~/.ssh/authorized_keys is writable"),
        ("\"~/.config/sbx\" = \"rw\"", Undoes, "~/.config/sbx is writable"),
        ("\"/var/spool/cron/crontabs\" = \"rw\"", Undoes, "/var/spool/cron/crontabs is writable"),
        ("\"/etc\" = \"rw\"", Weakens, "/etc is writable"),
        ("\"~/.npm\" = \"rw\"", Weakens, "~/.npm is writable"),
        ("\"/opt/x\" = \"rw,from=~/.bashrc\"", Undoes, "~/.bashrc is writable at /opt/x"),
        ("\"/sys\" = \"rw\"", Weakens, "/sys is writable"),
        ("\"/mnt\" = \"rw,from=/proc/sys\"", Weakens, "/proc/sys is writable at /mnt"),
        ("\"/proc\" = \"rw\"", Weakens, "/proc is writable"),
        // Secrets.
        ("\"~/.ssh\" = \"ro\"", Weakens, "~/.ssh is readable"),
        ("\"~/.ssh/id_ed25519\" = \"ro\"", Weakens, "~/.ssh/id_ed25519 is readable"),
        ("\"~/.gnupg\" = \"ro\"", Weakens, "~/.gnupg is readable"),
        ("\"~/.aws\" = \"ro\"", Weakens, "~/.aws is readable"),
        ("\"~/.config/gh\" = \"ro\"", Weakens, "~/.config/gh is readable"),
        ("\"~/.netrc\" = \"ro\"", Weakens, "~/.netrc is readable"),
        ("\"~/.kube\" = \"ro\"", Weakens, "~/.kube is readable"),
        ("\"~/.password-store\" = \"ro\"", Weakens, "~/.password-store is readable"),
        ("\"~/.local/share/keyrings\" = \"ro\"", Weakens, "~/.local/share/keyrings is readable"),
        ("\"~/.mozilla\" = \"ro\"", Weakens, "~/.mozilla is readable"),
        ("\"~/.bash_history\" = \"ro\"", Note, "~/.bash_history is readable"),
        // Sockets, which can be connected to whatever the mode is.
        ("\"/run/docker.sock\" = \"ro\"", Undoes, "/run/docker.sock is shown"),
        ("\"/var/run/docker.sock\" = \"rw\"", Undoes, "/run/docker.sock is writable"),
        ("\"/run/podman/podman.sock\" = \"ro\"", Undoes, "/run/podman/podman.sock is shown"),
        ("\"/run/containerd/containerd.sock\" = \"ro\"", Undoes, "/run/containerd"),
        ("\"/run/libvirt/libvirt-sock\" = \"ro\"", Undoes, "/run/libvirt"),
        ("\"/nix/var/nix/daemon-socket/socket\" = \"ro\"", Undoes, "/nix/var/nix/daemon-socket/socket is shown"),
        ("\"/run\" = \"ro\"", Undoes, "/run is shown, with /run/docker.sock, /run/podman, /run/containerd and"),
        ("\"/run\" = \"ro\"", Undoes, "/run is shown, with ${XDG_RUNTIME_DIR}"),
        ("\"${XDG_RUNTIME_DIR}\" = \"ro\"", Undoes, "${XDG_RUNTIME_DIR} is shown"),
        ("\"${XDG_RUNTIME_DIR}/bus\" = \"ro\"", Undoes, "${XDG_RUNTIME_DIR}/bus is shown"),
        ("\"${XDG_RUNTIME_DIR}/podman/podman.sock\" = \"ro\"", Undoes, "/podman/podman.sock is shown"),
        ("\"${XDG_RUNTIME_DIR}/systemd/private\" = \"ro\"", Undoes, "/systemd/private is shown"),
        ("\"${XDG_RUNTIME_DIR}/at-spi/bus_0\" = \"ro\"", Undoes, "/at-spi/bus_0 is shown"),
        ("\"${XDG_RUNTIME_DIR}/pulse/native\" = \"ro\"", Undoes, "/pulse/native is shown"),
        ("\"${XDG_RUNTIME_DIR}/pipewire-0\" = \"ro\"", Undoes, "/pipewire-0 is shown"),
        ("\"/run/pulse/native\" = \"ro\"", Undoes, "/run/pulse/native is shown"),
        ("\"/dev/shm/jack_default_1000_0\" = \"ro\"", Undoes, "/dev/shm/jack_default_1000_0 is shown"),
        ("\"${XDG_RUNTIME_DIR}/speech-dispatcher\" = \"ro\"", Weakens, "/speech-dispatcher is shown"),
        ("\"/run/pcscd/pcscd.comm\" = \"ro\"", Weakens, "/run/pcscd/pcscd.comm is shown"),
        ("\"/run/cups/cups.sock\" = \"ro\"", Undoes, "/run/cups/cups.sock is shown"),
        ("\"~/.asoundrc\" = \"rw\"", Undoes, "~/.asoundrc is writable"),
        ("\"${XDG_RUNTIME_DIR}/wayland-0\" = \"ro\"", Undoes, "/wayland-0 is shown"),
        ("\"${XDG_RUNTIME_DIR}/keyring/ssh\" = \"ro\"", Undoes, "/keyring/ssh is shown"),
        ("\"${XDG_RUNTIME_DIR}/gnupg\" = \"ro\"", Undoes, "/gnupg is shown"),
        ("\"/tmp/.X11-unix\" = \"ro\"", Undoes, "/tmp/.X11-unix is shown"),
        ("\"/tmp\" = \"ro\"", Undoes, "/tmp is shown, with /tmp/tmux-1000"),
        ("\"/tmp\" = \"ro\"", Weakens, "/tmp is shown"),
        ("\"/dev/shm\" = \"rw\"", Weakens, "/dev/shm is writable"),
        ("\"/proc\" = \"ro\"", Weakens, "/proc is shown"),
        ("\"/run/dbus/system_bus_socket\" = \"ro\"", Weakens, "/run/dbus/system_bus_socket is shown"),
        (
            "\"${CWD}\" = \"rw\"",
            Undoes,
            "${CWD} is writable, with ${CWD}/.RData, ${CWD}/.Renviron, ${CWD}/.Rprofile and",
        ),
        ("\"${CWD}/.git\" = \"rw\"", Undoes, "${CWD}/.git is writable"),
        ("\"${CWD}/.git/hooks\" = \"rw\"", Undoes, "${CWD}/.git/hooks is writable"),
        ("\"${CWD}/src\" = \"rw\"", Weakens, "${CWD}/src is writable"),
    ];
    let rest: &[(&str, Severity, &str)] = &[
        ("[dbus.session]\npolicy = \"host\"", Undoes, "the session bus without a filter"),
        ("[desktop]\nx11 = true", Undoes, "X11"),
        ("[desktop]\nx11 = \"nested\"", Note, "X11 of its own"),
        ("[desktop]\nsound = [\"play\"]", Note, "playing sound"),
        ("[desktop]\nsound = [\"record\"]", Weakens, "recording sound"),
        ("[desktop]\nsound = [\"monitor\"]", Weakens, "recording other programs' sound"),
        ("[desktop]\nsound = [\"unfiltered\"]", Undoes, "the sound servers without a filter"),
        ("[devices]\nallow = [\"audio\"]", Weakens, "devices of the class audio"),
        ("[desktop]\nwayland = true", Note, "Wayland"),
        ("[desktop]\nwayland = \"unrestricted\"", Undoes, "Wayland without restrictions"),
        (NET, Undoes, "the host's network"),
        ("[network]\nmode = \"private\"", Weakens, "a network of its own"),
        ("[network]\nmode = \"private\"\npublish = [\"8080:80\"]", Note, "port 127.0.0.1:8080:80/tcp"),
        ("[network]\nmode = \"private\"\npublish = [\"0.0.0.0:8080:80\"]", Weakens, "port 0.0.0.0:8080:80/tcp"),
        ("[network]\nmode = \"private\"\nforward = [5432]", Weakens, "port 5432 of the host's loopback"),
        ("[namespaces]\nshare = [\"pid\"]", Weakens, "the host's pid namespace"),
        ("[namespaces]\nshare = [\"ipc\"]", Weakens, "the host's ipc namespace"),
        ("[namespaces]\nshare = [\"uts\"]", Note, "the host's uts namespace"),
        ("[security]\nsetuid_bits = \"allow\"", Weakens, "set-user-ID bits on files"),
        ("[rlimits]\ncore = 0", Note, "core dumps"),
        ("[security]\nsyscalls = { allow = [\"clone3\"] }", Note, "the system calls clone3"),
        ("[rlimits]\ncore = \"unlimited\"", Note, "core dumps"),
        ("[security]\nsyscalls = { allow = [\"fchmodat\"] }", Weakens, "the system calls fchmodat"),
        ("[namespaces]\nnested = \"allow\"", Note, "user namespaces inside"),
        ("[filesystem]\nroot = \"dir:/home/alice\"", Weakens, "~ is readable at /"),
        ("[filesystem]\nroot = \"dir:/srv\"", Note, "/srv is readable at /"),
        ("[process]\nuser = \"root\"", Note, "id 0"),
        ("[process]\nuser = \"range\"", Weakens, "all subordinate ids"),
        ("[process]\nuser = \"keep-id\"", Weakens, "all subordinate ids"),
        ("[process]\ntty = \"inherit\"", Weakens, "the caller's terminal"),
        ("[process]\ntty = \"none\"", Weakens, "the caller's terminal as a stream"),
        ("[process]\nenv_pass = [\"*\"]", Weakens, "the caller's whole environment"),
        ("[process]\nenv_pass = [\"GITHUB_TOKEN\"]", Weakens, "the caller's GITHUB_TOKEN"),
        ("[process]\nenv_pass = [\"AWS_SESSION_TOKEN\"]", Weakens, "the caller's AWS_SESSION_TOKEN"),
        ("[process]\nenv_pass = [\"SSH_AUTH_SOCK\"]", Note, "the caller's SSH_AUTH_SOCK"),
        ("[process]\nenv_pass = [\"XAUTHORITY\"]", Note, "the caller's XAUTHORITY"),
        ("[process]\nenv = { API_TOKEN = \"x\" }", Weakens, "API_TOKEN with its value"),
        ("[devices]\nallow = [\"input\"]", Undoes, "devices of the class input"),
        ("[devices]\nallow = [\"/dev/sda\"]", Undoes, "the device /dev/sda"),
        ("[devices]\nallow = [\"/dev/mem\"]", Undoes, "the device /dev/mem"),
        ("[devices]\nallow = [\"/dev/uinput\"]", Undoes, "the device /dev/uinput"),
        ("[devices]\nallow = [\"kvm\"]", Weakens, "devices of the class kvm"),
        ("[devices]\nallow = [\"camera\"]", Weakens, "devices of the class camera"),
        ("[devices]\nallow = [\"fuse\"]", Note, "devices of the class fuse"),
    ];
    let bus = [
        ("talk", "org.freedesktop.systemd1", Undoes),
        ("talk", "org.freedesktop.Flatpak", Undoes),
        ("talk", "org.freedesktop.*", Undoes),
        ("own", "org.freedesktop.*", Undoes),
        ("talk", "org.gnome.Shell", Undoes),
        ("talk", "org.gnome.Shell.Screenshot", Undoes),
        ("talk", "ca.desrt.dconf", Undoes),
        ("talk", "org.gnome.Terminal", Undoes),
        ("talk", "org.freedesktop.impl.portal.PermissionStore", Undoes),
        ("call", "org.freedesktop.systemd1=*", Undoes),
        ("call", "org.freedesktop.systemd1=org.freedesktop.systemd1.Manager.StartUnit", Weakens),
        ("talk", "org.freedesktop.secrets", Weakens),
        ("talk", "org.freedesktop.portal.Desktop", Weakens),
        ("talk", "org.freedesktop.portal.Flatpak", Weakens),
    ];
    let mut cases: Vec<(String, Severity, String)> = Vec::new();
    cases.extend(paths.iter().map(|(line, severity, grant)| (path(line), *severity, (*grant).to_owned())));
    cases.extend(rest.iter().map(|(text, severity, grant)| ((*text).to_owned(), *severity, (*grant).to_owned())));
    cases.extend(bus.map(|(kind, name, severity)| {
        let text = format!("[dbus.session]\npolicy = \"filter\"\n{kind} = [\"{name}\"]\n");
        (text, severity, format!("`{kind}` {name} on the session bus"))
    }));
    for (text, severity, grant) in cases {
        let found = judged("base/host", &text);
        let own = own(&found);
        let hit = own.iter().find(|finding| finding.grant.contains(&grant) && finding.severity == severity);
        let Some(hit) = hit else { panic!("{text}: no {severity:?} `{grant}` in {own:#?}") };
        assert!(!hit.harm.is_empty() && !hit.help.is_empty());
        let grave = severity == Severity::Undoes;
        assert_eq!(grave, hit.weight >= 5.0, "{hit:#?}");
        assert!(!grave || matches!(found.level(), "EXPOSED" | "UNSAFE" | "DANGEROUS"), "{text}");
        assert_eq!(found.is_undone(), own.iter().any(|finding| finding.severity == Severity::Undoes));
    }
}

#[test]
fn secrets_are_a_way_out_where_they_can_be_sent() {
    for line in ["\"~/.ssh\" = \"ro\"", "\"~/.mozilla\" = \"ro\"", "\"${XDG_RUNTIME_DIR}/keyring\" = \"ro\""] {
        let grave = |text: &str| {
            own(&judged("base/host", text)).iter().any(|f| f.severity == Severity::Undoes && f.weight > 5.5)
        };
        assert!(!grave(&path(line)) && grave(&format!("{}{NET}", path(line))), "{line}");
    }
}

#[test]
fn a_stricter_line_below_takes_the_finding_away() {
    let mended = [
        ("\"~/.cargo\" = \"rw\"", "~/.cargo/bin"),
        ("\"~/.config\" = \"rw\"", "~/.config/autostart"),
        ("\"~/.config\" = \"ro\"", "~/.config/keepassxc"),
        ("\"~/.local/share\" = \"rw\"", "~/.local/share/keyrings"),
        ("\"/tmp\" = \"ro\"", "/tmp/.X11-unix"),
        ("\"/run\" = \"ro\"", "/run/docker.sock"),
        ("\"/run\" = \"ro\"", "${XDG_RUNTIME_DIR}"),
        ("\"/\" = \"ro\"", "/home"),
    ];
    for (line, name) in mended {
        let named = |text: &str| own(&judged("base/host", text)).iter().any(|finding| finding.grant.contains(name));
        assert!(named(&path(line)), "{line}: {:#?}", own(&judged("base/host", &path(line))));
        for mode in ["masked", "hidden", "deny", "tmpfs"] {
            let text = path(&format!("{line}\n\"{name}\" = \"{mode}\""));
            assert!(!named(&text), "{text}: {:#?}", own(&judged("base/host", &text)));
        }
    }
    // Read-only is stricter than writable.
    let runs = |text: &str| own(&judged("default", text)).iter().any(|f| f.severity == Severity::Undoes);
    assert!(runs(&path("\"~/.vim\" = \"rw\"")) && !runs(&path("\"~/.vim\" = \"ro\"")));
    let all = "\"~/.cargo\" = \"rw\"\n\"~/.cargo/bin\" = \"ro\"\n\"~/.cargo/env\" = \"ro\"\n\"~/.cargo/config\" = \"ro\"\n\
               \"~/.cargo/config.toml\" = \"ro\"\n";
    assert!(!runs(&path(all)), "{:#?}", own(&judged("default", &path(all))));
    // A line that grants more below a strict one counts by itself.
    assert!(runs(&path("\"~\" = \"tmpfs\"\n\"~/.bashrc\" = \"rw\"")));
}

/// Paths of the home from which code runs outside later, on the review's lists or not.
const RUN: &str = "~/.mozilla ~/.mozilla/firefox ~/.config/mozilla ~/.config/chromium ~/.config/google-chrome \
    ~/.config/BraveSoftware ~/.thunderbird ~/.bashrc.d ~/.config/bash ~/.config/starship.toml ~/.config/powershell \
    ~/.lessfilter ~/.parallel ~/.wgetrc ~/.curlrc ~/.claude ~/.claude/settings.json ~/.codex ~/.cursor ~/.config/Cursor \
    ~/.config/zed ~/.vscode-server ~/.config/JetBrains ~/.local/share/JetBrains ~/.local/share/pipx ~/.local/pipx \
    ~/.local/share/uv ~/miniconda3 ~/.conda ~/.volta ~/.dotnet ~/.cache/pre-commit ~/.cache/ms-playwright \
    ~/.cache/electron ~/.ipython ~/.jupyter ~/.julia ~/.ghci ~/.octaverc ~/.R ~/.bazelrc ~/.config/jj ~/.config/lazygit \
    ~/.subversion ~/.ansible ~/.vagrant.d ~/.terraformrc ~/.mutt ~/.muttrc ~/.mbsyncrc ~/.offlineimaprc ~/.irssi \
    ~/.weechat ~/.config/mpv ~/.config/ranger ~/.config/lf ~/.config/yazi ~/.config/libreoffice ~/.config/GIMP \
    ~/.config/obsidian ~/.tmux ~/.config/waybar ~/.config/espanso ~/.config/fcitx5 ~/.local/share/thumbnailers \
    ~/.local/share/kservices5 ~/.local/share/vulkan ~/.config/vulkan ~/.vnc ~/.kde ~/Desktop ~/Templates \
    ~/.local/state ~/.var/app ~/.cache ~/.stack ~/.cabal ~/.opam ~/.pki ~/.config/nobody-knows ~/.nobody-knows \
    ~/.local/share/nobody-knows ~/.cache/nobody-knows ~/notes/.git ~/Documents/.vscode";

#[test]
fn a_writable_path_of_the_home_is_code_unless_it_is_known_for_data() {
    let heaviest = |text: &str| {
        let found = judged("default", text);
        let found = own(&found).into_iter().max_by(|a, b| a.weight.total_cmp(&b.weight)).cloned();
        found.map_or((Severity::Note, 0.0), |found| (found.severity, found.weight))
    };
    let light: Vec<_> = RUN
        .split_whitespace()
        .filter(|name| {
            let (severity, weight) = heaviest(&path(&format!("\"{name}\" = \"rw,optional\"")));
            severity != Severity::Undoes || weight < 8.5
        })
        .collect();
    assert!(light.is_empty(), "{light:?}");
    // Under another name, and at another place.
    assert!(heaviest(&path("\"${XDG_CONFIG_HOME}/nobody-knows\" = \"rw\"")).1 >= 8.5);
    assert!(heaviest(&path("\"/opt/x\" = \"rw,from=~/.nobody-knows\"")).1 >= 8.5);
    for name in [
        "~/.cache/mesa_shader_cache",
        "~/.cache/fontconfig",
        "~/.local/share/fonts",
        "~/.local/share/Trash",
        "xdg-download",
        "~/Documents/letters",
        "~/Mail",
        "~/.ssh/known_hosts",
        "~/.bash_history",
    ] {
        let (_, weight) = heaviest(&path(&format!("\"{name}\" = \"rw,optional\"")));
        assert!(weight < 0.5, "{name}: {weight}");
    }
    // A directory of the user's own names.
    assert_eq!(heaviest(&path("\"~/notes\" = \"rw\"")), (Severity::Weakens, 3.0));
    // The program's own: it runs outside only if somebody starts the program there.
    for (program, name) in [
        ("myapp", "~/.config/myapp"),
        ("/usr/bin/myapp-bin", "~/.myapp"),
        ("firefox", "~/.mozilla"),
        ("firefox", "~/.cache/mozilla"),
    ] {
        let text = format!("[process]\nargs = [\"{program}\"]\n{}", path(&format!("\"{name}\" = \"rw\"")));
        assert_eq!(heaviest(&text), (Severity::Weakens, 3.0), "{program} {name}");
    }
    let other = format!("[process]\nargs = [\"myapp\"]\n{}", path("\"~/.config/my\" = \"rw\""));
    assert!(heaviest(&other).1 >= 8.5);
}

#[test]
fn hidden_with_prefer_mends_nothing_where_it_cannot_be_had() {
    let listed = |option: &str| {
        let text = path(&format!("\"~/.config/git\" = \"rw\"\n\"~/.config/git/credentials\" = \"{option}\""));
        own(&judged("default", &text)).iter().any(|f| f.harm.contains("keys and tokens"))
    };
    assert!(!listed("masked") && listed("hidden,prefer"));
}

#[test]
fn what_a_program_needs_anyway_is_not_held_against_it() {
    for line in [
        "\"~/.ssh/known_hosts\" = \"rw\"",
        "\"~/.ssh/config\" = \"ro\"",
        "\"~/.ssh/id_ed25519.pub\" = \"ro\"",
        "\"~/.config/myapp\" = \"ro\"",
        "\"~/.config/myapp\" = \"overlay\"",
        "\"~/.config/myapp\" = \"rw,create,from=/srv/myapp\"",
        "\"~/.config/myapp\" = \"rw,create,from=~/boxes/myapp\"",
        "\"~/.gitconfig\" = \"ro\"",
        "\"~/.cargo/bin\" = \"ro\"",
        "\"/sys\" = \"ro\"",
        "\"/var/lib/myapp\" = \"rw\"",
    ] {
        let found = judged("base/host", &path(line));
        assert!(own(&found).is_empty(), "{line}: {:#?}", own(&found));
    }
    let bus =
        "[dbus.session]\npolicy = \"filter\"\ntalk = [\"org.freedesktop.Notifications\"]\nown = [\"org.x.App\"]\n";
    assert!(own(&judged("base/host", bus)).is_empty());
}

#[test]
fn a_browsers_data_is_for_one_sandbox_at_a_time() {
    let found = |mode: &str| {
        let text =
            format!("[process]\nargs = [\"chromium\"]\n{}", path(&format!("\"~/.config/chromium\" = \"{mode}\"")));
        let found = judged("base/desktop", &text);
        own(&found).iter().map(|finding| format!("{}: {}", finding.harm, finding.help)).collect::<String>()
    };
    assert!(found("rw").contains("which spoils them: \"rw,exclusive\""), "{}", found("rw"));
    assert!(!found("rw,exclusive").contains("spoils"), "{}", found("rw,exclusive"));
}

#[test]
fn a_profile_without_a_base_shows_what_the_base_closes() {
    let mut loader = Loader::default();
    let mut merged = Merged::default();
    let layer = loader.text("p.toml", "schema = 1\n");
    merged.apply(layer);
    let sandbox = resolve::sandbox(&merged, &loader.sources, &vars()).unwrap();
    let found = review(&sandbox, &vars(), &BTreeMap::new());
    assert!(
        found.findings.iter().any(|f| f.grant.contains("/var/lib/incus") && f.severity == Severity::Undoes),
        "{found:#?}"
    );
    assert!(found.findings.iter().any(|f| f.grant.contains("/nix/var/nix/daemon-socket") && f.weight >= 5.0));
    assert!(found.findings.iter().any(|f| f.grant.contains("/var/log")));
    assert!(found.findings.iter().all(|f| !f.grant.contains("/media")), "only the system is shown: {found:#?}");
    assert!(found.findings.iter().all(|f| f.help.contains("base/host") || f.grant.contains("${CWD}")), "{found:#?}");
}

#[test]
fn a_reason_above_the_line_accepts_it_and_strict_goes_by_that() {
    let place = Place::new();
    let bad =
        "schema = 1\nextends = [\"base/host\"]\n\n[desktop]\n# for old\n# accepted: a kiosk\n# of ours\nx11 = true\n";
    place.write("work/good.toml", bad);
    place.write("work/bad.toml", &bad.replace("accepted: ", ""));
    place.write("work/empty.toml", &bad.replace("a kiosk", "").replace("of ours", ""));
    let good = place.run(&["profile", "check", "--strict", "good.toml"]).ok();
    assert!(good.contains("accepted: a kiosk of ours\n"), "{good}");
    let plain = place.run(&["profile", "check", "bad.toml"]);
    assert_eq!(plain.status, Some(0));
    assert!(plain.out.starts_with("bad.toml: ok\nundoes   9.0  X11: ") && plain.out.contains("help: "), "{plain:?}");
    assert!(
        plain.out.contains("   # ./bad.toml:8\n")
            && plain.out.contains("→ overall exposure level for bad.toml: 9.0 UNSAFE")
    );
    for file in ["bad.toml", "empty.toml"] {
        assert_eq!(place.run(&["profile", "check", "--strict", file]).status, Some(1), "{file}");
    }
}

#[test]
fn paths_that_are_not_on_this_host_are_told() {
    let place = Place::new();
    place.write("home/there", "");
    let text = "schema = 1\nextends = [\"base/host\"]\n[filesystem.paths]\n\"~/there\" = \"ro\"\n\"~/.shh\" = \"masked,optional\"\n\
                \"/no/such\" = \"ro\"\n\"~/new\" = \"rw,create\"\n\"/x\" = \"ro,from=/no/source,optional\"\n\"~/a[*]\" = \"ro,optional\"\n\
                \"${CWD}/gone\" = \"ro,optional\"\n\"/no/tmpfs\" = \"tmpfs\"\n";
    place.write("work/p.toml", text);
    let out = place.run(&["profile", "check", "p.toml"]).ok();
    let lines: Vec<_> = out.lines().filter(|line| line.starts_with("absent")).collect();
    let expected = [
        "absent        not on this host, and a start fails: /no/such   # ./p.toml:6",
        "absent        not on this host, and left out: ~/.shh, ~/a*, /no/source   # ./p.toml:5, 9, 8",
    ];
    assert_eq!(lines, expected, "{out}");
    let json: serde_json::Value =
        serde_json::from_str(&place.run(&["profile", "check", "--json", "p.toml"]).ok()).unwrap();
    assert_eq!(json[0]["absent"][0]["left_out"], false, "{json}");
    assert_eq!(json[0]["absent"].as_array().unwrap().len(), 4, "{json}");
}

#[test]
fn json_has_findings_and_errors() {
    let place = Place::new();
    place.write("work/a.toml", "schema = 1\n[dbus.session]\npolicy = \"host\"\n");
    place.write("work/b.toml", "schema = 1\n[proces]\n");
    let ran = place.run(&["profile", "check", "--json", "a.toml", "b.toml"]);
    assert_eq!(ran.status, Some(1));
    let rows: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let bus = &rows[0]["review"]["findings"];
    let bus = bus.as_array().unwrap().iter().find(|finding| finding["origins"][0] == "./a.toml:3").unwrap();
    assert_eq!((&bus["severity"], &bus["weight"]), (&"undoes".into(), &9.5.into()));
    assert_eq!(rows[0]["level"], "DANGEROUS");
    assert!(rows[1]["errors"][0]["message"].as_str().unwrap().contains("proces"), "{rows}");
    assert!(ran.err.contains("proces"));
}

#[test]
fn a_file_comes_before_a_profile_of_its_name_and_the_place_does_not_matter() {
    let place = Place::new();
    let there = place.run(&["profile", "check", "ci"]).ok();
    assert!(there.contains("${CWD} is writable"));
    let mut command = place.command();
    let home = common::ran(command.current_dir(place.home()).args(["profile", "check", "ci"]).output().unwrap()).ok();
    assert_eq!(home, there, "standing in the home, where the current directory would not be shown");
    place.write("work/ci", "schema = 1\n[nonsense]\n");
    assert_eq!(place.run(&["profile", "check", "ci"]).status, Some(1));
    assert_eq!(place.run(&["profile", "check", "no-such"]).status, Some(1));
}
