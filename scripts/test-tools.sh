#!/usr/bin/env bash
# What `make test` needs beyond setup.sh: shellcheck, zstd, groff, a browser, the published schemas of
# CI systems, which exported snippets are held against, and programs of others that read what we
# write. Safe to run as often as you like.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
# shellcheck disable=SC2034 # lib.sh names it in messages
readonly script=test-tools
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
# Pinned, so that a test fails for a reason of ours only.
readonly schemas_version=0.39.0
# Readers of OpenMetrics text and of OpenTelemetry's messages.
readonly readers=(prometheus-client==0.26.0 opentelemetry-proto==1.45.2)
readonly schemas="$data_dir/schemas"

can_make_venv() { python3 -c 'import venv, ensurepip' 2>/dev/null; }

ensure_packages() {
    local missing=()
    have shellcheck || missing+=(shellcheck)
    # An archive that the zstd program packed must load.
    have zstd || missing+=(zstd)
    # Manual pages are rendered.
    have groff || missing+=(groff-base)
    # The report's page is looked at in a real browser.
    have chromium || missing+=(chromium)
    can_make_venv || missing+=(python3-venv)
    ((${#missing[@]})) || return 0
    can_install || die "missing on this machine: ${missing[*]} (Debian's package names)" \
        "Install them by hand (this script does so only as root on Debian or Ubuntu), then run it again."
    install_packages "${missing[@]}"
}

# check-jsonschema brings the schemas. All in a place of its own, away from all else that is Python here.
ensure_schemas() {
    local wanted="check-jsonschema==$schemas_version ${readers[*]}"
    if [[ -f $schemas/installed && $(<"$schemas/installed") == "$wanted" ]]; then return; fi
    say "installing $wanted into $schemas"
    python3 -m venv --clear "$schemas" >&2 9>&-
    "$schemas/bin/python" -m pip install --quiet --disable-pip-version-check \
        "check-jsonschema==$schemas_version" "${readers[@]}" >&2 9>&- ||
        die "they could not be installed" "try: $schemas/bin/pip install $wanted"
    printf '%s' "$wanted" >"$schemas/installed"
}

arm_exit
take_lock
ensure_packages
ensure_schemas
say "ready"
