#!/usr/bin/env bash
# Measures the article's build on this machine: with its Docker engine, or, where none may be
# started, with Buildah. BREAKEVEN_NO_DAEMON=1 takes Buildah in any case. Arguments go to the run.
set -euo pipefail

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

say() { printf 'demo: %s\n' "$*" >&2; }

config=fixtures/article/breakeven.toml
if [[ ${BREAKEVEN_NO_DAEMON:-} = 1 ]]; then
    say "BREAKEVEN_NO_DAEMON=1: measuring with Buildah, without a daemon"
elif scripts/setup.sh; then
    : # The engine answers.
else
    say "no Docker engine can be had here (its message is above): measuring with Buildah instead," \
        "without a daemon. Its strategies are others: docs/engines.md"
    export BREAKEVEN_NO_DAEMON=1
fi
if [[ ${BREAKEVEN_NO_DAEMON:-} = 1 ]]; then
    scripts/setup.sh
    config=fixtures/article/breakeven-buildah.toml
fi
"${MAKE:-make}" build
exec target/release/breakeven run "$config" "$@"
