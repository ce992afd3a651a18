#!/usr/bin/env bash
# What `make test` needs beyond setup.sh: shellcheck, zstd, a browser, and the published schemas of
# CI systems, which exported snippets are held against. Safe to run as often as you like.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
# shellcheck disable=SC2034 # lib.sh names it in messages
readonly script=test-tools
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
# Pinned, so that a test fails for a reason of ours only.
readonly schemas_version=0.39.0
readonly schemas="$data_dir/schemas"

can_make_venv() { python3 -c 'import venv, ensurepip' 2>/dev/null; }

ensure_packages() {
    local missing=()
    have shellcheck || missing+=(shellcheck)
    # An archive that the zstd program packed must load.
    have zstd || missing+=(zstd)
    # The report's page is looked at in a real browser.
    have chromium || missing+=(chromium)
    can_make_venv || missing+=(python3-venv)
    ((${#missing[@]})) || return 0
    can_install || die "missing on this machine: ${missing[*]} (Debian's package names)" \
        "Install them by hand (this script does so only as root on Debian or Ubuntu), then run it again."
    install_packages "${missing[@]}"
}

# check-jsonschema brings the schemas. In a place of its own, away from all else that is Python here.
ensure_schemas() {
    if [[ $("$schemas/bin/check-jsonschema" --version 2>/dev/null) == *" $schemas_version" ]]; then return; fi
    say "installing check-jsonschema $schemas_version into $schemas"
    python3 -m venv --clear "$schemas" >&2 9>&-
    "$schemas/bin/python" -m pip install --quiet --disable-pip-version-check \
        "check-jsonschema==$schemas_version" >&2 9>&- ||
        die "check-jsonschema could not be installed" "try: $schemas/bin/pip install check-jsonschema"
}

arm_exit
take_lock
ensure_packages
ensure_schemas
say "ready"
