#!/usr/bin/env bash
# run_benches.sh [ARGUMENT...]
#   Builds every *_bench of build/release (they are not part of "all") and runs them in turn. Those made with
#   Google Benchmark get the arguments (--benchmark_filter=...) and leave their figures in build/bench.
#   Run it on a quiet machine: only ratios within one run count.
set -euo pipefail
cd "$(dirname "$0")/.."
mapfile -t targets < <(ninja -C build/release -t targets all | grep -v ^cmake_ |
  sed -n 's/^\([a-z0-9_]*_bench\): phony$/\1/p')
if [ ${#targets[@]} -eq 0 ]; then
  echo "There is no *_bench in build/release: declare one in a module's CMakeLists.txt." >&2
  exit 1
fi
ninja -C build/release "${targets[@]}"
mkdir -p build/bench
failed=()
for name in "${targets[@]}"; do
  program=$(find build/release -type f -name "$name" -perm -u+x)
  arguments=()
  if ldd "$program" | grep -q libbenchmark; then
    arguments=("$@" --benchmark_out="build/bench/$name.json" --benchmark_out_format=json)
  fi
  echo "== $name"
  "$program" "${arguments[@]}" || failed+=("$name")
done
[ ${#failed[@]} -eq 0 ] || { echo "Failed: ${failed[*]}"; exit 1; }
