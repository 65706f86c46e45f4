#!/bin/bash
# benches/start.sh [--rounds N] [--runs N] [--rows a,b,...] [--busy]: what a start of `true` costs under sbx and sbx-bwrap, beside bubblewrap
# and beside a C program that makes the same system calls, with the targets that hold for it. Medians of rounds that alternate, each with
# fresh copies of all programs; a ratio is the median of the rounds' ratios, since one round meets the same noise.
#
#   a  the same sandbox                      f  2,000 binds, beside the C program's
#   b  the same view, sbx's own defaults     g  2,000 threads and 200 accounts on the host (as root)
#   c  --profile default, --profile ci       h  memory of the launcher and PID 1 (as root)
#   d  sbx-bwrap, beside two bubblewraps     i  many binds, and a host with 4,000 mounts, beside bubblewrap
#   e  the C program (floor.c)
#
# Needs gcc, bubblewrap and a release build; musl-gcc for a line of e. SBX, SBX_BWRAP and BWRAP name other programs, BWRAP_NEW a newer
# bubblewrap, which is otherwise fetched from Debian sid (package and libraries, into BENCH_CACHE). As root it measures as the account
# ACCOUNT (default: sbx-test). The figures that count come from a quiet machine. With --busy (as root) the starts run before everything
# else (SCHED_RR), which makes the ratios useful where other programs compute meanwhile.
set -euo pipefail
cd "$(dirname "$0")/.."
ROUNDS=15 RUNS=20 ROWS=a,b,c,d,e,f,g,h,i BUSY=
while [ $# -gt 0 ]; do
  case $1 in
    --rounds) ROUNDS=$2; shift 2 ;;
    --runs) RUNS=$2; shift 2 ;;
    --rows) ROWS=$2; shift 2 ;;
    --busy) BUSY=1; shift ;;
    *) sed -n '2,/^set/{/^#/s/^# \?//p}' "$0"; exit 2 ;;
  esac
