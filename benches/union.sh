#!/bin/bash
# benches/union.sh: what overlays cost. In one run, alternating, on a tmpfs: the host's directory itself, the kernel's overlay mounted by
# hand in a user namespace, `sbx --overlay`, the same over the view server's filesystem (since something is mounted below the directory), the FUSE union,
# and fuse-overlayfs, as it is installed and as FUSE_OVERLAYFS names more of them, with 5,000 small files; `git status` of 50,000 files; `cargo build`
# of a crate of 50 modules, or of that in CRATE, which needs no others, once the files are known to the kernel; what a server takes of memory
# once 100,000 files were touched. And what an overlay adds to a start. Run it as an ordinary user.
#
# SBX names the program (default: the newest release build), TOOLCHAIN the directory of a Rust toolchain that the user may read (default:
# rustc's); without one, nothing is built. ROWS (default: files git cargo memory start) names the parts. Milliseconds, the median of ROUNDS (default 5);
# the best of them behind a slash, which a busy machine changes less.
set -euo pipefail
cd "$(dirname "$0")/.."
SBX=${SBX:-$(ls -td "${CARGO_TARGET_DIR:-target}/$(uname -m)-unknown-linux-"*/release/sbx | head -n 1)}
ROUNDS=${ROUNDS:-5} ROWS=" ${ROWS:-files git cargo memory start} " TOOLCHAIN=${TOOLCHAIN-$(rustc --print sysroot 2>/dev/null || true)}
wanted() { [[ $ROWS == *" $1 "* ]]; }
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
inside() { # inside HOW SCRIPT: runs a script in `w`, as HOW shows it
  local by=${1/fo[0-9]/fo}
  case $by in
    host) (cd w && bash "$2") ;;
    kernel) unshare -Urm bash -c 'mkdir -p ../u ../k; mount -t tmpfs u ../u; mkdir ../u/u ../u/w
      mount -t overlay o -o lowerdir=w,upperdir=../u/u,workdir=../u/w,userxattr,xino=on,volatile w; cd w; bash "$0"' "$2" ;;
    view) unshare -cm --keep-caps bash -c 'mkdir -p w/mounted; mount -t tmpfs none w/mounted
      exec setpriv --ambient-caps=-all --inh-caps=-all -- "$@"' bash env HOME="$W/home" \
      "$SBX" -q --ro "$W" --overlay "$W/work/w" --cwd "$W/work/w" "${MORE[@]}" -- bash "$2" ;;
    fo) unshare -Urm bash -c 'mkdir -p ../u ../k; mount -t tmpfs u ../u; mkdir ../u/u ../u/w
      "$1" -o lowerdir=w,upperdir=../u/u,workdir=../u/w ../k; cd ../k; [ ! -e ../work/tree.tar ] || cp ../work/tree.tar ../tree.tar; bash "$0"' "$2" "${FO[${1#fo}]}" 2>/dev/null ;;
    union) HOME=$W/home "$SBX" -q --set 'filesystem.mechanism="fuse"' --ro "$W" --overlay "$W/work/w" --cwd "$W/work/w" "${MORE[@]}" -- bash "$2" ;;
    sbx) HOME=$W/home "$SBX" -q --ro "$W" --overlay "$W/work/w" --cwd "$W/work/w" "${MORE[@]}" -- bash "$2" ;;
  esac
}
run() { rm -rf w; cp -a lower w; cp "$W/tree.tar" tree.tar; inside "$1" "$W/measure"; }
read -r -a FO <<< "$(command -v fuse-overlayfs || true) ${FUSE_OVERLAYFS-}"
MORE=() HOWS="host kernel sbx view union"; for i in "${!FO[@]}"; do HOWS="$HOWS fo$i"; done
row() { # row FILES...: the median and the best of what these files have in their first line
  local all; all=$(head -q -n 1 "$@"); printf ' %10s' "$(sort -n <<< "$all" | sed -n "$(((ROUNDS + 1) / 2))p")/$(sort -n <<< "$all" | head -n 1)"
}
for i in "${!FO[@]}"; do echo "fo$i: $("${FO[$i]}" --version 2>&1 | sed -n 's/.*fuse-overlayfs[^0-9]*\([0-9]\)/fuse-overlayfs \1/p' | head -n 1)"; done
if wanted files; then
  for round in $(seq "$ROUNDS"); do for how in $HOWS; do run "$how" > "$W/$how.$round"; done; done
  printf '%-8s %10s %10s %10s %10s %10s %10s %10s\n' "ms" find read find2 read2 touch untar rm
  for how in $HOWS; do
    printf '%-8s' "$how"
    for line in 1 2 3 4 5 6 7; do
      for round in $(seq "$ROUNDS"); do sed -n "${line}p" "$W/$how.$round" > "$W/line.$round"; done; row "$W"/line.*
    done
    echo
  done
