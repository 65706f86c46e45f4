//! Reviews the network, namespaces, ids, devices, the terminal, the environment and lock-down.

use super::network;
use super::verdict::{Finding, Verdict, note, undoes, weakens};
use crate::profile::Vars;
use crate::spec::{
    Capabilities, Filter, Namespace, Network, Requirement, Root, Sandbox, Tty, User, is_secret_variable,
};

pub(super) fn findings(sandbox: &Sandbox, vars: &Vars) -> Vec<Finding> {
    let mut found = Vec::new();
    for (namespace, origin) in &sandbox.namespaces.share {
        let verdict = shared(*namespace);
        let grant = match namespace {
            Namespace::Net => "the host's network".to_owned(),
            other => format!("the host's {} namespace", other.word()),
        };
        found.push(verdict.at(origin, grant));
    }
    for (namespace, (pid, origin)) in &sandbox.namespaces.joined {
        let word = namespace.word();
        let verdict = match namespace {
            Namespace::Ipc => weakens(
                1.0,
                "it reads and changes what programs of that sandbox share by System V shared memory, semaphores and queues",
                "namespaces.ipc = \"private\" for those of its own",
            ),
            _ => note(0.1, "it learns that sandbox's name", "namespaces.uts = \"private\" for a name of its own"),
        };
        found.push(verdict.at(origin, format!("the {word} namespace of process {pid}")));
    }
    let origins = &sandbox.origins;
    if let Network::Joined(pid) = sandbox.network {
        let verdict = weakens(
            1.5,
            "it reaches what that sandbox reaches, and the servers in it, and answers in its name",
            "network.mode = \"private\" for a network of its own",
        );
        found.push(verdict.at(&origins.of("network.mode", ""), format!("the network of process {pid}")));
    }
    if let Network::Named(_) = sandbox.network {
        let verdict = note(
            0.5,
            "it reaches the other sandboxes there, with all their servers, and answers them",
            "network.mode = \"private\" for a network of its own",
        );
        let name = &sandbox.named_network.name;
        found.push(verdict.at(&origins.of("network.mode", ""), format!("the network `{name}`, which sandboxes share")));
    }
    if sandbox.network.own().is_some() {
        found.extend(network::reached(sandbox));
        // Ports of one line are one finding.
        let mut lines: Vec<_> = sandbox.published.iter().collect();
        lines.dedup_by_key(|port| (&port.origin, port.address));
        for port in lines {
            let verdict = match port.address.is_loopback() {
                true => note(
                    0.2,
                    "it answers programs of all users of this machine, and web pages, that take it for a server of yours",
                    "leave it out where nobody outside asks the program",
                ),
                false => weakens(
                    0.5,
                    "it answers other machines in your name",
                    "publish it at loopback: `HOST:INSIDE` without an address",
                ),
            };
            found.push(verdict.at(&port.origin, format!("port {port}")));
        }
        for port in &sandbox.forwarded {
            let verdict = weakens(
                0.5,
                "it speaks with the service at that port of your machine as your own programs do; many ask no password of those",
                "leave it out where the program does not need the service",
            );
            found.push(verdict.at(&port.origin, format!("port {} of the host's loopback", port.host)));
        }
    }
    if sandbox.namespaces.mounts {
        let verdict = note(
            0.7,
            "it reaches parts of the kernel that are closed without a namespace of its own, and their flaws; Landlock is not used, and \
             what is stricter below a writable directory does not hold",
            "namespaces.nested = \"no-mount\" for a browser, \"deny\" for a program that makes no sandbox itself",
        );
        found.push(verdict.at(&origins.of("namespaces.nested", ""), "user namespaces inside, with mounts"));
    } else if sandbox.namespaces.nested {
        let verdict = note(
            0.5,
            "it reaches parts of the kernel that are closed without a namespace of its own, and their flaws",
            "namespaces.nested = \"deny\" for a program that makes no sandbox itself",
        );
        found.push(verdict.at(&origins.of("namespaces.nested", ""), "user namespaces inside"));
    }
    if matches!(sandbox.process.user, User::Ids { uid: 0, .. }) {
        let verdict = note(
            0.1,
            "programs take themselves for root, and do what they refuse to do otherwise; outside it is you",
            "process.user = \"self\" for a program that asks for no root",
        );
        found.push(verdict.at(&sandbox.process.user_origin, "id 0"));
    }
    if sandbox.process.user.takes_subordinate_ids() {
        let verdict = weakens(
            0.5,
            "it makes files of other ids, where it may write, that you cannot remove without newuidmap",
            "process.user = \"root\" or \"self\" where one id is enough",
        );
        found.push(verdict.at(&sandbox.process.user_origin, "all subordinate ids"));
    }
    let limited = sandbox.limits.list.iter().any(|limit| limit.name == "memory_max");
    if sandbox.filesystem.memory.is_none() && !limited && sandbox.filesystem.root != Root::Bare {
        let verdict = note(
            0.2,
            "it fills half of the machine's memory with files, in each of two filesystems",
            "filesystem.memory = \"2G\", as base/host has it, or limits.memory_max",
        );
        found.push(verdict.at(&sandbox.filesystem.root_origin, "memory for files without a limit"));
    }
    if sandbox.process.tty == Tty::Inherit {
        let verdict = weakens(
            1.5,
            "it reads what is typed into your terminal as long as it lives, and writes to its screen",
            "process.tty = \"auto\", which gives a terminal of its own",
        );
        found.push(verdict.at(&origins.of("process.tty", ""), "the caller's terminal"));
    }
    if sandbox.process.tty == Tty::None {
        let verdict = weakens(
            1.5,
            "if you start it in a terminal without redirecting its input, it reads what is typed there, in the background, too",
            "process.tty = \"auto\", which gives a terminal of its own",
        );
        found.push(verdict.at(&origins.of("process.tty", ""), "the caller's terminal as a stream"));
    }
    for device in &sandbox.devices {
        if let Some(verdict) = device_verdict(&device.name) {
            let kind = if device.name.starts_with('/') { "the device" } else { "devices of the class" };
            found.push(verdict.at(&device.origin, format!("{kind} {}", device.name)));
        }
    }
    environment(sandbox, &mut found);
    security(sandbox, vars, &mut found);
    found
}

