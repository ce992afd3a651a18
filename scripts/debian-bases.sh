#!/usr/bin/env bash
# Makes the base images of fixtures/c-service from the packages of this machine's own
# Debian release, through the mirror that its apt uses. Takes about a minute; does
# nothing when the engine already has images of this recipe.
#
#   breakeven-c-builder:1   a minimal Debian with gcc and make, and the archives of the
#                           dependencies' sources in /usr/src/vendor
#   breakeven-c-runtime:1   the C library and the files that a process expects; no shell
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
readonly script=debian-bases
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
readonly builder=breakeven-c-builder:1
readonly runtime=breakeven-c-runtime:1
readonly label=breakeven.c-service.recipe
# Debian's source packages, and the names that deps.mk knows their archives by.
readonly -A vendored=([libzstd]=zstd [lmdb]=lmdb)

readonly by_hand=(
    "Or make both by hand and give them these names:"
    "fixtures/c-service/README.md says what has to be in them."
)

# The label of an image that is there, empty when there is none.
recipe_of() {
    docker image inspect --format "{{with .Config.Labels}}{{index . \"$label\"}}{{end}}" "$1" 2>/dev/null || true
}

up_to_date() { [[ $(recipe_of "$builder") = "$1" && $(recipe_of "$runtime") = "$1" ]]; }

# Archives of the dependencies as their authors released them, verified by apt, under the
# names that deps.mk knows.
vendor() {
    local into=$1 package archive
    mkdir -p "$into" "$scratch/sources"
    (cd "$scratch/sources" && scratch_apt source --download-only "${!vendored[@]}")
    for package in "${!vendored[@]}"; do
        archive=$(find "$scratch/sources" -name "${package}_*.orig.tar.*" ! -name '*.asc' -print -quit)
        [[ -n $archive ]] || die "apt downloaded no source archive of $package"
        cp "$archive" "$into/${vendored[$package]}.orig.tar.${archive##*.}"
        printf '%s is %s\n' "${vendored[$package]}" "${archive##*/}" >>"$into/VERSIONS"
    done
    sort -o "$into/VERSIONS" "$into/VERSIONS"
    (cd "$into" && sha256sum -- *.orig.tar.* >SHA256SUMS)
}

make_builder() {
    local root=$1 mirror=$2 release=$3 log=$scratch/debootstrap.log
    if ! debootstrap --variant=minbase --include=gcc,libc6-dev,make,xz-utils \
        "$release" "$root" "$mirror" >"$log" 2>&1 </dev/null 9>&-; then
        tail -n 20 "$log" >&2
        die "debootstrap could not unpack $release" \
            "It needs root that may mount and make device files." "${by_hand[@]}"
    fi
    vendor "$root/usr/src/vendor"
    # For the end of a step: gives what it wrote a fixed time, so that the same files make
    # the same layer.
    printf '#!/bin/sh\nset -eu\nfind "$@" -depth -exec touch -h -d @0 {} +\n' >"$root/usr/local/bin/settle"
    chmod 755 "$root/usr/local/bin/settle"
    # Folders that steps fill exist beforehand: no step changes the time of their parent.
    mkdir -p "$root"/{src,out,usr/src/deps,opt/deps/lib,opt/deps/include}
    # What an image leaves out: downloads, logs, documents, translations.
    rm -rf "$root"/var/cache/{apt,ldconfig}/* "$root"/var/lib/apt/lists/* "$root"/var/log/* \
        "$root"/usr/share/{doc,info,lintian,locale,man}/*
}

# Debian's own packages, unpacked and not installed: nothing in it could run a script.
make_runtime() {
    local root=$1 deb
    mkdir -p "$root" "$scratch/debs"
    (cd "$scratch/debs" && scratch_apt download base-files libc6)
    for deb in "$scratch"/debs/*.deb; do dpkg --extract "$deb" "$root"; done
    printf '%s:/usr/sbin/nologin\n' root:x:0:0:root:/root nobody:x:65534:65534:nobody:/ >"$root/etc/passwd"
    printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
    rm -rf "$root"/usr/share/{doc,info,lintian,locale,man}
    mkdir -p "$root"/{usr/local/bin,var/lib/kvd}
    chown 65534:65534 "$root/var/lib/kvd"
}

# Files that builders mount over exist and hold nothing of this machine: no step changes a
# folder's time for them.
blank_host_files() {
    local root=$1 name
    for name in hosts hostname resolv.conf; do
        rm -f "$root/etc/$name"
        : >"$root/etc/$name"
    done
    # Devices are the engine's to make.
    rm -rf "${root:?}"/dev/*
    mkdir -p "$root"/{dev,proc,sys,tmp}
    chmod 1777 "$root/tmp"
}

import() {
    local root=$1 image=$2 recipe=$3 before size
    blank_host_files "$root"
    before=$([[ -z $(recipe_of "$image") ]] || docker image inspect --format '{{.Id}}' "$image")
    tar --create --directory="$root" --format=gnu --sort=name --mtime=@0 --numeric-owner . |
        docker import --change 'ENV PATH=/usr/local/bin:/usr/bin:/bin' --change "LABEL $label=$recipe" \
            - "$image" >/dev/null
    # Ours, by its label, and now without a name: gone, unless something is built on it.
    if [[ -n $before ]]; then docker image rm "$before" >/dev/null 2>&1 || true; fi
    size=$(docker image inspect --format '{{.Size}}' "$image")
    say "made $image ($((size / 1000000)) MB)"
}

main() {
    local release recipe mirror
    docker version --format '{{.Server.Version}}' >/dev/null 2>&1 </dev/null ||
        die "no Docker engine answers" "run: make setup"
    release=$(os_release VERSION_CODENAME)
    recipe=$({ cat "${BASH_SOURCE[0]}" && echo "$release" && uname -m; } | sha256sum | cut -d' ' -f1)
    if up_to_date "$recipe"; then
        say "$builder and $runtime are up to date"
        return
    fi
    if [[ $(os_release ID) != debian ]] || ! can_install; then
        die "$builder and $runtime are missing or of another recipe, and they can be made only on Debian and as root" \
            "here: user $(id -un), system $(os_release ID)" "${by_hand[@]}"
    fi
    arm_exit
    take_lock
    # Perhaps the one that held the lock made them.
    if up_to_date "$recipe"; then return; fi
    have debootstrap || install_packages debootstrap
    apt_update_once
    mirror=$(debian_mirror)
    [[ -n $mirror ]] || die "found no Debian mirror in this machine's apt sources" "${by_hand[@]}"
    # Not /tmp: nothing there may be executed on some machines.
    scratch=$(mktemp -d /var/tmp/breakeven-debian-bases.XXXXXX)
    say "unpacking $release from this machine's Debian mirror"
    open_scratch_apt "$mirror" "$release"
    make_builder "$scratch/root" "$mirror" "$release"
    make_runtime "$scratch/runtime"
    import "$scratch/runtime" "$runtime" "$recipe"
    import "$scratch/root" "$builder" "$recipe"
}

main "$@"
