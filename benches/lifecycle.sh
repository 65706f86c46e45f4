#!/bin/bash
# benches/lifecycle.sh [--rounds N] [--count N]: what sandboxes with a record cost, beside podman's containers. Medians of rounds that
# alternate.
#
#   run      of `true`, without a record, in ms
#   run -d   until the program has started, in ms; beside `run`, too
#   exec     of `true` in a sandbox that runs, in ms, and the command's own processor time
#   ps       of COUNT (default: 100) running sandboxes, in ms
#   logs     of a program that writes 100 MB of lines: MB/s until it has ended, and of `logs` of the last 10 MB
#   memory   of COUNT idle sandboxes: Pss of monitor and PID 1 of each, in KiB (podman's conmon alone: its PID 1 is the program)
#
# Needs python3 and a release build; SBX names another program. podman is measured where it works: with a root directory of the host's
# /usr, without a network. As root it measures as the account ACCOUNT (default: sbx-test). The figures that count come from a quiet machine.
set -euo pipefail
cd "$(dirname "$0")/.."
ROUNDS=15 COUNT=100
while [ $# -gt 0 ]; do
  case $1 in
    --rounds) ROUNDS=$2; shift 2 ;;
    --count) COUNT=$2; shift 2 ;;
    *) sed -n '2,/^set/{/^#/s/^# \?//p}' "$0"; exit 2 ;;
  esac
done
export ROUNDS COUNT SBX=${SBX:-$(ls -td "${CARGO_TARGET_DIR:-$PWD/target}/$(uname -m)-unknown-linux-"*/release/sbx 2>/dev/null | head -n 1)}
[ -x "$SBX" ] || { echo "lifecycle.sh: ${SBX:-sbx}: not there; cargo build --release, or set SBX" >&2; exit 1; }
W=$(mktemp -d /var/tmp/sbx-lifecycle.XXXXXX); trap 'rm -rf "$W" 2>/dev/null || { sleep 1; rm -rf "$W"; }' EXIT # podman goes on for a moment
chmod 755 "$W"; mkdir -p "$W"/home "$W"/run "$W"/root/{usr,etc,proc,sys,dev,run,tmp}; chmod 700 "$W/run"
for dir in bin sbin lib lib64; do ln -s usr/$dir "$W/root"; done
cp "$SBX" "$W/sbx"
if [ "$(id -u)" = 0 ]; then
  export ACCOUNT=${ACCOUNT:-sbx-test}
  chown -R "$ACCOUNT" "$W"