/// CAP_NET_ADMIN, CAP_SYS_PTRACE and CAP_SYS_ADMIN: with one of them a program undoes much of the sandbox from inside,
/// and reaches most of the kernel's code that the sandbox closes off.
const MUCH: u64 = 1 << 12 | 1 << 19 | 1 << 21;

fn security(sandbox: &Sandbox, vars: &Vars, found: &mut Vec<Finding>) {
    let (security, origins) = (&sandbox.security, &sandbox.origins);
    if security.filter == Filter::Off {
        let verdict = weakens(
            2.0,
            "it reaches every system call of the kernel, and their flaws",
            "security.seccomp = \"default\", with what is missing in security.syscalls.allow",
        );
        found.push(verdict.at(&origins.of("security.seccomp", ""), "no filter of system calls"));
    }
    for (name, origin) in &security.syscalls.allow {
        let verdict = match name.as_str() {
            "@debug" | "@mount" | "@module" | "@raw-io" | "bpf" | "perf_event_open" | "userfaultfd"
            | "io_uring_setup" | "kexec_load" | "open_by_handle_at" => note(
                0.4,
                "it reaches parts of the kernel in which flaws have been found again and again",
                "name the calls that are needed, and no group",
            ),
            "chmod" | "fchmod" | "fchmodat" | "fchmodat2" | "open" | "openat" | "openat2" | "creat" | "mkdir"
            | "mkdirat" | "mknod" | "mknodat" => setuid_bits(vars),
            "clone" | "clone3" | "unshare" | "setns" if !sandbox.namespaces.nested => note(
                0.7,
                "it makes namespaces of its own all the same, and reaches parts of the kernel that are closed without them",
                "leave it out; or say so: namespaces.nested = \"no-mount\"",
            ),
            "@keyring" | "keyctl" | "add_key" | "request_key" => {
                weakens(1.5, "it reads your keys in the kernel: tickets, keys of encrypted directories", "leave it out")
            }
            _ => note(0.1, "it makes a call that is refused otherwise", "leave it out if the program does without"),
        };
        found.push(verdict.at(origin, format!("the system calls {name}")));
    }
    if security.setuid_bits {
        found.push(setuid_bits(vars).at(&security.setuid_bits_origin, "set-user-ID bits on files"));
    }
    for limit in sandbox.rlimits.iter().filter(|limit| limit.name == "core" && limit.soft != Some(1)) {
        let verdict = note(
            0.4,
            "where the host gives core dumps to a program of root's (systemd-coredump, apport), that reads what it has in memory",
            "rlimits.core = 1, with which nobody gets any",
        );
        found.push(verdict.at(&limit.origin, "core dumps"));
    }
    if security.landlock == Requirement::Off {
        let verdict = note(
            0.2,
            "one mistake in a mount exposes files, with no second check",
            "security.landlock = \"prefer\", which costs next to nothing",
        );
        found.push(verdict.at(&security.landlock_origin, "no Landlock"));
    }
    if let Capabilities::Held(held) = security.capabilities {
        let help = "leave out what the program does without";
        let verdict = match held & MUCH {
            0 => note(0.4, "it reaches what the kernel leaves to root in a user namespace, and its flaws", help),
            _ => weakens(
                1.0,
                "it reaches most of what the kernel leaves to root in a user namespace, and its flaws",
                help,
            ),
        };
        found.push(verdict.at(&origins.of("security.capabilities", ""), "capabilities"));
    }
}

