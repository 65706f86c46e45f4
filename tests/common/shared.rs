//! Scripts that run sandboxes in networks that these share, on the network that `tests/network/internet` makes.

use super::network::on_network;
use super::{Place, Ran, ran};
use std::process::Command;

/// What a script has that runs sandboxes in networks: `serves NAME FLAGS...` runs one in the background that answers at TCP port 80 with its
/// address, by IPv6 too where there is that, and waits until it does; `ended` waits until no process that holds a network is left, and lists what
/// is left of one. With `SERVER=$HEARS`, one answers nothing, and prints what comes to UDP port 5000: from which address and port, and the text.
pub const FUNCTIONS: &str = r#"
SERVER='import select,socket
all = [socket.create_server(("0.0.0.0", 80))]
try:
    all.append(socket.create_server(("::", 80), family=socket.AF_INET6))
except OSError:
    pass
print("serves", flush=True)
while True:
    for own in select.select(all, [], [])[0]:
        other, peer = own.accept()
        other.sendall(("%s from %s\n" % (other.getsockname()[0], peer[0])).encode())
        other.close()'
HEARS='import socket
own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
own.bind(("0.0.0.0", 5000))
print("serves", flush=True)
while True:
    data, (address, port) = own.recvfrom(99)
    print(address, port, data.decode(), flush=True)'
serves() {
    name=$1; shift; "$SBX" --name "$name" --rm "$@" -- python3 -c "$SERVER" >"out-$name" 2>"err-$name" & eval "sbx_$(echo "$name" | tr -- '-.' __)=\$!"
    last=$!; until grep -q serves "out-$name"; do [ -e /proc/$last ] || { cat "err-$name" >&2; return; }; sleep 0.02; done
}
holders() { grep -lz ^sbx-network-holder /proc/[0-9]*/cmdline 2>/dev/null | tr -dc '0-9\n'; }
helpers() { grep -ls -e ^pas -e ^slirp4netns /proc/[0-9]*/comm | tr -dc '0-9\n'; }
left() { holders; helpers; find run/sbx/.networks -mindepth 1 2>/dev/null; }
ended() { n=0; while [ -n "$(left)" ] && [ $n -lt 600 ]; do sleep 0.05; n=$((n + 1)); done; left; }
"#;

/// The beginning of a program in Python that does what it may not: `tries(WHAT, F)` prints what comes of a call, and `refused(COMMAND...)` what
/// comes of commands.
pub const ATTEMPTS: &str = r#"
import errno, socket, struct, subprocess
def tries(what, f):
    try:
        f(); print(what, "done")
    except OSError as error:
        print(what, errno.errorcode[error.errno])
def refused(*commands):
    for command in commands:
        ran = subprocess.run(["sh", "-c", "PATH=$PATH:/usr/sbin:/sbin; " + command], capture_output=True)
        print(command, "refused" if ran.returncode else "done")
"#;

/// A script on the host of the test network. Nothing is left of networks when it has ended: that is the last line of what it prints.
pub fn script(settings: &[(&str, &str)], text: &str) -> (Place, Command) {
    let place = Place::new();
    let mut command = on_network(&place, settings, &format!("{FUNCTIONS}\n{text}\necho left $(ended)"));
    let runtime = place.work().join("run");
    std::fs::create_dir(&runtime).unwrap();
    command.env("XDG_RUNTIME_DIR", runtime);
    (place, command)
}

/// Runs such a script, and makes sure that nothing is left.
#[track_caller]
pub fn run(text: &str) -> Ran {
    run_with(&[], text)
}

/// The same with variables.
#[track_caller]
pub fn run_with(settings: &[(&str, &str)], text: &str) -> Ran {
    let (_place, mut command) = script(settings, text);
    let ran = ran(command.output().unwrap());
    assert!(ran.out.ends_with("left\n"), "{ran:#?}");
    ran
}
