#!/usr/bin/env bash
# Builds the fuzz targets and runs them: see README.md beside it.
#
#   tests/fuzz/run.sh [-t SECONDS] [-j JOBS] [-k] [TARGET...]
#
#   -t   seconds for each target (600); 0 only replays the seeds
#   -j   targets at a time (2)
#   -k   keeps in seeds/ what covers more than the seeds so far: some of it, the smallest set first
#
# Leaves with 1 if a target broke a promise, took too long or too much memory.
set -uo pipefail

cd "$(dirname "$0")" || exit 2
all=(records bundle tile note proofs trust policy verify verify_raw judge store patch)
seconds=600 jobs=2 keep=no
# One case: what it may take, and how long it may be.
case_seconds_max=10 memory_mib_max=1024 case_bytes_max=32768
# What is kept of one run for one target.
kept_max=24 kept_bytes_max=2000

while getopts t:j:k option; do
  case $option in
    t) seconds=$OPTARG ;;
    j) jobs=$OPTARG ;;
    k) keep=yes ;;
    *) exit 2 ;;
  esac
done
shift $((OPTIND - 1))
chosen=("$@")
[ ${#chosen[@]} -eq 0 ] && chosen=("${all[@]}")
for target in "${chosen[@]}"; do
  [ -f "bin/$target.rs" ] || { echo "no such target: $target (there are: ${all[*]})" >&2; exit 2; }
done

build=${CARGO_TARGET_DIR:-../../target}/fuzz
mkdir -p "$build" out corpus artifacts && build=$(cd "$build" && pwd) || exit 2

# Runs one target to its end, its words in out/TARGET.log.
fuzz() {
  local target=$1 until=(-max_total_time="$seconds")
  [ "$seconds" -eq 0 ] && until=(-runs=0)
  mkdir -p "corpus/$target"
  "$build/release/$target" "corpus/$target" "seeds/$target" "${until[@]}" -print_final_stats=1 \
    -timeout="$case_seconds_max" -rss_limit_mb="$memory_mib_max" -max_len="$case_bytes_max" \
    -artifact_prefix="artifacts/$target-" >"out/$target.log" 2>&1
  echo $? >"out/$target.status"
}

# Tells one target's figures in a line.
tell() {
  local log=out/$1.log status
  status=$(cat "out/$1.status")
  local stat='s/^stat::%s: *//p' executed rate new peak coverage
  # shellcheck disable=SC2059
  executed=$(sed -n "$(printf "$stat" number_of_executed_units)" "$log")
  # shellcheck disable=SC2059
  rate=$(sed -n "$(printf "$stat" average_exec_per_sec)" "$log")
  # shellcheck disable=SC2059
  new=$(sed -n "$(printf "$stat" new_units_added)" "$log")
  # shellcheck disable=SC2059
  peak=$(sed -n "$(printf "$stat" peak_rss_mb)" "$log")
  coverage=$(sed -nE 's/.* cov: ([0-9]+) .*/\1/p' "$log" | tail -n 1)
  printf '%-11s %10s %8s %8s %8s %6s  %s\n' "$1" "${executed:-?}" "${rate:-?}" "${coverage:-?}" "${new:-?}" \
    "${peak:-?}" "$([ "$status" -eq 0 ] && echo ok || echo "FAILED, see out/$1.log")"
}

# Adds to the seeds what covers more than they do.
keep_seeds() {
  local target=$1 found=out/$1.found known
  rm -rf "$found" && mkdir -p "$found"
  "$build/release/$target" -set_cover_merge=1 -max_len="$case_bytes_max" "$found" "seeds/$target" "corpus/$target" \
    >"out/$target.merge.log" 2>&1 || return 1
  # libFuzzer names a case by its SHA-1. Of those that are new the longest, up to a limit: they cover the most.
  known=$(sha1sum "seeds/$target/"* | cut -c 1-40)
  find "$found" -type f -size -"$kept_bytes_max"c -printf '%s %f\n' | sort -rn | cut -d ' ' -f 2 |
    grep -vxF "$known" | head -n "$kept_max" |
    while read -r name; do cp "$found/$name" "seeds/$target/found-${name:0:16}"; done
}

RUSTC_WRAPPER=$PWD/rustc.sh cargo build --release --locked --target-dir "$build" || exit 2

for target in "${chosen[@]}"; do
  while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n; done
  fuzz "$target" &
done
wait

failed=0
printf '%-11s %10s %8s %8s %8s %6s\n' target executed per-s coverage new MiB
for target in "${chosen[@]}"; do
  tell "$target"
  if [ "$(cat "out/$target.status")" -ne 0 ]; then
    failed=1
    grep -aE -A 3 'panicked|ERROR|SUMMARY' "out/$target.log" | head -n 12
  elif [ $keep = yes ]; then
    keep_seeds "$target" || failed=1
  fi
done
exit $failed