/// The verdict on files that may be given set-user-ID and set-group-ID bits. Those of root are root's.
fn setuid_bits(vars: &Vars) -> Verdict {
    let help =
        "security.setuid_bits = \"deny\"; where packages are installed, \"tmpfs\" for what they are installed to";
    match vars.names.get("UID").is_some_and(|uid| uid == "0") {
        true => undoes(8.0, "where it may write, it leaves a program that makes everybody who starts it root", help),
        false => weakens(2.0, "where it may write, it leaves a program that gives your rights to everybody", help),
    }
}

fn shared(namespace: Namespace) -> Verdict {
    match namespace {
        Namespace::Net => undoes(
            5.0,
            "it reaches services on the host's loopback, sockets without a path (X11's, where it has one), the cloud's metadata",
            "network.mode = \"private\", which closes these sockets and the host's loopback; \"none\" for a program that works without",
        ),
        Namespace::Pid => weakens(
            2.0,
            "it sees all processes with their arguments, can end yours, including the screen lock, and may outlive the sandbox",
            "leave `pid` out of namespaces.share",
        ),
        Namespace::Ipc => weakens(
            1.5,
            "it reads and changes System V memory of your other programs, including pictures of X windows",
            "leave `ipc` out of namespaces.share",
        ),
        Namespace::Uts => note(0.1, "it learns the host's name", "leave `uts` out of namespaces.share"),
        Namespace::Cgroup => {
            note(0.2, "it learns where in the host's cgroups it runs", "leave `cgroup` out of namespaces.share")
        }
        Namespace::Time => note(0.1, "it learns how long the host has been up", "leave `time` out of namespaces.share"),
    }
}

const CLASS: &str = "name a class such as `gpu`, or leave it out";

