#!/usr/bin/env bash
# Asks a build without features what only features bring: lean.sh [BINARY], by default the one that
# `cargo package` leaves in target/debug. Every test has all features, so that nothing else asks it.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
# shellcheck disable=SC2034 # lib.sh names it in messages
readonly script=lean
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
readonly binary=${1:-${CARGO_TARGET_DIR:-$(dirname "$here")/target}/debug/breakeven}

[[ -x $binary ]] || die "there is no program $binary" "Make it with \`cargo package\`, or name another one."

# lacks FEATURE ARGUMENT...: it says which feature is lacking and how to have it, as a matter of usage.
lacks() {
    local feature=$1 said code=0
    shift
    said=$("$binary" "$@" 2>&1) || code=$?
    [[ $code -eq 2 && $said = *"without the feature \`$feature\`"*"--features $feature"* ]] ||
        die "\`breakeven $*\` ended with $code and said: $said" \
            "A build without \`$feature\` is to end with 2 and to say how to make one that has it."
}
lacks parquet history export
lacks parquet history export --help
lacks parquet history export /tmp --parquet out.parquet
lacks otlp report /nonexistent --otlp
lacks otlp report /nonexistent --otlp=http://localhost:4318
lacks openmetrics report /nonexistent --openmetrics out.txt

# What it cannot do is in no help and on no manual page.
arm_exit
scratch=$(mktemp -d)
"$binary" man --out "$scratch"
for text in "$("$binary" report --help)" "$("$binary" history --help)" "$(cat "$scratch"/*.1)"; do
    text=${text//\\/}
    for word in --otlp --openmetrics --parquet history-export; do
        [[ $text != *"$word"* ]] || die "a build without features offers $word" "Hide it in src/cli."
    done
done
for shell in bash zsh fish; do
    [[ $("$binary" completions "$shell") = *retry-failed* ]] || die "no completions for $shell"
done
say "$binary says what it lacks"
