#!/bin/bash
# benches/lockdown.sh [ROUNDS]: what the lock-down costs, in one run, as medians of rounds that alternate: the start with and without
# the filter and Landlock, a loop of getppid with and without the filter, and runs that open many files with and without Landlock.
# Needs hyperfine, jq, gcc, git and a release build; run it as an ordinary user. SBX names another binary.
set -euo pipefail
cd "$(dirname "$0")/.."
SBX=${SBX:-$PWD/target/$(uname -m)-unknown-linux-gnu/release/sbx}
ROUNDS=${1:-10}
W=$(mktemp -d); trap 'rm -rf "$W"' EXIT
echo "kernel $(uname -r), $("$SBX" --version), $ROUNDS rounds; medians in ms"
printf '%-46s %10s %10s %8s\n' "" with without ratio
compare() { # compare TITLE RUNS WITH WITHOUT
  rm -f "$W"/round.*
  for ((r = 0; r < ROUNDS; r++)); do
    hyperfine -N --warmup 2 --runs "$2" --export-json "$W/round.$r" "$3" "$4" >/dev/null 2>"$W/err" || { cat "$W/err" >&2; exit 1; }
  done
  jq -rs --arg t "$1" 'def median: sort | .[length / 2 | floor]; . as $rounds |
    [(0, 1) as $i | [$rounds[].results[$i].times[]] | median * 1000] as $m | [$t, $m[0], $m[1], $m[0] / $m[1]] | @tsv' "$W"/round.* |
    awk -F'\t' '{printf "%-46s %10.2f %10.2f %8.3f\n", $1, $2, $3, $4}'
}
cat > "$W/getppid.c" <<'C'
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) { for (long i = atol(argv[1]); i > 0; i--) syscall(SYS_getppid); return 0; }
C
gcc -O2 -static -o "$W/getppid" "$W/getppid.c"
mkdir "$W/tree"; cd "$W/tree"; git init -q .
for d in {1..200}; do mkdir "d$d"; for f in {1..50}; do echo "$d $f" > "d$d/f$f"; done; done
git -c user.email=x -c user.name=x add -A; git -c user.email=x -c user.name=x commit -qm x
RUN="$SBX run -q --ro $W"
compare "start: filter" 40 "$RUN --set security.landlock=off -- /usr/bin/true" "$RUN --set security.landlock=off --set security.seccomp=off -- /usr/bin/true"
compare "start: Landlock" 40 "$RUN --set security.landlock=require -- /usr/bin/true" "$RUN --set security.landlock=off -- /usr/bin/true"
compare "5,000,000 getppid: filter" 3 "$RUN --set security.landlock=off -- $W/getppid 5000000" "$W/getppid 5000000"
compare "git status of 10,000 files: Landlock" 10 "$RUN --set security.landlock=require -- git -c safe.directory=* status" "$RUN --set security.landlock=off -- git -c safe.directory=* status"
compare "grep -r of 10,000 files: Landlock" 10 "$RUN --set security.landlock=require -- grep -rc x ." \
  "$RUN --set security.landlock=off -- grep -rc x ."
