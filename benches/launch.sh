#!/bin/bash
# benches/launch.sh [RUNS]: starts of `true` under sbx and under bubblewrap on the same sandbox, in one run, as medians.
# Needs hyperfine, bubblewrap, jq and a release build; run it as an ordinary user. SBX and BWRAP name other binaries.
set -euo pipefail
cd "$(dirname "$0")/.."
SBX=${SBX:-$PWD/target/$(uname -m)-unknown-linux-gnu/release/sbx}
BWRAP=${BWRAP:-bwrap}
RUNS=${1:-400}
W=$(mktemp -d); trap 'rm -rf "$W"' EXIT
echo "kernel $(uname -r), $("$BWRAP" --version), $("$SBX" --version), $RUNS runs"

profile() { # profile NAME BINDS [LINES]: bubblewrap's sandbox below, as a profile
  { printf 'schema = 1\n%s\n[filesystem]\nroot = "empty"\n[filesystem.paths]\n"/usr" = "ro"\n' "${3-}"
    for l in bin sbin lib lib64; do [ -L /$l ] && printf '"/%s" = "ro"\n' $l; done
    for ((i = 0; i < $2; i++)); do printf '"/b/%d" = "ro,from=%s"\n' $i "$W/file"; done; } > "$W/$1.toml"
}
bwrap_args() { # bwrap_args FILE BINDS
  { printf -- '--unshare-all\0--ro-bind\0/usr\0/usr\0'
    for l in bin sbin lib lib64; do [ -L /$l ] && printf -- '--symlink\0usr/%s\0/%s\0' $l $l; done
    printf -- '--proc\0/proc\0--dev\0/dev\0--tmpfs\0/tmp\0'
    for ((i = 0; i < $2; i++)); do printf -- '--ro-bind\0%s\0/b/%d\0' "$W/file" $i; done; } > "$W/$1"
}
echo x > "$W/file"
compare() { # compare TITLE ROUNDS RUNS SBX-COMMAND BWRAP-COMMAND: rounds alternate, so that both meet the same noise
  rm -f "$W"/round.*
  for ((r = 0; r < $2; r++)); do
    hyperfine -N --warmup 3 --runs "$3" --export-json "$W/round.$r" "$4" "$5" >/dev/null 2>"$W/err" || { cat "$W/err" >&2; exit 1; }
  done
  jq -rs --arg t "$1" 'def median: sort | .[length / 2 | floor];
    ([.[].results[0].times[]] | median * 1000) as $a | ([.[].results[1].times[]] | median * 1000) as $b |
    [$t, $a, $b, $a / $b] | @tsv' "$W"/round.* | awk -F'\t' '{printf "%-34s %9.2f %9.2f %8.3f\n", $1, $2, $3, $4}'
}
printf '%-34s %9s %9s %8s\n' "median, ms" sbx bwrap ratio
# bubblewrap leaves user namespaces inside and the boot-time clock alone; sbx's defaults do not.
profile same 0 $'[namespaces]\nshare = ["time"]\nnested = "allow"'
profile usual 0
ARGS=$(bwrap_args a 0; tr '\0' ' ' < "$W/a")
compare "the same sandbox" $((RUNS / 40)) 40 "$SBX run --profile $W/same.toml -- /usr/bin/true" "$BWRAP $ARGS /usr/bin/true"
compare "and sbx's own defaults" $((RUNS / 40)) 40 "$SBX run --profile $W/usual.toml -- /usr/bin/true" "$BWRAP $ARGS /usr/bin/true"
for n in 1000 2000; do
  profile many $n; bwrap_args b $n
  compare "$n binds" 1 $((RUNS / 40 > 3 ? RUNS / 40 : 3)) "$SBX run --profile $W/many.toml -- /usr/bin/true" \
    "bash -c 'exec $BWRAP --args 9 /usr/bin/true 9<$W/b'"
done

# Memory that the launcher and PID 1 hold together (proportional set size), beside bubblewrap's two processes.
pss() { # pss COMMAND...: sums Pss of the command's process and of its first child, while the program sleeps
  "$@" & local p=$! c sum=0 x
  sleep 0.5
  c=$(cat /proc/$p/task/$p/children | cut -d' ' -f1)
  for x in $p $c; do
    [ -r /proc/$x/smaps_rollup ] && sum=$((sum + $(awk '/^Pss:/ {print $2}' /proc/$x/smaps_rollup 2>/dev/null || echo 0)))
  done
  kill $p; wait $p 2>/dev/null || true
  echo $sum
}
if [ "$(id -u)" = 0 ]; then
  a=$(pss "$SBX" run --profile "$W/usual.toml" -- /usr/bin/sleep 5)
  b=$(pss "$BWRAP" $ARGS /usr/bin/sleep 5)
  awk -v a=$a -v b=$b 'BEGIN {printf "%-34s %9d %9d %8.3f\n", "Pss of two processes, KiB", a, b, a / b}'
else
  echo "Pss: run as root (PID 1 of sbx cannot be inspected by its own user)"
fi
