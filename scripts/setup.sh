#!/usr/bin/env bash
# Makes this machine ready for `make demo` and `make test`: a Docker-compatible
# engine that answers, a buildx client, the registry binary, and the base image
# of the fixtures. Safe to run as often as you like, also twice at the same time.
#
# With BREAKEVEN_NO_DAEMON=1 Buildah takes the place of the engine (scripts/daemonless.sh).
#
# It uses an engine that is already there and installs nothing for it. Only where
# none answers, on Debian or Ubuntu and as root, does it install one and start it.
# Anything else ends in a message that says what to install by hand.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
readonly script=setup
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
readonly private_buildx="$data_dir/cli-plugins/docker-buildx"
readonly engine_log=/var/log/breakeven-dockerd.log
readonly engine_wait_s="${BREAKEVEN_ENGINE_WAIT:-60}"

# ---------------------------------------------------------------------- tools

# The registry is a program that runs start for themselves. Its package also makes
# it a service on a fixed port: that one is switched off, now and after a reboot.
switch_off_registry_service() {
    if [[ -d /run/systemd/system ]]; then
        systemctl disable --now docker-registry.service >&2 || true
    elif have update-rc.d; then
        update-rc.d docker-registry disable >&2 || true
    fi
}

static_busybox() {
    local path answer
    path=$(command -v busybox) || return 1
    # ldd fails on a static program and says so; the words differ by version.
    answer=$(LC_ALL=C ldd "$path" 2>&1) || true
    [[ $answer == *"not a dynamic"* || $answer == *"statically linked"* ]]
}