else unset ACCOUNT; fi
cat > "$W/measure.py" <<'P'
import collections, os, pwd, statistics, subprocess, time
place, rounds, count = os.getcwd(), int(os.environ["ROUNDS"]), int(os.environ["COUNT"])
env = dict(os.environ, HOME=f"{place}/home", XDG_RUNTIME_DIR=f"{place}/run")
# The commands are the account's; what they cost is read as root, since nobody else may look into PID 1.
caller = {"env": env, "stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
if account := env.pop("ACCOUNT", None):
    env["USER"] = account
    caller.update(user=account, group=pwd.getpwnam(account).pw_gid, extra_groups=[])
# crun refuses where controllers are of cgroup v1.
runtime = ["--runtime", "runc"] if os.path.exists("/sys/fs/cgroup/unified") else []
podman = ["podman", *runtime, "--cgroup-manager", "cgroupfs"]
root = ["--network", "none", "-v", "/usr:/usr:ro", "--rootfs", f"{place}/root"]
ways = {
    "sbx": {"run": [f"{place}/sbx", "run", "-q"], "with": [f"{place}/sbx"], "args": ["--"]},
    "podman": {"run": [*podman, "run", "--log-driver", "k8s-file"], "with": podman, "args": root},
}
found = collections.defaultdict(list)

def timed(command):
    """Wall time and processor time of a command in ms."""
    began = time.perf_counter()
    child = subprocess.Popen(command, stderr=subprocess.PIPE, **caller)
    said = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = status
    wall = (time.perf_counter() - began) * 1000
    if status: raise SystemExit(f"{' '.join(command)}: status {status}: {said.decode(errors='replace')[:500]}")
    return wall, (usage.ru_utime + usage.ru_stime) * 1000

def quietly(command): subprocess.run(command, stderr=subprocess.DEVNULL, **caller)
def started(way, name, *program):
    return [*ways[way]["run"], "-d", "--name", name, *ways[way]["args"], *program]
def removed(way, *names): quietly([*ways[way]["with"], "rm", "-f", *([] if way == "sbx" else ["-t", "0"]), *names])

def pss(pid):
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    except OSError: return None

try: timed(started("podman", "try", "true"))
except (SystemExit, OSError) as error:
    print("no podman here:", str(error)[-300:]); del ways["podman"]
else: removed("podman", "try")

for round in range(rounds):
    for way, it in ways.items():
        found["run", way].append(timed([*it["run"], *(["--rm"] if way == "podman" else []), *it["args"], "true"])[0])
        found["run -d", way].append(timed(started(way, "one", "sleep", "1000"))[0])
        wall, spent = timed([*it["with"], "exec", "one", "true"])
        found["exec", way].append(wall); found["exec, processor", way].append(spent)
        removed(way, "one")

lines = "import sys\nline = b'x' * 99 + b'\\n'\nfor _ in range(1000): sys.stdout.buffer.write(line * 1000)"
for way, it in ways.items():
    for round in range(min(rounds, 3)):
        began = time.perf_counter()
        timed(started(way, "log", "python3", "-c", lines)); timed([*it["with"], "wait", "log"])
        found["logs, written", way].append(100 / (time.perf_counter() - began))
        removed(way, "log")
    quietly(started(way, "log", "python3", "-c", lines.replace("range(1000)", "range(100)")))
    quietly([*it["with"], "wait", "log"])
    for round in range(min(rounds, 3)): found["logs, read", way].append(10 / timed([*it["with"], "logs", "log"])[0] * 1000)
    removed(way, "log")

for way, it in ways.items():
    names = [f"many-{number}" for number in range(count)]
    before = set(os.listdir("/proc"))
    for name in names: timed(started(way, name, "sleep", "1000"))
    for round in range(rounds): found["ps", way].append(timed([*it["with"], "ps"])[0])
    time.sleep(1)
    sums = []
    for pid in filter(str.isdigit, set(os.listdir("/proc")) - before):
        try:
            with open(f"/proc/{pid}/comm") as file: name = file.read().strip()
        except OSError: continue
        if name in ("sbx", "conmon"): sums.append(pss(pid))
    known = [kib for kib in sums if kib is not None]
    if len(known) < len(sums): print(f"memory: {len(sums) - len(known)} of {len(sums)} processes of {way} cannot be looked into: run as root")
    found["memory", way].append(sum(known) / count)
    removed(way, *names)

units = {"ps": "ms", "memory": "KiB"}
for what in ("run", "run -d", "exec", "exec, processor", "ps", "logs, written", "logs, read", "memory"):
    for way in ways:
        values = found[what, way]
        unit = "MB/s" if what.startswith("logs") else units.get(what, "ms")
        more = ""
        if way == "sbx" and "podman" in ways:
            more = f"{statistics.median(values) / statistics.median(found[what, 'podman']):.3f} of podman's"
        if what == "run -d":
            more += f"{', ' if more else ''}{statistics.median(a / b for a, b in zip(values, found['run', way])):.2f} of run"
        print(f"{what:16} {way:7} {statistics.median(values):9.2f} {unit:5} {more}")
P
# newuidmap may have no right here, and a table of ranges makes podman ask for it.
BARE=; [ "$(id -u)" != 0 ] || BARE="unshare -m sh -c 'mount --bind /dev/null /etc/subuid; mount --bind /dev/null /etc/subgid; exec python3 measure.py'"
(cd "$W" && eval "${BARE:-python3 measure.py}")