fi
if wanted git && command -v git > /dev/null; then
  mkdir "$W/git"; cd "$W/git"; mkdir -p work/w; cd work/w; git init -q
  for i in $(seq 500); do mkdir "d$i"; for j in $(seq 100); do : > "d$i/f$j"; done; done
  git add .; git -c user.name=n -c user.email=e commit -qm all; cd ..
  # The index of a copy has the times of the copy's files once it was looked at.
  echo 'ms() { local a=$EPOCHREALTIME; "$@" > /dev/null; local b=$EPOCHREALTIME; echo $(((${b/./} - ${a/./} + 500) / 1000)); }
    export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0="*"; git status > /dev/null; git status > /dev/null; ms git status' > "$W/measure-git"
  W0=$W W=$W/git; cp "$W0/measure-git" "$W"; mkdir -p "$W/home"
  for round in $(seq "$ROUNDS"); do for how in $HOWS; do inside "$how" "$W/measure-git" > "$W0/git-$how.$round"; done; done
  W=$W0; cd "$W/work"; printf '%-24s' "git status, 50,000 files"; for how in $HOWS; do printf ' %s' "$how"; row "$W/git-$how".*; done; echo; rm -rf "$W/git"
fi
if wanted cargo && [ -x "$TOOLCHAIN/bin/cargo" ]; then
  if [ -z "${CRATE-}" ]; then
    CRATE=$W/crate; mkdir -p "$CRATE/src"; printf '[package]\nname = "fifty"\nversion = "0.1.0"\nedition = "2021"\n' > "$CRATE/Cargo.toml"
    for i in $(seq 50); do
      echo "pub mod m$i;" >> "$CRATE/src/lib.rs"
      cat > "$CRATE/src/m$i.rs" <<M
use std::collections::BTreeMap;
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Table { pub rows: BTreeMap<String, Vec<u64>>, pub title: String }
pub fn parse(text: &str) -> Result<Table, Box<dyn std::error::Error>> {
    let mut table = Table { title: format!("table {}", $i), ..Table::default() };
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let (name, rest) = line.split_once(':').ok_or("no colon")?;
        let row = rest.split_whitespace().map(str::parse).collect::<Result<Vec<u64>, _>>()?;
        table.rows.entry(name.trim().to_owned()).or_default().extend(row);
    }
    Ok(table)
}
impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.rows.iter().try_for_each(|(name, row)| writeln!(f, "{name}: {:?} {}", row, row.iter().sum::<u64>()))
    }
}
M
    done
  fi
  rm -rf w; cp -r "$CRATE" w; rm -f w/Cargo.lock tree.tar; printf '[workspace]\n' >> w/Cargo.toml
  echo 'ms() { local a=$EPOCHREALTIME; "$@"; local b=$EPOCHREALTIME; echo $(((${b/./} - ${a/./} + 500) / 1000)); }
    export PATH='"$TOOLCHAIN"'/bin:$PATH CARGO_HOME=/tmp/cargo CARGO_NET_OFFLINE=true; cat $(find . -type f) > /dev/null; cargo build -q 2>/dev/null; rm -rf target; ms cargo build -q 2>/dev/null' > "$W/measure-cargo"
  MORE=(--ro "$TOOLCHAIN")
  for round in $(seq "$ROUNDS"); do for how in $HOWS; do rm -rf w/target; inside "$how" "$W/measure-cargo" > "$W/cargo-$how.$round"; done; done
  MORE=(); printf '%-24s' "cargo build, 50 modules"; for how in $HOWS; do printf ' %s' "$how"; row "$W/cargo-$how".*; done; echo
fi
server() { # server PID: the server among the processes that this one has started
  local child; for child in $(pgrep -P "$1"); do
    if grep -qaE '^sbx-(union|view)-server' "/proc/$child/cmdline"; then echo "$child"; else server "$child"; fi
  done
}
# Pss, where the kernel lets this user see it; else what is resident and no file's.
memory() { awk '/^Pss:/ {print $2; found = 1} END {exit !found}' "/proc/$1/smaps_rollup" 2>/dev/null || awk '/^RssAnon:/ {print $2}' "/proc/$1/status"; }
if wanted memory; then
  rm -rf w; mkdir w; for i in $(seq 100); do mkdir "w/d$i"; (cd "w/d$i"; for j in $(seq 1000); do : > "$j"; done); done
  echo 'echo started; read -r line; find . -type f -print0 | xargs -0 touch; echo touched; read -r line' > "$W/touch"
  for how in view union; do
    coproc SANDBOX { inside $how "$W/touch" 2>/dev/null; }
    read -r line <&"${SANDBOX[0]}"; pid=$(server "$SANDBOX_PID"); before=$(memory "$pid"); echo >&"${SANDBOX[1]}"
    read -r line <&"${SANDBOX[0]}"
    printf 'memory of the server, 100,000 files touched, %-6s %6s kB, before %6s kB\n' "$how" "$(memory "$pid")" "$before"
    echo >&"${SANDBOX[1]}"; wait "$SANDBOX_PID" || :
  done
fi
wanted start || exit 0
rm -rf w; mkdir w
start() { local a=$EPOCHREALTIME i; for i in $(seq 50); do HOME=$W/home "$SBX" -q "$@" -- true; done; local b=$EPOCHREALTIME; echo $(((${b/./} - ${a/./}) / 50)); }
for round in $(seq "$ROUNDS"); do
  start --ro . > "$W/plain.$round"; start --overlay . > "$W/overlay.$round"; start --overlay / > "$W/root.$round"
done
for how in plain overlay root; do printf 'start, %-8s %6s us\n' "$how" "$(cat "$W/$how".* | median)"; done