# What is needed whoever runs the engine.
ensure_tools() {
    local missing=() registry_is_new=no
    if ! have docker-registry; then
        missing+=(docker-registry)
        registry_is_new=yes
    fi
    static_busybox || missing+=(busybox-static)
    # cargo needs a linker; a bare Debian has none.
    have cc || missing+=(gcc libc6-dev)
    ((${#missing[@]})) || return 0

    can_install || die "missing on this machine: ${missing[*]} (Debian's package names)" \
        "docker-registry: the CNCF distribution registry, as a binary of that name on PATH" \
        "busybox-static:  a statically linked busybox on PATH" \
        "Install them by hand (this script does so only as root on Debian or Ubuntu), then run it again."
    install_packages "${missing[@]}"
    if [[ $registry_is_new = yes ]]; then switch_off_registry_service; fi
}

# No toolchain is installed from here: that is the user's choice.
require_rust() {
    have cargo && return
    if [[ -x ${CARGO_HOME:-${HOME:-/root}/.cargo}/bin/cargo ]]; then
        die "cargo is installed but not on PATH" "run: . \"${CARGO_HOME:-\$HOME/.cargo}/env\""
    fi
    die "no Rust toolchain: cargo is not on PATH" \
        "Install the stable toolchain with rustup (https://rustup.rs), open a new shell, then run this again."
}

# --------------------------------------------------------------------- engine

# The client decides where to look: DOCKER_HOST, then its context, then the default socket.
engine_version() {
    timeout 10 docker version --format '{{.Server.Version}}' 2>/dev/null </dev/null
}
engine_answers() { have docker && engine_version >/dev/null; }

# A dead engine that the user points at is theirs to start; one that we started
# would listen elsewhere and would never be asked.
refuse_if_pointed_elsewhere() {
    if [[ -n ${DOCKER_HOST-} ]]; then
        die "the engine at DOCKER_HOST=$DOCKER_HOST does not answer" \
            "start it, or unset DOCKER_HOST to have one set up on this machine"
    fi
    local context=default
    if have docker; then context=$(docker context show 2>/dev/null || echo default); fi
    if [[ $context != default ]]; then
        die "the engine of docker context '$context' does not answer" \
            "start it, or run: docker context use default"
    fi
}

install_engine() {
    local packages=()
    have dockerd || packages+=(docker.io)
    have iptables || packages+=(iptables)
    if ! have docker; then
        apt_update_once
        # From Debian 13 on the client is a package of its own.
        if apt_has docker-cli; then packages+=(docker-cli); else packages+=(docker.io); fi
    fi
    install_packages "${packages[@]}"
}

# A pid file outlives a daemon that was killed. dockerd refuses to start while a
# process of that number exists, whatever that process is; so a file that names
# no such daemon is removed. $1: the file, $2: the program it should name.
drop_stale_pid_file() {
    local pid
    [[ -e $1 ]] || return 0
    pid=$(<"$1")
    if [[ $pid =~ ^[0-9]+$ && $(readlink "/proc/$pid/exe" 2>/dev/null) == */"$2"* ]]; then return 0; fi
    say "removing stale $1"
    rm -f "$1"
}

# Fully detached: its own session, no terminal, none of our descriptors (among them
# the set-up lock, and a pipe of make's that would keep a CI job from ending).
spawn_engine() {
    if [[ -e $engine_log ]]; then mv -f "$engine_log" "$engine_log.old"; fi
    (
        for fd in "/proc/$BASHPID/fd"/*; do
            fd=${fd##*/}
            if ((fd > 2)); then eval "exec $fd>&-"; fi
        done
        cd /
        exec setsid dockerd </dev/null >"$engine_log" 2>&1
    ) &
    disown
    engine_pid=$!
}

engine_did_not_start() {
    printf -- '--- last lines of %s\n' "$engine_log" >&2
    tail -n 20 "$engine_log" >&2 || true
    printf -- '---\n' >&2
    die "dockerd did not answer ($1)" \
        "its log: $engine_log" \
        "It needs root with the usual capabilities, cgroups mounted at /sys/fs/cgroup, and working iptables" \
        "(if the log names nf_tables, try: update-alternatives --set iptables /usr/sbin/iptables-legacy)." \
        "In a container, run it with --privileged. Or set DOCKER_HOST to an engine that runs elsewhere."
}

start_engine() {
    local engine_pid="" deadline=$((SECONDS + engine_wait_s))
    drop_stale_pid_file /var/run/docker.pid dockerd
    drop_stale_pid_file /var/run/docker/containerd/containerd.pid containerd
    if [[ -e /var/run/docker.pid ]]; then
        # Somebody's daemon is alive and not answering yet: never start a second one.
        say "dockerd (pid $(<"/var/run/docker.pid")) is running; waiting for its answer"
    else
        say "starting dockerd; its log: $engine_log"
        spawn_engine
    fi
    until engine_answers; do
        if [[ -n $engine_pid && ! -d /proc/$engine_pid ]]; then engine_did_not_start "it ended at once"; fi
        if ((SECONDS >= deadline)); then engine_did_not_start "waited $engine_wait_s s"; fi
        sleep 0.1
    done
}

ensure_engine() {
    if ! engine_answers; then
        refuse_if_pointed_elsewhere
        can_install || die "no Docker engine answers" \
            "Install Docker Engine (or another engine with its API) and start it, or set DOCKER_HOST." \
            "This script installs one only as root on Debian or Ubuntu; here: user $(id -un), system $(os_release ID)."
        install_engine
        start_engine
    fi
    say "engine $(engine_version) answers"
}

# --------------------------------------------------------------------- buildx

# Prints where a working buildx is, when there is one.
find_buildx() {
    local dir
    if docker buildx version >/dev/null 2>&1; then
        echo "docker buildx"
        return
    fi
    for dir in "${private_buildx%/*}" "${DOCKER_CONFIG:-${HOME:-/root}/.docker}/cli-plugins" \
        /usr/local/{lib,libexec}/docker/cli-plugins /usr/{lib,libexec}/docker/cli-plugins; do
        if [[ -x $dir/docker-buildx ]] && "$dir/docker-buildx" version >/dev/null 2>&1; then
            echo "$dir/docker-buildx"
            return
        fi
    done
    return 1
}

# Takes one package of the next Debian release and unpacks it into our own folder.
unpack_next_release_buildx() {
    local release=$1 mirror deb
    apt_update_once
    mirror=$(debian_mirror)
    [[ -n $mirror ]] || die "found no Debian mirror in this machine's apt sources" \
        "put a docker-buildx binary at $private_buildx by hand"
    say "taking docker-buildx of $release from this machine's Debian mirror"
    scratch=$(mktemp -d)
    mkdir "$scratch/root"
    open_scratch_apt "$mirror" "$release"
    (cd "$scratch" && scratch_apt download docker-buildx)
    deb=$(find "$scratch" -maxdepth 1 -name 'docker-buildx_*.deb' -print -quit)
    [[ -n $deb ]] || die "apt downloaded no docker-buildx of $release"
    dpkg -x "$deb" "$scratch/root"
    mkdir -p "${private_buildx%/*}"
    # Moved into place, so that nobody ever sees half a binary.
    install -m 755 "$(find "$scratch/root" -type f -path '*/cli-plugins/docker-buildx' -print -quit)" \
        "$private_buildx.new"
    mv -f "$private_buildx.new" "$private_buildx"
    rm -rf "$scratch"
    scratch=""
}

ensure_buildx() {
    local found release
    if ! found=$(find_buildx); then
        can_install || die "docker buildx is missing" \
            "Install the buildx plugin of your Docker packages (docker-buildx or docker-buildx-plugin)," \
            "or put its binary at $private_buildx"
        release=$(next_release)
        if [[ -n $release ]]; then
            unpack_next_release_buildx "$release"
        else
            apt_update_once
            apt_has docker-buildx || die "apt knows no docker-buildx package here" \
                "put a docker-buildx binary at $private_buildx by hand"
            install_packages docker-buildx
        fi
        found=$(find_buildx) || die "buildx was installed and still does not run" \
            "try: $private_buildx version"
    fi
    say "buildx: $found"
}

# ----------------------------------------------------------------------- main

main() {
    arm_exit
    require_rust
    take_lock
    ensure_tools
    if [[ ${BREAKEVEN_NO_DAEMON:-} = 1 ]]; then
        BREAKEVEN_SETUP_LOCKED=1 "$here/daemonless.sh" 9>&-
        "$here/base-image.sh" buildah 9>&-
    else
        ensure_engine
        ensure_buildx
        "$here/base-image.sh" 9>&-
    fi
    say "ready"
}

main "$@"
