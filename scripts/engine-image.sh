#!/usr/bin/env bash
# Makes an image with a modern engine in it, for machines that can pull none: the
# packages of Debian's next release, by debootstrap, from the mirror that this
# machine's apt uses. Takes about a minute; does nothing when the engine already has
# an image of this recipe.
#
# The image is named after the version of its engine, breakeven-engine:26.1 for one,
# and breakeven-engine:modern, which configurations and tests use. Any other image
# with a dockerd (docker:dind) may be given that name by hand; it is left as it is.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
readonly script=engine-image
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
readonly image=breakeven-engine
readonly label=breakeven.engine-image.recipe
readonly keyring=/usr/share/keyrings/debian-archive-keyring.gpg
# Its client is there for looking into a running engine by hand.
readonly packages=docker.io,docker-cli,iptables

readonly by_hand=(
    "Where images can be pulled, an engine image of your choice does as well:"
    "    docker pull docker:dind && docker tag docker:dind $image:modern"
)

# The label of the image that is there: empty when there is none, "-" when it is not ours.
present() {
    docker image inspect --format "{{with .Config.Labels}}{{with index . \"$label\"}}{{.}}{{else}}-{{end}}{{else}}-{{end}}" \
        "$image:modern" 2>/dev/null || true
}

# Debian's next release; on a newer system its own.
wanted_release() {
    local next
    next=$(next_release)
    echo "${next:-$(os_release VERSION_CODENAME)}"
}

require_debian() {
    [[ $(os_release ID) = debian ]] && can_install && return
    die "there is no $image:modern, and it can be made only on Debian and as root" \
        "here: user $(id -un), system $(os_release ID)" "${by_hand[@]}"
}

make_root() {
    local root=$1 release=$2 mirror log=$scratch/debootstrap.log arguments
    have debootstrap || install_packages debootstrap
    apt_update_once
    mirror=$(debian_mirror)
    [[ -n $mirror ]] || die "found no Debian mirror in this machine's apt sources" "${by_hand[@]}"
    say "unpacking the engine of $release from this machine's Debian mirror"
    arguments=(--variant=minbase "--include=$packages" "--keyring=$keyring" "$release" "$root" "$mirror")
    # A debootstrap that is older than the release does what it does for any new one.
    [[ -e /usr/share/debootstrap/scripts/$release ]] || arguments+=(/usr/share/debootstrap/scripts/sid)
    if ! debootstrap "${arguments[@]}" >"$log" 2>&1 </dev/null 9>&-; then
        tail -n 20 "$log" >&2
        die "debootstrap could not unpack $release" \
            "It needs root that may mount and make device files." "${by_hand[@]}"
    fi
}

# What an engine never reads.
slim() {
    local root=$1
    rm -rf "$root"/var/cache/* "$root"/var/lib/apt/lists/* "$root"/var/log/* \
        "$root"/usr/share/{doc,man,info,locale,lintian,bash-completion,zsh,fish} \
        "$root"/usr/bin/{ctr,containerd-shim,containerd-shim-runc-v1}
}

# Starts dockerd, which starts its containerd. Arguments are dockerd's.
write_entrypoint() {
    cat >"$1/usr/local/bin/engine-entrypoint" <<'ENTRYPOINT'
#!/bin/sh
set -eu
if [ "${1-}" = dockerd ]; then shift; fi
# Containers' mounts reach the containers in them.
mount --make-rshared / || true
# cgroup v2: a group that holds processes may not hand controllers on to groups below it.
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    mkdir -p /sys/fs/cgroup/init
    xargs -rn1 </sys/fs/cgroup/cgroup.procs >/sys/fs/cgroup/init/cgroup.procs 2>/dev/null || true
    sed -e 's/ / +/g' -e 's/^/+/' </sys/fs/cgroup/cgroup.controllers \
        >/sys/fs/cgroup/cgroup.subtree_control || true
fi
# Some kernels have only one of the two.
if ! iptables -nL >/dev/null 2>&1 && iptables-legacy -nL >/dev/null 2>&1; then
    update-alternatives --set iptables /usr/sbin/iptables-legacy >/dev/null
    update-alternatives --set ip6tables /usr/sbin/ip6tables-legacy >/dev/null
fi
exec tini -s -- dockerd "$@"
ENTRYPOINT
    chmod 755 "$1/usr/local/bin/engine-entrypoint"
}

main() {
    local recipe have_now before release version root
    docker version --format '{{.Server.Version}}' >/dev/null 2>&1 </dev/null ||
        die "no Docker engine answers" "run: make setup"
    release=$(wanted_release)
    recipe=$({ cat "${BASH_SOURCE[0]}" && echo "$release"; } | sha256sum | cut -d' ' -f1)
    have_now=$(present)
    if [[ $have_now = "$recipe" ]]; then
        say "$image:modern is up to date"
        return
    fi
    if [[ $have_now = - ]]; then
        say "$image:modern was not made by this script and is left as it is"
        return
    fi
    require_debian
    arm_exit
    take_lock
    # Perhaps the one that held the lock made it.
    [[ $(present) != "$recipe" ]] || return 0
    # Not /tmp: nothing there may be executed on some machines.
    scratch=$(mktemp -d /var/tmp/breakeven-engine-image.XXXXXX)
    root=$scratch/root
    make_root "$root" "$release"
    slim "$root"
    write_entrypoint "$root"
    version=$(chroot "$root" dockerd --version | sed -n 's/^Docker version \([0-9]*\.[0-9]*\).*/\1/p')
    [[ -n $version ]] || die "the engine of $release does not say its version"
    before=$(docker image inspect --format '{{.Id}}' "$image:modern" 2>/dev/null || true)
    tar --create --directory="$root" --numeric-owner --exclude=./proc/* --exclude=./sys/* --exclude=./dev/* . |
        docker import --change 'ENTRYPOINT ["engine-entrypoint"]' \
            --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
            --change 'VOLUME /var/lib/docker' --change 'VOLUME /var/lib/containerd' \
            --change "LABEL $label=$recipe" - "$image:modern" >/dev/null
    docker tag "$image:modern" "$image:$version"
    # Ours, by its label: gone, unless a container still runs it.
    if [[ -n $before ]]; then docker image rm "$before" >/dev/null 2>&1 || true; fi
    say "made $image:$version, also named $image:modern ($(docker image inspect --format '{{.Size}}' "$image:modern" | awk '{ printf "%.0f MB", $1 / 1e6 }'))"
}

main "$@"
