#!/bin/bash
# benches/limits.sh [ROUNDS]: starts with limits beside systemd-run's and without, and what limits make of programs, each beside systemd-run
# with the same limit; in the guest of tests/guest, as root, with pip for benchexec. Its times are those of an emulated machine: the ratios count.
set -euo pipefail
cd "$(dirname "$0")/.."
SBX=${SBX:-${CARGO_TARGET_DIR:-$PWD/target}/$(uname -m)-unknown-linux-gnu/release/sbx}
W=$(mktemp -d); trap 'rm -rf "$W"' EXIT
cp "$SBX" "$W/sbx"
python3 -m pip install -q --root-user-action=ignore --target "$W/lib" benchexec
cat >"$W/bench.py" <<'P'
import json, os, re, statistics, subprocess, sys, time
ROUNDS = int(sys.argv[1])
SBX = ["./sbx", "run", "-q"]
LIMITS = ["--memory", "64M", "--pids-limit", "50"]
RUN = ["systemd-run", "--user", "--scope", "-q", "-p", "MemoryMax=64M", "-p", "TasksMax=50"]

def timed(command):
    began = time.monotonic()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return (time.monotonic() - began) * 1000

def compare(title, commands):
    times = [[] for _ in commands]
    for command in commands: timed(command)
    for _ in range(ROUNDS):
        for number, command in enumerate(commands): times[number].append(timed(command))
    medians = [statistics.median(each) for each in times]
    print(f"{title:<52}" + "".join(f"{median:9.1f}" for median in medians) + f"   {medians[0] / medians[1]:.3f}", flush=True)

if sys.argv[2:] == ["below"]:
    compare("the same with sbx.service, below the manager", [SBX + LIMITS + ["--", "true"], RUN + ["true"]])
    compare("and unlimited", [SBX + LIMITS + ["--", "true"], SBX + ["--", "true"]])
    with open("small.toml", "w") as file:
        file.write('schema = 1\n[filesystem]\nroot = "empty"\n[filesystem.paths]\n' + "".join(f'"/{name}" = "ro"\n' for name in ("usr", "bin", "lib", "lib64")))
    small = SBX + ["--profile", "./small.toml"]
    compare("a view of /usr alone, beside systemd-run", [small + LIMITS + ["--", "true"], RUN + ["true"]])
    sys.exit()
if sys.argv[2:] == ["delegated"]:
    # As who divides a cgroup has it: nobody in it, and the processes in leaves.
    base = "/sys/fs/cgroup" + open("/proc/self/cgroup").read().strip()[3:]
    os.mkdir(base + "/leaf")
    open(base + "/leaf/cgroup.procs", "w").write("0")
    open(base + "/cgroup.subtree_control", "w").write("+memory +pids")
    compare("start in a delegated cgroup: limited, unlimited (ms)", [SBX + LIMITS + ["--", "true"], SBX + ["--", "true"]])
    sys.exit()
compare("start: limited, systemd-run --user --scope (ms)", [SBX + LIMITS + ["--", "true"], RUN + ["true"]])
compare("start: limited, unlimited (ms)", [SBX + LIMITS + ["--", "true"], SBX + ["--", "true"]])
# Below a service that is kept: from a session, where the manager moves the launcher, and from a unit of the manager.
os.makedirs(os.path.expanduser("~/.config/systemd/user"), exist_ok=True)
os.rename("sbx.service", os.path.expanduser("~/.config/systemd/user/sbx.service"))
for command in ("daemon-reload", "start sbx.service"): subprocess.run(["systemctl", "--user"] + command.split(), check=True)
compare("the same with sbx.service, in a session", [SBX + LIMITS + ["--", "true"], RUN + ["true"]])
subprocess.run(["systemd-run", "--user", "--pipe", "--wait", "-q", "--working-directory", os.getcwd(), "python3", "bench.py", str(ROUNDS), "below"], check=True)
subprocess.run(["systemctl", "--user", "stop", "sbx.service"], check=True)
subprocess.run(["systemd-run", "--user", "--scope", "-q", "-p", "Delegate=yes", "python3", "run-delegated.py"], check=True)

def ended(title, command):
    ran = subprocess.run(command, capture_output=True, text=True)
    print(f"{title:<52} status {ran.returncode}, {'survived' if 'survived' in ran.stdout else 'ended'}", flush=True)

hog = ["python3", "-c", "a = bytearray(300 << 20); print('survived')"]
ended("300 MiB with memory_max 64M, swap 0: sbx", ["./sbx", "-q", "--memory", "64M", "--set", "limits.swap_max=0", "--"] + hog)
ended("the same: systemd-run", ["systemd-run", "--user", "--scope", "-q", "-p", "MemoryMax=64M", "-p", "MemorySwapMax=0"] + hog)

