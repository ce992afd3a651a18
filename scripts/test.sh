#!/usr/bin/env bash
# Every test, in two lanes: those that use the machine's engine wait for it most of their time, so that
# all others run beside them. `make test` makes the machine ready before.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
# shellcheck disable=SC2034 # lib.sh names it in messages
readonly script=test
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
cd "$(dirname "$here")"

readonly cargo=${CARGO:-cargo}
readonly options=(--locked --all-features)
# What changes or compares what is on the machine's engine: never two of these at once.
readonly on_engine=(doctor engine_ops infra private real)

# Names of the test programs as cargo finds them, but for those.
beside_engine() {
    local file name
    for file in tests/*.rs tests/*/main.rs; do
        name=$(basename "${file%/main.rs}" .rs)
        if [[ " ${on_engine[*]} " != *" $name "* ]]; then printf '%s\n' "$name"; fi
    done
}

mapfile -t others < <(beside_engine)
lane_engine=("${on_engine[@]/#/--test=}")
lane_beside=(--lib --bins "${others[@]/#/--test=}")

"$cargo" test "${options[@]}" --lib --bins --tests --no-run
arm_exit
scratch=$(mktemp -d)
said=$scratch/beside
# In a process group of its own, to be ended with all that it started.
setsid "$cargo" test "${options[@]}" --no-fail-fast "${lane_beside[@]}" >"$said" 2>&1 &
beside=$!
trap 'if [[ -n $beside ]]; then kill -- "-$beside" 2>/dev/null || true; fi; on_exit' EXIT

failed=()
"$cargo" test "${options[@]}" --no-fail-fast "${lane_engine[@]}" || failed+=("on the engine")
wait "$beside" || failed+=("beside it")
beside=""
cat "$said"
"$cargo" test "${options[@]}" --doc
((${#failed[@]} == 0)) || die "tests failed: ${failed[*]}" "their names are above, after \`failures:\`"
