#!/usr/bin/env bash
# Makes the base image of the fixtures from the host's static busybox and the files
# under fixtures/base, without any download. Does nothing when the engine already
# has an image made from the same content. With the argument `buildah` the image goes
# into the user's storage of Buildah instead of a Docker engine.
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly repo
readonly image=breakeven-fixture-base:1
readonly label=breakeven.fixture-base.sha256

say() { printf 'base-image: %s\n' "$*" >&2; }

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# A root file system: busybox with a link for each of its commands, the few files
# that programs expect, and the fixtures' own commands.
make_root() {
    local root=$1 busybox applet
    busybox=$(command -v busybox) || {
        say "error: no busybox on PATH (Debian: busybox-static)"
        exit 1
    }
    mkdir -p "$root"/{bin,dev,etc,proc,root,run,srv/app,sys,tmp,usr/local/bin,var/tmp}
    # What the steps fill exists beforehand, and so do the files that builders mount
    # over: a folder that gets no new entry keeps its time, and the layer its digest.
    mkdir -p "$root"/{opt/packages,usr/local/bundle/gems}
    touch "$root"/etc/{hosts,hostname,resolv.conf}
    cp "$busybox" "$root/bin/busybox"
    # What `busybox --install -s` makes inside an image, with links that hold there.
    while read -r applet; do
        [[ $applet = busybox ]] || ln -s busybox "$root/bin/$applet"
    done < <("$busybox" --list)
    printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$root/etc/passwd"
    printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
    cp -R "$repo/fixtures/base/." "$root/"
    # Modes do not depend on the umask of whoever runs this.
    chmod -R u=rwX,go=rX "$root"
    chmod 755 "$root/bin/busybox" "$root"/usr/local/bin/*
    chmod 1777 "$root/tmp" "$root/var/tmp"
}

# The same content gives the same archive, so its hash tells whether there is
# anything to do.
pack() {
    tar --create --file="$2" --directory="$1" --format=gnu \
        --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner .
}

settings=(
    --change 'ENV PATH=/usr/local/bin:/bin'
    --change 'WORKDIR /srv/app'
    --change 'CMD ["/bin/sh"]'
)

make_root "$scratch/root"
pack "$scratch/root" "$scratch/root.tar"
hash=$({ sha256sum <"$scratch/root.tar" && printf '%s\n' "${settings[@]}"; } | sha256sum | cut -d' ' -f1)

# The image in Buildah's storage, with the same settings.
make_with_buildah() {
    local known container
    known=$(buildah inspect --type image --format "{{index .OCIv1.Config.Labels \"$label\"}}" "$image" 2>/dev/null || true)
    if [[ $known = "$hash" ]]; then
        say "$image is up to date"
        return
    fi
    container=$(buildah from scratch)
    buildah add --quiet "$container" "$scratch/root.tar" / >/dev/null
    buildah config --env PATH=/usr/local/bin:/bin --workingdir /srv/app --cmd '["/bin/sh"]' \
        --label "$label=$hash" "$container"
    buildah commit --quiet --rm "$container" "$image" >/dev/null
    say "made $image in Buildah's storage"
}

if [[ ${1-} = buildah ]]; then
    make_with_buildah
    exit
fi

present=$(docker image inspect --format "{{index .Config.Labels \"$label\"}}" "$image" 2>/dev/null || true)
if [[ $present = "$hash" ]]; then
    say "$image is up to date"
    exit 0
fi
before=$(docker image inspect --format '{{.Id}}' "$image" 2>/dev/null || true)
docker import "${settings[@]}" --change "LABEL $label=$hash" - "$image" <"$scratch/root.tar" >/dev/null
# Ours, by its label, and now without a name: gone, unless something is built on it.
if [[ -n $before && -n $present && $present != "<no value>" ]]; then
    docker image rm "$before" >/dev/null 2>&1 || true
fi
say "made $image ($(($(stat -c %s "$scratch/root.tar") / 1024)) KiB)"
