#!/usr/bin/env bash
# A static release binary for this machine's processor: dist/breakeven. It needs no C library where it
# runs, which is what the container image and the package put in. The same sources and toolchain give
# the same bytes, wherever they lie.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
# shellcheck disable=SC2034 # lib.sh names it in messages
readonly script=dist
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
top=$(dirname "$here")
readonly top

have cargo || die "there is no cargo here" "Install Rust with rustup, then run this again."
host=$(rustc -vV | sed -n 's/^host: //p')

# With --target, flags are for our binary alone: what runs during the build stays dynamic.
# glibc looks names up by itself since 2.34, so a static binary does so too.
export RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=$top=breakeven --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo"
cargo build --locked --manifest-path "$top/Cargo.toml" --profile dist --target "$host" --bin breakeven

built=${CARGO_TARGET_DIR:-$top/target}/$host/dist/breakeven
mkdir -p "$top/dist"
install -m 755 "$built" "$top/dist/breakeven"
say "made dist/breakeven, $(stat -c %s "$top/dist/breakeven") bytes"