fn device_verdict(name: &str) -> Option<Verdict> {
    let dev = name.strip_prefix("/dev/");
    let is = |names: &[&str]| dev.is_some_and(|dev| names.contains(&dev));
    let starts = |prefixes: &[&str]| dev.is_some_and(|dev| prefixes.iter().any(|prefix| dev.starts_with(prefix)));
    Some(match name {
        "gpu" => note(0.3, "it reaches the graphics driver's flaws", "leave it out: programs draw without it, slower"),
        "audio" => weakens(
            1.5,
            "it plays, records the microphone, and changes the mixer, whatever desktop.sound says",
            "desktop.sound = [\"play\"], and \"record\" where it is needed",
        ),
        "camera" => weakens(
            1.0,
            "it records pictures whenever it likes",
            "portals = [\"camera\"] asks before, where the program can use it",
        ),
        "fuse" => {
            note(0.3, "it reaches the kernel's FUSE, and its flaws", "leave it out for a program that mounts nothing")
        }
        "kvm" => weakens(
            0.7,
            "it reaches the kernel's hypervisor, and its flaws",
            "leave it out: machines run without it, slower",
        ),
        "tun" => note(0.2, "it makes network interfaces in namespaces of its own", "leave it out"),
        _ if name == "input" || starts(&["input", "hidraw", "uinput", "uhid"]) => undoes(
            7.0,
            "it reads every key that is typed outside, or types itself, where your groups may",
            "leave it out: windows get their input from the display; or name one device, such as a game pad's event file",
        ),
        _ if is(&["mem", "kmem", "port"]) => {
            undoes(9.5, "it reads and changes the memory of the machine, where you may", "leave it out")
        }
        _ if starts(&[
            "sd", "nvme", "vd", "xvd", "hd", "mmcblk", "dm-", "mapper", "md", "loop", "disk", "nbd", "zd", "bcache",
            "block", "mtd",
        ]) =>
        {
            undoes(
                9.0,
                "it reads and changes the disk regardless of file permissions, where your groups may",
                "show the files it needs: [filesystem.paths]",
            )
        }
        _ if starts(&["bus/usb", "sg", "bsg"]) => {
            weakens(2.5, "it controls hardware directly, bypassing the system's drivers", CLASS)
        }
        _ if starts(&["pts", "tty", "console", "vcs", "ptmx"]) && !is(&["tty", "ptmx"]) => weakens(
            2.5,
            "it reads what is typed into that terminal, and writes to it",
            "leave it out: the program has a terminal of its own",
        ),
        _ if starts(&["tpm"]) => weakens(1.5, "it has the machine's keys sign and unseal", "leave it out"),
        _ if starts(&["snd"]) => return device_verdict("audio"),
        _ if starts(&["video", "media"]) => return device_verdict("camera"),
        _ if starts(&["dri", "nvidia"]) => return device_verdict("gpu"),
        _ if is(&["kvm", "fuse"]) => return device_verdict(dev.unwrap_or_default()),
        _ if is(&["net/tun"]) => return device_verdict("tun"),
        _ if is(&["null", "zero", "full", "random", "urandom", "tty", "ptmx", "rtc", "hwrng"]) || dev.is_none() => {
            return None;
        }
        _ => weakens(0.7, "it reaches that driver, and its flaws", CLASS),
    })
}

/// Variables that give the path of a socket, or the secret that opens it.
const PLACES: &[&str] = &[
    "SSH_AUTH_SOCK",
    "GPG_AGENT_INFO",
    "DBUS_SESSION_BUS_ADDRESS",
    "XAUTHORITY",
    "DOCKER_HOST",
    "SWAYSOCK",
    "I3SOCK",
    "TMUX",
    "AT_SPI_BUS_ADDRESS",
];

fn environment(sandbox: &Sandbox, found: &mut Vec<Finding>) {
    let origins = &sandbox.origins;
    for pattern in &sandbox.process.env_pass {
        let origin = origins.of("process.env_pass", pattern);
        let grant = format!("the caller's {pattern}");
        if pattern == "*" {
            let verdict = weakens(
                3.0,
                "it reads every variable, including tokens and passwords",
                "name what it needs: env_pass = [\"LANG\", \"LC_*\", \"TERM\"]",
            );
            found.push(verdict.at(&origin, "the caller's whole environment"));
        } else if is_secret_variable(pattern) {
            let verdict = weakens(
                2.0,
                "it reads that secret, in every run under this profile",
                "hand it over with --env NAME in the run that needs it",
            );
            found.push(verdict.at(&origin, grant));
        } else if named(PLACES, pattern) {
            let verdict = note(
                0.3,
                "it learns where a socket is; that is of use as soon as the socket is shown, or has no path",
                "leave it out: sbx sets what the services it lets in need",
            );
            found.push(verdict.at(&origin, grant));
        }
    }
    for (name, _) in sandbox.process.env.iter().filter(|(name, value)| is_secret_variable(name) && !value.is_empty()) {
        let verdict = weakens(
            2.0,
            "it reads that secret, and so does everybody who reads the profile",
            "hand it over with --env NAME in the run that needs it",
        );
        found.push(verdict.at(&origins.of("process.env", name), format!("{name} with its value")));
    }
}

/// Whether a pattern of `env_pass` matches one of the names; `*` at its end matches the rest of a name.
fn named(names: &[&str], pattern: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => names.iter().any(|name| name.starts_with(start)),
        None => names.contains(&pattern),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmless_devices_are_none_and_unknown_ones_count() {
        assert!(device_verdict("/dev/null").is_none() && device_verdict("/dev/tty").is_none());
        for bad in
            ["/dev/sda", "/dev/nvme0n1", "/dev/uinput", "/dev/input/event3", "/dev/mem", "/dev/mapper/root", "input"]
        {
            assert!(device_verdict(bad).is_some_and(|verdict| verdict.weight >= 5.0), "{bad}");
        }
        assert!(device_verdict("/dev/unheard").is_some());
    }
}