done
SBX=${SBX:-$(ls -td "${CARGO_TARGET_DIR:-$PWD/target}/$(uname -m)-unknown-linux-"*/release/sbx 2>/dev/null | head -n 1)}
SBX_BWRAP=${SBX_BWRAP:-${SBX%/*}/sbx-bwrap} BWRAP=${BWRAP:-$(command -v bwrap || echo none)}
CACHE=${BENCH_CACHE:-/var/tmp/sbx-bench-$(id -u)}
for program in "$SBX" "$SBX_BWRAP" "$BWRAP"; do
  [ -x "$program" ] || { echo "start.sh: ${program:-sbx}: not there; cargo build --release, or set SBX, SBX_BWRAP and BWRAP" >&2; exit 1; }
done
has() { [[ ,$ROWS, == *,$1,* ]]; }

# Debian sid's bubblewrap, with its own libraries: the machine's may be too old for it. Nothing of the machine's apt is changed.
fetch_sid() {
  local sid=$CACHE/sid options=() option
  mkdir -p "$CACHE" && [ -O "$CACHE" ] || return 1
  mkdir -p "$sid"/{lists/partial,archives/partial,root}
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian sid main" > "$sid/sources.list"
  for option in Dir::Etc::SourceList="$sid/sources.list" Dir::Etc::SourceParts=/dev/null Dir::Etc::Preferences=/dev/null \
    Dir::Etc::PreferencesParts=/dev/null Dir::State::Lists="$sid/lists" Dir::Cache="$sid" Acquire::Languages=none; do options+=(-o "$option"); done
  (cd "$sid" && apt-get "${options[@]}" -qq update && apt-get "${options[@]}" -qq download {bubblewrap,libc6,libcap2,libselinux1,libpcre2-8-0}/sid &&
    for package in *.deb; do dpkg-deb -x "$package" root; done) >"$sid/log" 2>&1
}
NEW=()
if [ -n "${BWRAP_NEW-}" ]; then
  NEW=("copy:$BWRAP_NEW")
elif has a || has d || has i; then
  # Others can write to /var/tmp.
  { [ -O "$CACHE" ] && [ -x "$CACHE/sid/root/usr/bin/bwrap" ]; } || fetch_sid || echo "start.sh: no bubblewrap of Debian sid ($CACHE/sid/log)" >&2
  libraries=$(echo "$CACHE"/sid/root/usr/lib/*-linux-gnu*)
  loader=$(echo "$libraries"/ld-linux-*)
  # As the kernel starts it: by its loader, but with the libraries that it was built for.
  if [ -O "$CACHE" ] && [ -x "$loader" ]; then NEW=("$loader" --library-path "$libraries" "copy:$CACHE/sid/root/usr/bin/bwrap"); fi
fi
version() { "${@#copy:}" --version | grep -o '[0-9.]*$'; }
OLD_NAME="bwrap $(version "$BWRAP")"; [ ${#NEW[@]} = 0 ] || NEW_NAME="bwrap $(version "${NEW[@]}")"

W=$(mktemp -d /var/tmp/sbx-start.XXXXXX); trap 'rm -rf "$W"' EXIT
mkdir "$W/copies" "$W/project"; echo x > "$W/file"
gcc -O2 -o "$W/timing" benches/timing.c; gcc -O2 -pthread -o "$W/crowd" benches/crowd.c
gcc -O2 -static -o "$W/floor" benches/floor.c
MUSL=
if command -v musl-gcc >/dev/null; then
  MUSL=1
  musl-gcc -O2 -static -idirafter /usr/include -idirafter "/usr/include/$(gcc -print-multiarch)" -o "$W/floor-musl" benches/floor.c
fi
AS=() BEFORE=() INSIDE=()
if [ "$(id -u)" = 0 ]; then
  # The programs are root's, as installed ones are.
  ACCOUNT=${ACCOUNT:-sbx-test}
  chmod 755 "$W"; chown "$ACCOUNT": "$W/project"
  AS=(env -i PATH=/usr/bin:/bin LANG=C.UTF-8 USER="$ACCOUNT" HOME="$(getent passwd "$ACCOUNT" | cut -d: -f6)")
  [ -z "$BUSY" ] || BEFORE=(chrt -r 10)
else
  ACCOUNT=-
fi
COMMIT=$(git -c safe.directory='*' describe --always --dirty --exclude '*' 2>/dev/null || echo unknown)
cd /
echo "$(date -u +%Y-%m-%dT%H:%MZ), commit $COMMIT, $("$SBX" --version), Linux $(uname -r), $(nproc) processors, $ROUNDS rounds of $RUNS starts, load $(cut -d' ' -f1 /proc/loadavg)${BUSY:+, before all others}"
printf '%-3s %-40s %9s  %-22s %9s %7s %7s\n' "" "median, ms" "" "beside" "" ratio target

# measure: the commands are in the array COMMANDS, separated by ";"; a line of medians a round goes to $W/rounds.
measure() { "${BEFORE[@]}" "${AS[@]}" "${INSIDE[@]}" "$W/timing" "${N:-$ROUNDS}" "${M:-$RUNS}" "$W/copies" "$ACCOUNT" "${COMMANDS[@]}" > "$W/rounds"; }
# line ROW TITLE COLUMN PEER COLUMN [TARGET]: one line of the table, of those rounds. The target is reached with two digits.
line() {
  awk -F'\t' -v row="$1" -v title="$2" -v a="$3" -v peer="$4" -v b="$5" -v target="${6-}" '
    function median(list, count,   i, j, x) {
      for (i = 2; i <= count; i++) { x = list[i]; for (j = i - 1; j > 0 && list[j] > x; j--) list[j + 1] = list[j]; list[j + 1] = x }
      return count % 2 ? list[(count + 1) / 2] : (list[count / 2] + list[count / 2 + 1]) / 2
    }
    function round2(x) { return sprintf("%.2f", x) + 0 }
    { x[NR] = $a; y[NR] = $b; ratio[NR] = $a / $b }
    END {
      r = median(ratio, NR)
      verdict = target == "" ? "" : sprintf("%7.2f %s", target, round2(r) <= target + 0 ? "reached" : "NOT reached")
      printf "%-3s %-40s %9.2f  %-22s %9.2f %7.3f %s\n", row, title, median(x, NR) / 1000, peer, median(y, NR) / 1000, r, verdict
    }' "$W/rounds"
}

# The sandbox of bubblewrap's options below as a profile: profile NAME BINDS [LINES].
profile() {
  { printf 'schema = 1\n%s\n[filesystem]\nroot = "empty"\n[filesystem.paths]\n"/usr" = "ro"\n' "${3-}"
    for l in bin sbin lib lib64; do [ ! -L /$l ] || printf '"/%s" = "ro"\n' $l; done
    for ((i = 0; i < $2; i++)); do printf '"/b/%d" = "ro,from=%s"\n' $i "$W/file"; done; } > "$W/$1.toml"
}
# bubblewrap leaves user namespaces inside and the boot-time clock alone; sbx's defaults do not.
profile same 0 $'[namespaces]\nshare = ["time"]\nnested = "allow"'
profile usual 0
SAME=(--unshare-all --ro-bind /usr /usr)
USUAL=(--ro-bind /usr /usr --ro-bind /etc /etc)
for l in bin sbin lib lib64; do [ ! -L /$l ] || { SAME+=(--symlink "usr/$l" "/$l"); USUAL+=(--symlink "usr/$l" "/$l"); }; done
SAME+=(--proc /proc --dev /dev --tmpfs /tmp)
USUAL+=(--proc /proc --dev /dev --tmpfs /tmp --unshare-all --die-with-parent)

if has a; then
  COMMANDS=("copy:$SBX" run --profile "$W/same.toml" -- /usr/bin/true \; "copy:$BWRAP" "${SAME[@]}" /usr/bin/true)
  [ ${#NEW[@]} = 0 ] || COMMANDS+=(\; "${NEW[@]}" "${SAME[@]}" /usr/bin/true)
  # Where the file is the caller's own, the program is started by a second, read-only look at it.
  COMMANDS+=(\; "own:$SBX" run --profile "$W/same.toml" -- /usr/bin/true)
  measure
  line a "sbx, the same sandbox" 1 "$OLD_NAME" 2 0.68
  [ ${#NEW[@]} = 0 ] || line a "" 1 "$NEW_NAME" 3
  line a "the same, sbx's file is the caller's" $((${#NEW[@]} ? 4 : 3)) "$OLD_NAME" 2
fi
if has b; then
  COMMANDS=("copy:$SBX" run --profile "$W/usual.toml" -- /usr/bin/true \; "copy:$BWRAP" "${SAME[@]}" /usr/bin/true)
  measure
  line b "sbx, the same view, its own defaults" 1 "$OLD_NAME" 2
fi
if has c; then
  COMMANDS=("copy:$SBX" --profile default -- /usr/bin/true \; "copy:$SBX" --profile ci -- /usr/bin/true \; "copy:$BWRAP" "${SAME[@]}" /usr/bin/true)
  cd "$W/project"; measure; cd /
  line c "sbx --profile default" 1 "$OLD_NAME" 3 0.95
  line c "sbx --profile ci" 2 "$OLD_NAME" 3
  line c "sbx --profile ci" 2 "sbx --profile default" 1 1.00
fi
peers() { # peers TITLE OPTIONS...: sbx-bwrap and the bubblewraps with these options
  local title=$1; shift
  COMMANDS=("copy:$SBX_BWRAP" "$@" /usr/bin/true \; "copy:$BWRAP" "$@" /usr/bin/true)
  [ ${#NEW[@]} = 0 ] || COMMANDS+=(\; "${NEW[@]}" "$@" /usr/bin/true)
  measure
  line d "sbx-bwrap, $title" 1 "$OLD_NAME" 2 0.60
  [ ${#NEW[@]} = 0 ] || line d "" 1 "$NEW_NAME" 3 0.75
}
if has d; then
  peers "usual options, all unshared" "${USUAL[@]}"
  peers "the same, network shared" "${USUAL[@]}" --share-net
  peers "--ro-bind / /" --ro-bind / /
fi

if has e; then
  COMMANDS=("copy:$SBX" run --profile "$W/same.toml" -- /usr/bin/true \; "copy:$W/floor" /usr/bin/true \; "copy:$BWRAP" "${SAME[@]}" /usr/bin/true)
  [ -z "$MUSL" ] || COMMANDS+=(\; "copy:$W/floor-musl" /usr/bin/true)
  measure
  line e "C floor, the same sandbox" 2 "$OLD_NAME" 3
  line e "sbx, the same sandbox" 1 "C floor, glibc" 2
  [ -z "$MUSL" ] || line e "" 1 "C floor, musl" 4
  COMMANDS=("copy:$SBX" run --profile "$W/usual.toml" -- /usr/bin/true \; "copy:$W/floor" --defaults /usr/bin/true)
  [ -z "$MUSL" ] || COMMANDS+=(\; "copy:$W/floor-musl" --defaults /usr/bin/true)
  measure
  line e "sbx, the same view, its own defaults" 1 "C floor, glibc" 2
  [ -z "$MUSL" ] || line e "" 1 "C floor, musl" 3
fi
if has e; then
  for libc in gcc ${MUSL:+musl-gcc}; do echo 'int main(void) { return 0; }' | "$libc" -O2 -static -o "$W/empty-$libc" -xc -; done
  COMMANDS=("copy:$W/empty-gcc" \; "copy:/usr/bin/true"); [ -z "$MUSL" ] || COMMANDS+=(\; "copy:$W/empty-musl-gcc")
  measure
  line e "an empty C program, static, glibc" 1 "true, dynamic" 2
  [ -z "$MUSL" ] || line e "an empty C program, static, musl" 3 "the same, glibc" 1
fi
if has f; then
  profile many 2000 $'[namespaces]\nshare = ["time"]\nnested = "allow"'; profile many-usual 2000
  COMMANDS=("copy:$SBX" run --profile "$W/many.toml" -- /usr/bin/true \; "copy:$W/floor" --binds 2000 "$W/file" /usr/bin/true)
  M=$((RUNS / 4 + 1)) measure
  line f "sbx, 2,000 binds" 1 "C floor, glibc" 2 1.15
  COMMANDS=("copy:$SBX" run --profile "$W/many-usual.toml" -- /usr/bin/true \; "copy:$W/floor" --defaults --binds 2000 "$W/file" /usr/bin/true)
  M=$((RUNS / 4 + 1)) measure
  line f "sbx, 2,000 binds, its own defaults" 1 "C floor, glibc" 2
fi
if has g && [ "$ACCOUNT" = - ]; then
  echo "g   run as root: the accounts are made in a mount namespace"
elif has g; then
  # A start on a host with threads and accounts, and without; what the kernel's part of it takes more is what the C program's takes more.
  cp /etc/passwd "$W/passwd-quiet"
  { for ((i = 0; i < 200; i++)); do echo "person$i:x:$((20000 + i)):$((20000 + i))::/home/person$i:/bin/bash"; done; cat "$W/passwd-quiet"; } > "$W/passwd-crowded"
  cat > "$W/host" <<'H'
#!/bin/bash
# host NAME ACCOUNT COMMAND...: the command in a mount namespace with these accounts and their homes
mount --bind "${0%/*}/passwd-$1" /etc/passwd
mount -t tmpfs -o mode=755 homes /home
while IFS=: read -r name _ uid gid _ home _; do
  if [[ $home == /home/* ]]; then mkdir -p -m 755 "$home"; chown "$uid:$gid" "$home"; chmod 700 "$home"; fi
done < /etc/passwd
shift; exec "$@"
H
  chmod +x "$W/host"; cd "$W/project"; : > "$W/crowded"; : > "$W/quiet"
  COMMANDS=("copy:$SBX" -- /usr/bin/true \; "copy:$W/floor" --defaults /usr/bin/true)
  for ((r = 0; r < ROUNDS; r++)); do
    exec 8< <(exec "$W/crowd" 2000); crowd=$!; read -r _ <&8
    INSIDE=(unshare -m --propagation private "$W/host" crowded); N=1 measure; cat "$W/rounds" >> "$W/crowded"
    kill "$crowd"; wait "$crowd" 2>/dev/null || true; exec 8<&-
    INSIDE=(unshare -m --propagation private "$W/host" quiet); N=1 measure; cat "$W/rounds" >> "$W/quiet"
  done
  INSIDE=(); cd /
  paste "$W/crowded" "$W/quiet" | awk -F'\t' -v OFS='\t' '{print $1, $2, $3, $4, $1 - ($2 - $4)}' > "$W/rounds"
  line g "C floor, 2,000 threads, 200 accounts" 2 "C floor, without them" 4
  line g "sbx -- true, 2,000 threads, 200 accounts" 1 "sbx, without them" 3
  line g "the same, less what the floor takes more" 5 "sbx, without them" 3 1.05
fi
# pss COMMAND...: KiB of Pss of the command's process and of its first child, while the program sleeps
pss() {
  local pid child sum=0 process
  mkdir -p "$W/memory"; cp "$1" "$W/memory/"; local program=$W/memory/${1##*/}; shift
  setpriv --reuid "$ACCOUNT" --regid "$ACCOUNT" --init-groups "${AS[@]}" "$program" "$@" /usr/bin/sleep 5 </dev/null >/dev/null & pid=$!
  sleep 0.6
  child=$(cut -d' ' -f1 "/proc/$pid/task/$pid/children")
  for process in $pid $child; do sum=$((sum + $(awk '/^Pss:/ {print $2}' "/proc/$process/smaps_rollup"))); done
  kill "$pid"; wait "$pid" 2>/dev/null || true
  rm "$program"
  echo "$sum"
}
if has h && [ "$ACCOUNT" = - ]; then
  echo "h   run as root: PID 1 of sbx cannot be inspected by its own user"
