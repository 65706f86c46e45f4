#!/bin/bash
# benches/network.sh [--rounds N]: what a network of the sandbox's own costs, beside the programs that carry its packets alone, on the
# network that tests/network/internet makes. Medians of rounds that alternate.
#
#   start     of `true`, in ms: until the network is ready, and to the end
#   download  of 400 MB, in Gb/s
#   connect   to a server and a byte from there, in µs: 500 in a row
#   publish   the same from the host to a server inside, at a port of loopback
#
# Ways: no network (sbx --net none), sbx with pasta and with slirp4netns, the same with 500 addresses in network.allow (500+), each of these
# alone, and podman with slirp4netns, where it works.
# Needs pasta, slirp4netns, python3 and a release build; SBX names another program. As root it measures as the account ACCOUNT (default:
# sbx-test). The figures that count come from a quiet machine.
set -euo pipefail
cd "$(dirname "$0")/.."
ROUNDS=15
while [ $# -gt 0 ]; do
  case $1 in
    --rounds) ROUNDS=$2; shift 2 ;;
    *) sed -n '2,/^set/{/^#/s/^# \?//p}' "$0"; exit 2 ;;
  esac
done
export ROUNDS SBX=${SBX:-$(ls -td "${CARGO_TARGET_DIR:-$PWD/target}/$(uname -m)-unknown-linux-"*/release/sbx 2>/dev/null | head -n 1)}
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
threading.Thread(target=serve, args=(82, flood), daemon=True).start(); serve(83, byte)'
export CLIENT='
import socket, sys, time
what, address = sys.argv[1], sys.argv[2]
def get(port):
    c = socket.create_connection((address, port), 3); n = 0 # an old pasta loses the end of a connection now and then: no figure then
    while True:
        more = c.recv_into(buffer)
        if not more: return n
        n += more
buffer = bytearray(1 << 18); began = time.perf_counter()
if what == "download": n = get(82); print(round(n * 8 / (time.perf_counter() - began) / 1e9, 3))
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
WAYS="none sbx+pasta 500+pasta pasta sbx+slirp4netns 500+slirp4netns slirp4netns podman"
mkdir -p podman root/{usr,etc,proc,sys,dev,run,tmp}; for dir in bin sbin lib lib64; do ln -s usr/$dir root; done
# crun refuses where controllers are of cgroup v1.
for file in subuid subgid; do echo "mount --bind /dev/null /etc/$file" >"$AS_ROOT"; done # newuidmap has no right here
RUNTIME=; [ ! -e /sys/fs/cgroup/unified ] || RUNTIME="--runtime runc"
(way podman timeout 60 true) >/dev/null 2>podman.err || { echo "no podman here: $(tail -n1 podman.err | cut -c1-300)"; WAYS=${WAYS% podman}; }
for round in $(seq "$ROUNDS"); do
  for way in $WAYS; do
    began=$(date +%s%N); way "$way" true; echo "start $way $((($(date +%s%N) - began) / 10000))"
    [ "$way" != none ] || continue
    echo "download $way $(way "$way" python3 -c "$CLIENT" download 203.0.113.10 2>/dev/null)"
    echo "connect $way $(way "$way" python3 -c "$CLIENT" connect 203.0.113.10 83 2>/dev/null)"
  done
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
    if len(words) == 3 and words[0] in ("start", "download", "connect", "publish"):
        found[words[0], words[1]].append(float(words[2]) / (100 if words[0] == "start" else 1))
for what, unit in (("start", "ms"), ("download", "Gb/s"), ("connect", "µs"), ("publish", "µs")):
    for (kind, way), values in found.items():
        if kind != what: continue
        alone = found.get((kind, way.split("+")[-1]), []) if "+" in way else []
        ratio = statistics.median(a / b for a, b in zip(values, alone)) if alone else None
        print(f"{what:9} {way:16} {statistics.median(values):9.2f} {unit:5}", f"{ratio:.2f} of it alone" if ratio else "")
P