# A shell that starts itself for ever, within 40 processes: the most there were, and how long a command takes beside it.
bomb = ["/bin/sh", "-c", "bomb() { bomb | bomb & }; bomb 2>/dev/null; exec sleep 60"]
for name, command in (
    ("sbx", ["./sbx", "-q", "--pids-limit", "40", "--timeout", "4s", "--stats=json", "--"]),
    ("systemd-run", ["systemd-run", "--user", "--scope", "-q", "-p", "TasksMax=40", "-p", "RuntimeMaxSec=4s"]),
):
    began = time.monotonic()
    running = subprocess.Popen(command + bomb, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    time.sleep(2)
    beside = min(timed(["true"]) for _ in range(5))
    files = subprocess.run(["grep", "-rlx", "--include=pids.max", "40", "/sys/fs/cgroup"], capture_output=True, text=True).stdout.split()
    most = max(int(open(file.replace("pids.max", "pids.current")).read()) for file in files)
    running.communicate()
    print(f"{f'a fork bomb, pids_max 40: {name}':<52} {most} at once, ended after {time.monotonic() - began:.1f} s; true beside it {beside:.0f} ms", flush=True)

pinned = ["grep", "-h", "Cpus_allowed_list", "/proc/self/status"]
for name, command in (("sbx", ["./sbx", "-q", "--set", "limits.cpus=1", "--"]), ("systemd-run", ["systemd-run", "--user", "--scope", "-q", "-p", "AllowedCPUs=1"])):
    print(f"{f'cpus = 1: {name}':<52} {subprocess.run(command + pinned, capture_output=True, text=True).stdout.split()[-1]}", flush=True)

# Processes that keep all processors busy for some seconds, and tell how much they got.
burn = """
import os, time
end = time.monotonic() + 20
began = time.monotonic()
children = [os.fork() for _ in range(1)] + [0]
while time.monotonic() < end: pass
if 0 in children[:-1]: os._exit(0)
os.wait()
t = os.times()
print((t.user + t.system + t.children_user + t.children_system) / (time.monotonic() - began))
"""
for share in (50, 100):
    for name, command in (("sbx", ["./sbx", "-q", "--cpus", str(share / 100), "--"]), ("systemd-run", ["systemd-run", "--user", "--scope", "-q", "-p", f"CPUQuota={share}%"])):
        ran = subprocess.run(command + ["python3", "-c", burn], capture_output=True, text=True)
        print(f"{f'processors used with a share of {share / 100}: {name}':<52} {float(ran.stdout):.3f}", flush=True)

write = ["dd", "if=/dev/zero", f"of={os.getcwd()}/file", "bs=64k", "count=64", "oflag=direct", "status=none"]
for name, command in (
    ("sbx", ["./sbx", "-q", "--rw", ".", "--set", 'limits.io_max={"/home"="wbps=1M"}', "--"]),
    ("systemd-run", ["systemd-run", "--user", "--scope", "-q", "-p", "IOWriteBandwidthMax=/home 1M"]),
):
    began = time.monotonic()
    subprocess.run(command + write, check=True)
    print(f"{f'4 MiB at 1 MiB a second: {name}':<52} {time.monotonic() - began:.2f} s", flush=True)

# The figures beside what systemd and benchexec's runexec count, of the same run: theirs have sbx itself in them.
open("work.py", "w").write("n = 0\nfor i in range(4000000): n += i\na = bytearray(100 << 20)\nfor i in range(0, len(a), 4096): a[i] = 1")
run = [os.path.abspath("sbx"), "run", "-q", "--ro", ".", "--stats=json", "--", "python3", "work.py"]
service = ["systemd-run", "--user", "--wait", "--pipe", "-p", "Delegate=yes", "-p", "CPUAccounting=yes", "--working-directory", os.getcwd()]
runexec = ["systemd-run", "--user", "--scope", "-q", "-p", "Delegate=yes", "env", "PYTHONPATH=lib", "python3", "-m", "benchexec.runexecutor"]
figures = {"systemd": [], "runexec": []}
figure = lambda text: json.loads([line for line in text.splitlines() if line.startswith("{")][0])
for _ in range(5):
    said = subprocess.run(service + run, capture_output=True, text=True).stderr
    found = re.search(r"CPU time consumed: (?:(\d+)min )?(?:([0-9.]+)s)?(?:([0-9.]+)ms)?", said)
    minutes, seconds, thousandths = (float(part or 0) for part in found.groups())
    figures["systemd"].append((figure(said)["cpu_usec"] / 1e6 / (minutes * 60 + seconds + thousandths / 1000), 0))
    said = subprocess.run(runexec + ["--no-container", "--output", "log", "--"] + run, capture_output=True, text=True).stdout
    theirs = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    ours = figure(open("log").read())
    figures["runexec"].append((ours["cpu_usec"] / 1e6 / float(theirs["cputime"].rstrip("s")), (ours["memory_peak"] - int(theirs["memory"].rstrip("B"))) / 2**20))
for name, list in figures.items():
    ratio, difference = (statistics.median(each[at] for each in list) for at in (0, 1))
    print(f"{f'processor time: --stats beside {name}':<52} {ratio:.3f} ({min(list)[0]:.3f} to {max(list)[0]:.3f})")
    if difference: print(f"{f'most memory: --stats beside {name} (MiB)':<52} {difference:+.2f}")
P
echo 'import os,sys; os.execvp("python3", ["python3", "bench.py", "'"${1:-15}"'", "delegated"])' >"$W/run-delegated.py"
echo "Linux ${KERNEL:-6.12} in the guest; $("$SBX" --version)"
tests/guest/run -t 580 -i "$W/sbx" -i "$W/bench.py" -i "$W/run-delegated.py" -i systemd/sbx.service -i "$W/lib" "python3 bench.py ${1:-15}"
