#!/bin/bash
# benches/bwrap.sh [ROUNDS]: starts of `true` under sbx-bwrap and under bubblewraps, the same arguments, in one run, as medians of
# rounds that alternate. PEERS names the others (default: bwrap), BWRAP ours. Needs hyperfine and jq, and a release build; run it as
# an ordinary user. The host with 4,000 mounts is a mount namespace made for it.
set -euo pipefail
cd "$(dirname "$0")/.."
OURS=${BWRAP:-$PWD/target/$(uname -m)-unknown-linux-gnu/release/sbx-bwrap}
read -ra PEERS <<<"${PEERS:-bwrap}"
ROUNDS=${1:-10}
W=$(mktemp -d); trap 'rm -rf "$W"' EXIT
echo x > "$W/file"; cd /
echo "kernel $(uname -r), $ROUNDS rounds; medians in ms"
names=(); for peer in "${PEERS[@]}"; do names+=("$("$peer" --version | cut -d' ' -f2)"); done
printf '%-36s %10s' "" sbx-bwrap; for n in "${names[@]}"; do printf ' %10s %7s' "$n" ratio; done; echo

USUAL=(--ro-bind /usr /usr --ro-bind /etc /etc)
for l in bin sbin lib lib64; do [ -L /$l ] && USUAL+=(--symlink "usr/$l" "/$l"); done
USUAL+=(--proc /proc --dev /dev --tmpfs /tmp --unshare-all --die-with-parent)
compare() { # compare TITLE ROUNDS RUNS ARGS...: a file of arguments is descriptor 9
  local title=$1 rounds=$2 runs=$3 r b; shift 3
  local commands=(); for b in "$OURS" "${PEERS[@]}"; do commands+=("${INTO-}$b $*${OUT-}"); done
  rm -f "$W"/round.*
  for ((r = 0; r < rounds; r++)); do
    hyperfine -N --warmup 2 --runs "$runs" --export-json "$W/round.$r" "${commands[@]}" >/dev/null 2>"$W/err" || { cat "$W/err" >&2; exit 1; }
  done
  jq -rs --arg t "$title" 'def median: sort | .[length / 2 | floor];
    [range(.[0].results | length) as $i | [.[].results[$i].times[]] | median * 1000] as $m |
    [$t, $m[0]] + [$m[1:][] | (., $m[0] / .)] | @tsv' "$W"/round.* |
    awk -F'\t' '{printf "%-36s %10.2f", $1, $2; for (i = 3; i < NF; i += 2) printf " %10.2f %7.3f", $i, $(i + 1); print ""}'
}
compare "--ro-bind / /" "$ROUNDS" 40 --ro-bind / / /usr/bin/true
compare "usual sandbox, all unshared" "$ROUNDS" 40 "${USUAL[@]}" /usr/bin/true
compare "the same, network shared" "$ROUNDS" 40 "${USUAL[@]}" --share-net /usr/bin/true
for n in 1000 2000; do
  printf '%s\0' "${USUAL[@]}" > "$W/args"
  for ((i = 0; i < n; i++)); do printf -- '--ro-bind\0%s\0/b/%d\0' "$W/file" $i; done >> "$W/args"
  INTO="bash -c 'exec " OUT=" 9<$W/args'" compare "$n binds" $((ROUNDS / 3 + 1)) 2 --args 9 /usr/bin/true
done
# Everything below runs in a namespace with many mounts; the shell that makes them stays outside of the measurement.
export -f compare; export OURS W ROUNDS; PEERS_TEXT="${PEERS[*]}" USUAL_TEXT="${USUAL[*]}" \
  unshare -rm bash -euc '
  read -ra PEERS <<<"$PEERS_TEXT"; read -ra USUAL <<<"$USUAL_TEXT"
  mkdir "$W/many"; mount -t tmpfs tmpfs "$W/many"; mkdir "$W"/many/{1..4000}
  for i in {1..4000}; do echo "$W/many/$i"; done | while read -r d; do mount --bind "$d" "$d"; done
  # As an ordinary user again, who has to make a user namespace of its own: root of this one is not root.
  compare "4,000 mounts: --ro-bind / /" $((ROUNDS / 3 + 1)) 2 --unshare-user --ro-bind / / /usr/bin/true
  compare "4,000 mounts: usual sandbox" $((ROUNDS / 3 + 1)) 4 --unshare-user "${USUAL[@]}" /usr/bin/true'
