#!/usr/bin/env bash
# Builds with the minimum Rust version that Cargo.toml states. Where this machine's own compiler is
# that version, its ordinary build is the proof and nothing more is done.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
# shellcheck disable=SC2034 # lib.sh names it in messages
readonly script=msrv
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
top=$(dirname "$here")
cd "$top"

stated=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
[[ -n $stated ]] || die "Cargo.toml states no rust-version"
own=$(rustc --version | cut -d ' ' -f 2)
# 1.95 is stated, 1.95.0 is what the compiler says.
case $own in
    "$stated" | "$stated".*)
        say "the compiler here is $own, the version that Cargo.toml states: every build checks it"
        exit 0
        ;;
esac
have rustup || die "rustc is $own, Cargo.toml states $stated, and there is no rustup to get that" \
    "Install rustup, or check with a machine that has Rust $stated."
rustup toolchain list | grep -q "^$stated" || rustup toolchain install --profile minimal "$stated" >&2 ||
    die "Rust $stated could not be installed" "rustup's own message is above"
cargo "+$stated" check --locked --all-targets --all-features
say "builds with Rust $stated"
