#!/usr/bin/env bash
# Fuzzes every target, one after another: scripts/fuzz.sh [SECONDS [TARGET...]]
#
# Starts from the committed cases in tests/corpus/TARGET; what is found on top of them is kept in
# fuzz/corpus/TARGET, what crashes in fuzz/artifacts/TARGET, and what libFuzzer says in
# fuzz/logs/TARGET.log. Ends with a line for each target: seconds, inputs tried, crashes.
#
# Needs cargo and a C++ compiler, and installs cargo-fuzz where it is missing. No nightly toolchain:
# the instrumentation alone is unstable, and RUSTC_BOOTSTRAP=1 lets the project's own compiler do it.
set -euo pipefail
cd -- "$(dirname -- "$0")/.."

seconds=${1-600}
shift || true
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  mapfile -t targets < <(ls fuzz/fuzz_targets | sed 's/\.rs$//')
fi

if ! cargo fuzz --version > /dev/null 2>&1; then
  echo 'installing cargo-fuzz' >&2
  cargo install --locked cargo-fuzz
fi
echo "$(rustc --version) with RUSTC_BOOTSTRAP=1; a nightly toolchain is not needed" >&2
export RUSTC_BOOTSTRAP=1

number() { sed -n "s/^stat::$1: *//p" "$2" | tail -n 1; }

mkdir -p fuzz/logs
failed=0
lines=()
for target in "${targets[@]}"; do
  echo "== $target: $seconds s" >&2
  mkdir -p "fuzz/corpus/$target" "tests/corpus/$target"
  dictionary=()
  if [ -e "fuzz/dictionaries/$target" ]; then
    dictionary=(-dict="fuzz/dictionaries/$target")
  fi
  log=fuzz/logs/$target.log
  # Before the clock starts: what cannot be built is no finding.
  cargo fuzz build --sanitizer none "$target"
  started=$SECONDS
  outcome='no crash'
  cargo fuzz run --sanitizer none "$target" "fuzz/corpus/$target" "tests/corpus/$target" -- \
    -max_total_time="$seconds" -max_len=65536 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    "${dictionary[@]}" > "$log" 2>&1 || {
    outcome="CRASH, see $log"
    failed=1
  }
  lines+=("$target: $((SECONDS - started)) s, $(number number_of_executed_units "$log") inputs, $outcome")
done
printf '%s\n' "${lines[@]}"
exit $failed
