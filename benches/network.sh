#!/bin/bash
# benches/network.sh [--rounds N] [--only WHAT]: what a network of the sandbox's own costs, beside the programs that carry its packets alone, on the
# network that tests/network/internet makes. Medians of rounds that alternate.
#
#   start     of `true`, in ms: until the network is ready, and to the end
#   download  of 400 MB, in Gb/s
#   connect   to a server and a byte from there, in µs: 500 in a row
#   publish   the same from the host to a server inside, at a port of loopback
#   dns       a question for a name that is allowed, in µs: 1000 in a row
#   memory    of the forwarder of names (Pss) that has told 500 of them and is at rest, in KiB
#
# Ways: no network (sbx --net none), sbx with pasta and with slirp4netns, the same with 500 addresses in network.allow (500+) and with 500
# names there, each of which has been asked for (names+), each of these helpers alone, and podman with slirp4netns, where it works. `host` asks names straight.
# Needs pasta, slirp4netns, python3 and a release build; SBX names another program. As root it measures as the account ACCOUNT (default:
# sbx-test). The figures that count come from a quiet machine.
set -euo pipefail
cd "$(dirname "$0")/.."
ROUNDS=15
while [ $# -gt 0 ]; do
  case $1 in
    --rounds) ROUNDS=$2; shift 2 ;;
    --only) ONLY=$2; shift 2 ;;
    *) sed -n '2,/^set/{/^#/s/^# \?//p}' "$0"; exit 2 ;;
  esac
done
export ROUNDS ONLY=${ONLY-} NAME_SERVER=203.0.113.10 SBX=${SBX:-$(ls -td "${CARGO_TARGET_DIR:-$PWD/target}/$(uname -m)-unknown-linux-"*/release/sbx 2>/dev/null | head -n 1)}
[ -x "$SBX" ] || { echo "network.sh: ${SBX:-sbx}: not there; cargo build --release, or set SBX" >&2; exit 1; }
W=$(mktemp -d /var/tmp/sbx-network.XXXXXX); trap 'rm -rf "$W"' EXIT
cp -r tests/network "$W"; chmod -R a+rX "$W"; mkdir "$W/work"; AS=(env)
if [ "$(id -u)" = 0 ]; then
  ACCOUNT=${ACCOUNT:-sbx-test}
  cp "$SBX" "$W/sbx"; SBX=$W/sbx; chown "$ACCOUNT" "$W/work"
  AS=(setpriv --reuid "$ACCOUNT" --regid "$ACCOUNT" --init-groups env HOME="$(getent passwd "$ACCOUNT" | cut -d: -f6)" USER="$ACCOUNT")
fi
export BESIDE='
import socket, threading
def flood(c):
    piece = bytes(1 << 20)
    try:
        for _ in range(400): c.sendall(piece)
    except OSError: pass
    c.close()
def byte(c): c.sendall(b"x"); c.close()
def serve(port, what):
    s = socket.create_server(("203.0.113.10", port), backlog=512)
    while True: threading.Thread(target=what, args=(s.accept()[0],), daemon=True).start()
threading.Thread(target=serve, args=(82, flood), daemon=True).start(); threading.Thread(target=serve, args=(83, byte), daemon=True).start()
# Tells 203.0.0.0 + N for `N.any.example`, and 203.0.113.10 for all other names.
names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); names.bind(("203.0.113.10", 53))
while True:
    question, peer = names.recvfrom(512)
    first = question[13:13 + question[12]]
    number = (203 << 24) + int(first) if first.isdigit() else (203 << 24) + (113 << 8) + 10
    end = question.index(b"\0", 12) + 5
    told = question[end - 4:end - 2] == b"\0\1"
    answer = b"\xc0\x0c\0\1\0\1\0\0\x0e\x10\0\4" + number.to_bytes(4, "big") if told else b""
    names.sendto(question[:2] + b"\x81\x80\0\1\0" + bytes([told]) + b"\0\0\0\0" + question[12:end] + answer, peer)'
export CLIENT='
import socket, sys, time
what, address = sys.argv[1], sys.argv[2]
def get(port):
    c = socket.create_connection((address, port), 3); n = 0 # an old pasta loses the end of a connection now and then: no figure then
    while True:
        more = c.recv_into(buffer)
        if not more: return n
        n += more