elif has h; then
  for ((r = 0; r < 5; r++)); do
    a=$(pss "$SBX" run --profile "$W/usual.toml" --) b=$(pss "$SBX_BWRAP" "${SAME[@]}") c=$(pss "$BWRAP" "${SAME[@]}")
    printf '%s\t%s\t%s\n' "${a}000" "${b}000" "${c}000"
  done > "$W/rounds"
  line h "sbx, Pss of its two processes (KiB)" 1 "$OLD_NAME" 3 0.75
  line h "sbx-bwrap, Pss of its two (KiB)" 2 "$OLD_NAME" 3
fi
many() { # many TITLE OPTIONS...: what takes long, with fewer rounds and runs
  N=$((ROUNDS / 3 + 1)) M=2 measure
  line i "$1" 1 "$OLD_NAME" 2
  [ ${#NEW[@]} = 0 ] || line i "" 1 "$NEW_NAME" 3
}
if has i; then
  for n in 1000 2000; do
    profile many-usual $n
    { printf '%s\0' "${SAME[@]}"; for ((i = 0; i < n; i++)); do printf -- '--ro-bind\0%s\0/b/%d\0' "$W/file" $i; done; } > "$W/args-$n"
    for ours in sbx sbx-bwrap; do
      if [ $ours = sbx ]; then COMMANDS=("copy:$SBX" run --profile "$W/many-usual.toml" --)
      else COMMANDS=("in:9:$W/args-$n" "copy:$SBX_BWRAP" --args 9); fi
      COMMANDS+=(/usr/bin/true \; "in:9:$W/args-$n" "copy:$BWRAP" --args 9 /usr/bin/true)
      [ ${#NEW[@]} = 0 ] || COMMANDS+=(\; "in:9:$W/args-$n" "${NEW[@]}" --args 9 /usr/bin/true)
      many "$ours, $n binds"
    done
  done
fi
if has i && [ "$ACCOUNT" != - ]; then
  cat > "$W/mounts" <<'H'
#!/bin/bash
# mounts COMMAND...: the command in a mount namespace with 4,000 mounts more
dir=${0%/*}/many; mkdir -p "$dir"; mount -t tmpfs many "$dir"; mkdir "$dir"/{1..4000}
for i in {1..4000}; do echo "$dir/$i $dir/$i none bind 0 0"; done > "$dir/fstab"
mount -a -T "$dir/fstab"
exec "$@"
H
  chmod +x "$W/mounts"; INSIDE=(unshare -m --propagation private "$W/mounts")
  for options in "--ro-bind / /" "${USUAL[*]}"; do
    COMMANDS=("copy:$SBX_BWRAP" $options /usr/bin/true \; "copy:$BWRAP" $options /usr/bin/true)
    [ ${#NEW[@]} = 0 ] || COMMANDS+=(\; "${NEW[@]}" $options /usr/bin/true)
    if [ "$options" = "--ro-bind / /" ]; then many "sbx-bwrap --ro-bind / /, 4,000 mounts"; else many "sbx-bwrap, usual options, 4,000 mounts"; fi
  done
  INSIDE=()
elif has i; then
  echo "i   4,000 mounts: run as root"
fi
