# Shared by the scripts beside it, which source it: messages, the machine, packages.
# The sourcing script sets `script` to its name before.
# shellcheck shell=bash

readonly data_dir="${XDG_DATA_HOME:-${HOME:-/root}/.local/share}/breakeven"

# Undone at exit, whatever the way out: see on_exit.
scratch=""
policy_file=""
apt_updated=no

# shellcheck disable=SC2154 # set by whoever sources this
say() { printf '%s: %s\n' "$script" "$*" >&2; }

# One message, then out. Further arguments are lines of advice.
die() {
    printf '%s: error: %s\n' "$script" "$1" >&2
    shift
    if (($#)); then printf '       %s\n' "$@" >&2; fi
    exit 1
}

on_exit() {
    # A root file system that was left in the middle of its making has things mounted.
    if [[ -n $scratch ]]; then
        if [[ -d $scratch/root/proc ]]; then umount -q "$scratch/root/proc" "$scratch/root/sys" || true; fi
        rm -rf --one-file-system "$scratch"
    fi
    if [[ -n $policy_file ]]; then rm -f "$policy_file"; fi
}

# Cleans up however the script ends.
arm_exit() {
    trap on_exit EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

have() { command -v "$1" >/dev/null 2>&1; }

# ---------------------------------------------------------------- the machine

is_root() { [[ $(id -u) -eq 0 ]]; }

# Value of a key of os-release, empty when there is none.
os_release() {
    if [[ -r /etc/os-release ]]; then (
        # shellcheck disable=SC1091
        . /etc/os-release
        printf '%s' "${!1-}"
    ) fi
}

is_debian_family() {
    case " $(os_release ID) $(os_release ID_LIKE) " in
        *" debian "* | *" ubuntu "*) have apt-get ;;
        *) return 1 ;;
    esac
}

# True when this script may install packages here.
can_install() { is_root && is_debian_family; }

# One set-up at a time: a second one waits, then finds everything in place.
take_lock() {
    local dir=$data_dir
    # Root shares the machine's engine and packages, whatever its HOME; anybody else
    # changes only what is theirs.
    if is_root && [[ -d /run/lock ]]; then dir=/run/lock; fi
    mkdir -p "$dir"
    # A separate descriptor, kept open until this script ends.
    exec 9>"$dir/breakeven-setup.lock"
    flock --wait 900 9 || die "another set-up has held $dir/breakeven-setup.lock for 15 minutes"
}

# ------------------------------------------------------------------- packages

apt_get() {
    # The lock's descriptor is closed: nothing that a package starts may hold it.
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" </dev/null >&2 9>&-
}

apt_update_once() {
    if [[ $apt_updated = no ]]; then
        say "apt-get update"
        apt_get update
        apt_updated=yes
    fi
}

# True when apt knows an installable version of the package.
apt_has() {
    local candidate
    candidate=$(LC_ALL=C apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: //p')
    [[ -n $candidate && $candidate != "(none)" ]]
}

# Debian starts the services of packages that it installs. We start what we need
# ourselves, so this says no for as long as this script runs.
forbid_service_starts() {
    [[ -e /usr/sbin/policy-rc.d ]] && return
    policy_file=/usr/sbin/policy-rc.d
    printf '#!/bin/sh\nexit 101\n' >"$policy_file"
    chmod 755 "$policy_file"
}

install_packages() {
    (($#)) || return 0
    apt_update_once
    say "installing $*"
    forbid_service_starts
    # --no-remove: a package of the user's is never taken away for one of ours.
    apt_get install --yes --no-remove --no-install-recommends "$@" ||
        die "apt-get could not install: $*" "its own message is above; install them by hand and run this again"
}

# The next Debian release, which has the modern engine and buildx; empty when not known.
next_release() {
    case $(os_release VERSION_CODENAME) in
        bullseye | bookworm) echo trixie ;;
    esac
}

# Where this machine's apt takes the release itself from (not its updates): asked
# of apt, which reads both formats of its sources.
debian_mirror() {
    # shellcheck disable=SC2016 # apt's own placeholders
    apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Identifier: Packages' |
        awk -v release="$(os_release VERSION_CODENAME)" \
            '($1 == release || $1 == "stable") && $2 == "main" { print $3; exit }'
}

# apt with sources, lists and cache in $scratch: the system's apt sees nothing of it.
# $1: a mirror, $2: a release of Debian.
open_scratch_apt() {
    local kind keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    mkdir -p "$scratch"/apt/{parts,lists/partial,cache/archives/partial}
    for kind in deb deb-src; do
        printf '%s [signed-by=%s] %s %s main\n' "$kind" "$keyring" "$1" "$2"
    done >"$scratch/apt/sources.list"
    scratch_apt update
}

scratch_apt() {
    local apt=$scratch/apt options
    options=(
        -o "Dir::Etc::SourceList=$apt/sources.list" -o "Dir::Etc::SourceParts=$apt/parts"
        -o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt/cache"
        -o Dir::Etc::Preferences=/dev/null -o "Dir::Etc::PreferencesParts=$apt/parts"
        # Only the index of packages is of use here.
        -o Acquire::Languages=none -o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false
        # The scratch folder is root's alone, so apt's helper user could not write there.
        -o APT::Sandbox::User=root
    )
    apt_get "${options[@]}" "$@"
}
