#!/bin/bash
# benches/union.sh: what overlays cost. In one run, alternating, on a tmpfs: the host's directory itself, the kernel's overlay mounted by
# hand in a user namespace, `sbx --overlay`, the same over the view server's filesystem (since something is mounted below the directory), the FUSE union,
# and fuse-overlayfs if it is installed, with 5,000 small files. And what an overlay adds to a start. Run it as an ordinary user.
#
# SBX names the program (default: the newest release build). Milliseconds, the median of ROUNDS (default 5).
set -euo pipefail
cd "$(dirname "$0")/.."
SBX=${SBX:-$(ls -td "${CARGO_TARGET_DIR:-target}/$(uname -m)-unknown-linux-"*/release/sbx | head -n 1)}
ROUNDS=${ROUNDS:-5}
W=$(mktemp -d /dev/shm/sbx-union.XXXXXX); trap 'rm -rf "$W"' EXIT
cp "$SBX" "$W/sbx"; SBX=$W/sbx
mkdir -p "$W/work/lower" "$W/home"; cd "$W/work"
for i in $(seq 5000); do
  [ $((i % 50)) != 1 ] || mkdir -p "lower/d$((i / 50))"
  echo "$i some text" > "lower/d$(((i - 1) / 50))/f$i"
done
tar -cf "$W/tree.tar" lower
cat > "$W/measure" <<'M'
# The steps; each line is a time in milliseconds.
ms() { local a=$EPOCHREALTIME; "$@" >/dev/null; local b=$EPOCHREALTIME; echo $(((${b/./} - ${a/./} + 500) / 1000)); }
ms find . -type f
ms sh -c 'find . -type f -print0 | xargs -0 cat'
ms find . -type f
ms sh -c 'find . -type f -print0 | xargs -0 cat'
ms sh -c 'find . -type f | head -n 550 | xargs -n 100 touch'
mkdir untar; ms tar --no-same-owner -xf ../tree.tar -C untar
ms rm -rf untar
M
median() { sort -n | sed -n "$(((ROUNDS + 1) / 2))p"; }
run() { # run HOW: seven lines
  rm -rf w; cp -a lower w; cp "$W/tree.tar" tree.tar
  case $1 in
    host) (cd w && bash "$W/measure") ;;
    kernel) unshare -Urm bash -c 'mkdir -p ../u ../k; mount -t tmpfs u ../u; mkdir ../u/u ../u/w
      mount -t overlay o -o lowerdir=w,upperdir=../u/u,workdir=../u/w,userxattr,xino=on,volatile w; cd w; bash '"$W/measure" ;;
    view) unshare -cm --keep-caps bash -c 'mkdir w/mounted; mount -t tmpfs none w/mounted
      exec setpriv --ambient-caps=-all --inh-caps=-all -- "$@"' bash env HOME="$W/home" \
      "$SBX" -q --ro "$W" --overlay "$W/work/w" --cwd "$W/work/w" -- bash "$W/measure" ;;
    fo) unshare -Urm bash -c 'mkdir -p ../u ../k; mount -t tmpfs u ../u; mkdir ../u/u ../u/w
      fuse-overlayfs -o lowerdir=w,upperdir=../u/u,workdir=../u/w ../k; cd ../k; cp ../work/tree.tar ../tree.tar; bash '"$W/measure" ;;
    union) HOME=$W/home "$SBX" -q --set 'filesystem.mechanism="fuse"' --ro "$W" --overlay "$W/work/w" --cwd "$W/work/w" -- bash "$W/measure" ;;
    sbx) HOME=$W/home "$SBX" -q --ro "$W" --overlay "$W/work/w" --cwd "$W/work/w" -- bash "$W/measure" ;;
  esac
}
HOWS="host kernel sbx view union"; ! command -v fuse-overlayfs > /dev/null || HOWS="$HOWS fo"
for round in $(seq "$ROUNDS"); do for how in $HOWS; do run "$how" > "$W/$how.$round"; done; done
printf '%-8s %8s %8s %8s %8s %8s %8s %8s\n' "ms" find read find2 read2 touch untar rm
for how in $HOWS; do
  printf '%-8s' "$how"
  for line in 1 2 3 4 5 6 7; do printf ' %8s' "$(for round in $(seq "$ROUNDS"); do sed -n "${line}p" "$W/$how.$round"; done | median)"; done
  echo
done
start() { local a=$EPOCHREALTIME i; for i in $(seq 50); do HOME=$W/home "$SBX" -q "$@" -- true; done; local b=$EPOCHREALTIME; echo $(((${b/./} - ${a/./}) / 50)); }
for round in $(seq "$ROUNDS"); do
  start --ro . > "$W/plain.$round"; start --overlay . > "$W/overlay.$round"; start --overlay / > "$W/root.$round"
done
for how in plain overlay root; do printf 'start, %-8s %6s us\n' "$how" "$(cat "$W/$how".* | median)"; done
