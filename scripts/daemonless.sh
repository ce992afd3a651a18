#!/usr/bin/env bash
# Installs what builds without a Docker daemon: Buildah, and Podman, whose API socket a run can use
# like a Docker engine's. Nothing is started, and no storage, network or configuration of the user's
# is changed. Does nothing where both are there.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
# shellcheck disable=SC2034 # lib.sh names it in messages
readonly script=daemonless
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"

# Podman's packages bring a socket that its service listens on. It is for the user to switch on.
switch_off_podman_socket() {
    if [[ -d /run/systemd/system ]]; then
        systemctl disable --now podman.socket podman.service >&2 || true
    fi
}

missing=()
have buildah || missing+=(buildah)
have podman || missing+=(podman)
if ((${#missing[@]})); then
    can_install || die "missing on this machine: ${missing[*]} (Debian's package names)" \
        "Install them by hand (this script does so only as root on Debian or Ubuntu), then run it again."
    arm_exit
    # setup.sh holds the lock while it runs this.
    if [[ ${BREAKEVEN_SETUP_LOCKED:-} != 1 ]]; then take_lock; fi
    install_packages "${missing[@]}"
    if [[ " ${missing[*]} " == *" podman "* ]]; then switch_off_podman_socket; fi
fi
say "$(buildah --version | cut -d' ' -f1-3), $(podman --version)"