def ask(name):
    server = [line.split()[1] for line in open("/etc/resolv.conf") if line.startswith("nameserver")][0]
    asks = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); asks.settimeout(3); asks.connect((server, 53))
    question = b"\1\0\0\1\0\0\0\0\0\0" + b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0\0\1\0\1"
    def one():
        asks.send(b"sb" + question); answer = asks.recv(512)
        assert answer[3] & 15 == 0, answer
    return one
buffer = bytearray(1 << 18)
if what == "names":
    for n in range(500): ask(f"{n}.any.example")()
    ask("one.example")()
    print("asked", flush=True)
    what = sys.argv[4]
if what == "wait": sys.stdin.read()
began = time.perf_counter()
if what == "wait": pass
elif what == "dns":
    one = ask("one.example"); one(); began = time.perf_counter()
    for _ in range(1000): one()
    print(round((time.perf_counter() - began) / 1000 * 1e6, 1))
elif what == "download": n = get(82); print(round(n * 8 / (time.perf_counter() - began) / 1e9, 3))
else:
    for _ in range(500): get(int(sys.argv[3]))
    print(round((time.perf_counter() - began) / 500 * 1e6, 1))'
export SERVER='
import socket, threading
s = socket.create_server(("0.0.0.0", 83), backlog=512); print("listens", flush=True)
while True: c = s.accept()[0]; c.sendall(b"x"); c.close()'
cat > "$W/run" <<'R'
way() { # way NAME COMMAND...: runs the command in that network
  local name=$1; shift
  case $name in
    none) "$SBX" -q --net none -- "$@" ;;
    sbx+*) "$SBX" -q --net private --set network.helper="${name#sbx+}" -- "$@" ;;
    500+*) "$SBX" -q --profile "$PWD/500.toml" --net private --set network.helper="${name#500+}" -- "$@" ;;
    names+*) "$SBX" -q --profile "$PWD/names.toml" --net private --set network.helper="${name#names+}" -- "$@" ;;
    host) "$@" ;;
    pasta) pasta -q --config-net -t none -u none -T none -U none -- "$@" ;;
    slirp4netns)
      mkfifo ready.$$ go.$$
      unshare --user --map-root-user --net -- sh -c 'echo $$ >"$1"; read line <"$2"; shift 2; exec "$@"' sh ready.$$ go.$$ "$@" & local child=$! pid
      read -r pid <ready.$$
      exec 5<>pipe; slirp4netns --configure --mtu=65520 --disable-host-loopback --ready-fd=5 "$pid" tap0 >/dev/null 2>&1 & local slirp=$!
      read -rn1 -u5 _; exec 5>&-; echo >go.$$; wait $child; kill $slirp; wait $slirp 2>/dev/null || true; rm ready.$$ go.$$ ;;
    podman) HOME=$PWD/podman XDG_RUNTIME_DIR=$PWD/podman podman $RUNTIME run --rm --network slirp4netns -v /usr:/usr:ro --rootfs "$PWD/root" "$@" ;;
  esac
}
mkfifo pipe
{
  printf 'schema = 1\nextends = ["default"]\n[network]\nmode = "private"\nallow = ["203.0.113.10"'
  for number in {0..498}; do printf ', "192.0.%d.%d"' $((number / 250 * 2)) $((number % 250 + 1)); done; echo ']'
} >500.toml
{
  printf 'schema = 1\nextends = ["default"]\n[network]\nmode = "private"\nallow = ["one.example"'
  for number in {0..499}; do printf ', "%d.any.example"' $number; done; echo ']'
} >names.toml
only() { [ -z "$ONLY" ] || [ "$ONLY" = "$1" ]; }
WAYS="none sbx+pasta 500+pasta pasta sbx+slirp4netns 500+slirp4netns slirp4netns podman"
mkdir -p podman root/{usr,etc,proc,sys,dev,run,tmp}; for dir in bin sbin lib lib64; do ln -s usr/$dir root; done
# crun refuses where controllers are of cgroup v1.
for file in subuid subgid; do echo "mount --bind /dev/null /etc/$file" >"$AS_ROOT"; done # newuidmap has no right here
RUNTIME=; [ ! -e /sys/fs/cgroup/unified ] || RUNTIME="--runtime runc"
[ -n "$ONLY" ] && WAYS=${WAYS% podman} || (way podman timeout 60 true) >/dev/null 2>podman.err || { echo "no podman here: $(tail -n1 podman.err | cut -c1-300)"; WAYS=${WAYS% podman}; }
for round in $(seq "$ROUNDS"); do
  for way in $WAYS; do
    only start && began=$(date +%s%N) && way "$way" true && echo "start $way $((($(date +%s%N) - began) / 10000))"
    [ "$way" != none ] || continue
    only download && echo "download $way $(way "$way" python3 -c "$CLIENT" download 203.0.113.10 2>/dev/null)"
    only connect && echo "connect $way $(way "$way" python3 -c "$CLIENT" connect 203.0.113.10 83 2>/dev/null)"
  done
  for helper in pasta slirp4netns; do
    only connect && echo "connect names+$helper $(way names+$helper python3 -c "$CLIENT" names 203.0.113.10 83 connect 2>/dev/null | tail -n 1)"
  done
  for way in host sbx+pasta names+pasta sbx+slirp4netns names+slirp4netns; do
    only dns && echo "dns $way $(way $way python3 -c "$CLIENT" dns -)"
  done
  if only memory; then
    rm -f out; mkfifo go.$$; exec 6<>go.$$
    way names+pasta python3 -c "$CLIENT" names - - wait <go.$$ >out & sbx=$!
    until grep -qs asked out; do sleep 0.02; done; sleep 1.5 # it is at rest once nobody has asked for a second
    forwarder=$(grep -lzs ^sbx-name-forwarder /proc/[0-9]*/cmdline | tr -dc '0-9\n' | head -n 1)
    echo sed -n "s/^Pss:/memory\tforwarder/p" "/proc/$forwarder/smaps_rollup" >"$AS_ROOT"; sleep 0.3
    kill $sbx; wait $sbx || true; exec 6>&-; rm go.$$
  fi
  only publish || continue
  for helper in pasta slirp4netns; do
    rm -f out
    "$SBX" -q --net private --set network.helper=$helper --publish 8083:83 -- python3 -c "$SERVER" >out & sbx=$!
    until grep -qs listens out; do sleep 0.02; done
    echo "publish sbx+$helper $(python3 -c "$CLIENT" connect 127.0.0.1 8083)"; kill $sbx; wait $sbx || true
  done
  port=$((9000 + round)) # an old pasta leaves children
  rm -f out; pasta -q -f --config-net -t 127.0.0.1/$port:83 -u none -T none -U none -- python3 -c "$SERVER" >out & pasta=$!
  until grep -qs listens out; do sleep 0.02; done
  echo "publish pasta $(python3 -c "$CLIENT" connect 127.0.0.1 $port)"; kill $(cat /proc/$pasta/task/$pasta/children) $pasta; wait $pasta 2>/dev/null || true
