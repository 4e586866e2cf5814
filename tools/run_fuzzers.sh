#!/usr/bin/env bash
# run_fuzzers.sh SECONDS [FUZZER...]
#   Builds the fuzz preset and runs each fuzzer (or those named) for SECONDS, as many at once as there are
#   cores, on a copy of its seeds in test/corpus/NAME. An input that crashes one is kept there as crash-...,
#   timeout-... or oom-..., so that it is a seed from then on. Prints a table; exits 1 on any crash.
#   FUZZ_SEED=N makes runs alike (a landing must not hang on luck); without it each run looks elsewhere.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:?usage: tools/run_fuzzers.sh SECONDS [FUZZER...]}
shift

[ build/fuzz/build.ninja -nt CMakePresets.json ] || cmake --preset fuzz --log-level=NOTICE
ninja -C build/fuzz "${@:-fuzzers}"

mapfile -t fuzzers < <(find build/fuzz -type f -name '*_fuzz' -perm -u+x | sort)
if [ $# -gt 0 ]; then
  mapfile -t fuzzers < <(printf '%s\n' "${fuzzers[@]}" | grep -E "/($(IFS='|'; echo "$*"))$")
fi
if [ ${#fuzzers[@]} -eq 0 ]; then
  echo "There is no fuzzer in build/fuzz: strongroom_fuzzer() in a module's CMakeLists.txt declares one."
  exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
symbolizer=$(command -v llvm-symbolizer-14 || true)

# $1 program. Leaves $work/NAME.{log,status} and the crash input in $work/NAME.crashes.
run_one() {
  local name
  name=$(basename "$1")
  mkdir -p "$work/$name.corpus" "$work/$name.crashes"
  [ ! -d "test/corpus/$name" ] || cp -r "test/corpus/$name/." "$work/$name.corpus/"
  local status=0
  ASAN_SYMBOLIZER_PATH="$symbolizer" "$1" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -seed="${FUZZ_SEED:-0}" \
    -print_final_stats=1 -artifact_prefix="$work/$name.crashes/" "$work/$name.corpus" \
    >"$work/$name.log" 2>&1 || status=$?
  echo "$status" >"$work/$name.status"
}
export -f run_one
export work seconds symbolizer
printf '%s\n' "${fuzzers[@]}" | xargs -P "$(nproc)" -I{} bash -c 'run_one {}'

failed=0
printf '%-24s %12s %10s %10s  %s\n' fuzzer execs exec/s coverage result
for program in "${fuzzers[@]}"; do
  name=$(basename "$program")
  log="$work/$name.log"
  stat_of() { awk -v k="stat::$1:" '$1 == k { print $2 }' "$log"; }
  coverage=$(grep -aoE 'cov: [0-9]+' "$log" | tail -1 | cut -d' ' -f2 || true)
  result=ok
  if [ "$(cat "$work/$name.status")" -ne 0 ]; then
    result=CRASHED
    failed=1
  fi
  printf '%-24s %12s %10s %10s  %s\n' "$name" "$(stat_of number_of_executed_units)" \
    "$(stat_of average_exec_per_sec)" "$coverage" "$result"
done

for program in "${fuzzers[@]}"; do
  name=$(basename "$program")
  log="$work/$name.log"
  [ "$(cat "$work/$name.status")" -ne 0 ] || continue
  echo
  echo "--- $name"
  # The stack, where there is one; else what it last said.
  report=$(sed -n '/ERROR: \|runtime error:/,$p' "$log" | head -n 30)
  echo "${report:-$(tail -n 20 "$log")}"
  for input in "$work/$name.crashes"/*; do
    [ -f "$input" ] || continue
    mkdir -p "test/corpus/$name"
    cp "$input" "test/corpus/$name/"
    echo "Saved test/corpus/$name/$(basename "$input"). Repeat: $program test/corpus/$name/$(basename "$input")"
    echo "Commit it with the fix: it is a seed from now on."
  done
done
exit $failed
