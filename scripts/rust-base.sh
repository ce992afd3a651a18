#!/usr/bin/env bash
# Makes breakeven-rust-base:1, on which packaging/image/Dockerfile builds where no image with Rust can be
# pulled: a minimal Debian of this machine's release with gcc, this machine's own Rust, and the sources
# of the crates that Cargo.lock names, so that a build reaches nothing. Does nothing when it is there.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
# shellcheck disable=SC2034 # lib.sh names it in messages
readonly script=rust-base
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
top=$(dirname "$here")
readonly top
readonly image=breakeven-rust-base:1
readonly label=breakeven.rust-base.recipe

label_of() {
    docker image inspect --format "{{with .Config.Labels}}{{index . \"$label\"}}{{end}}" "$image" 2>/dev/null || true
}

docker version --format '{{.Server.Version}}' >/dev/null 2>&1 </dev/null ||
    die "no Docker engine answers" "run: make setup"
have cargo || die "there is no cargo here" "Install Rust with rustup, then run this again."
release=$(os_release VERSION_CODENAME)
recipe=$({ cat "${BASH_SOURCE[0]}" "$top/Cargo.lock" && rustc -vV && echo "$release"; } | sha256sum | cut -d' ' -f1)
before=$(label_of)
if [[ $before = "$recipe" ]]; then
    say "$image is up to date"
    exit 0
fi
if [[ $(os_release ID) != debian ]] || ! can_install; then
    die "$image can be made only on Debian and as root" \
        "Elsewhere give the build an image with Rust and gcc: --build-arg RUST=IMAGE"
fi
arm_exit
take_lock
have debootstrap || install_packages debootstrap
apt_update_once
mirror=$(debian_mirror)
[[ -n $mirror ]] || die "found no Debian mirror in this machine's apt sources"
scratch=$(mktemp -d /var/tmp/breakeven-rust-base.XXXXXX)
root=$scratch/root

say "unpacking $release from this machine's Debian mirror"
log=$scratch/debootstrap.log
if ! debootstrap --variant=minbase --include=gcc,libc6-dev,ca-certificates "$release" "$root" "$mirror" \
    >"$log" 2>&1 </dev/null 9>&-; then
    tail -n 20 "$log" >&2
    die "debootstrap could not unpack $release" "It needs root that may mount and make device files."
fi
say "copying Rust and the crates"
mkdir -p "$root/usr/local/cargo" "$root/usr/local/lib"
sysroot=$(rustc --print sysroot)
cp -a "$sysroot/bin" "$sysroot/lib" "$root/usr/local/"
rm -rf "$root/usr/local/lib/rustlib/src"
CARGO_HOME=$root/usr/local/cargo cargo fetch --locked --quiet --manifest-path "$top/Cargo.toml" 9>&-
# Unpacked again by the first build that needs them.
rm -rf "$root/usr/local/cargo/registry/src" "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* \
    "$root"/usr/share/{doc,info,lintian,locale,man}/* "${root:?}"/dev/*

old=$([[ -z $before ]] || docker image inspect --format '{{.Id}}' "$image")
tar --create --directory="$root" --format=gnu --sort=name --mtime=@0 --numeric-owner . |
    docker import --change 'ENV PATH=/usr/local/bin:/usr/bin:/bin' --change 'ENV CARGO_HOME=/usr/local/cargo' \
        --change 'ENV CARGO_NET_OFFLINE=true' \
        --change "LABEL $label=$recipe" - "$image" >/dev/null
# Ours, by its label, and now without a name: gone, unless something is built on it.
if [[ -n $old ]]; then docker image rm "$old" >/dev/null 2>&1 || true; fi
say "made $image ($(($(docker image inspect --format '{{.Size}}' "$image") / 1000000)) MB)"