done
R
(cd "$W/work" && "${AS[@]}" bash "$W/network/internet" bash "$W/run") > "$W/figures" || { cat "$W/figures" >&2; exit 1; }
grep '^no ' "$W/figures" || true
python3 - "$W/figures" <<'P'
import collections, statistics, sys
found = collections.defaultdict(list)
for line in open(sys.argv[1]):
    words = line.split()
    if words[:1] == ["memory"]: words = words[:3]
    if len(words) == 3 and words[0] in ("start", "download", "connect", "publish", "dns", "memory"):
        found[words[0], words[1]].append(float(words[2]) / (100 if words[0] == "start" else 1))
for what, unit in (("start", "ms"), ("download", "Gb/s"), ("connect", "µs"), ("publish", "µs"), ("dns", "µs"), ("memory", "KiB")):
    for (kind, way), values in found.items():
        if kind != what: continue
        helper = way.split("+")[-1]
        beside = {"it alone": helper, "without rules by name": f"sbx+{helper}" if way.startswith("names+") else None, "straight": "host"}
        ratios = []
        for word, other in beside.items():
            pairs = list(zip(values, found.get((kind, other), []))) if "+" in way else []
            if pairs: ratios.append(f"{statistics.median(a / b for a, b in pairs):.2f} of {word}")
        print(f"{what:9} {way:16} {statistics.median(values):9.2f} {unit:5}", ", ".join(ratios))
P
