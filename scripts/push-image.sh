#!/usr/bin/env bash
# Builds Breakeven's own image and pushes it to $REPOSITORY, carrying its build cache there by the
# strategy that won when it was measured (docs/results.md): packaging/image/build.sh does the work.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
# shellcheck disable=SC2034 # lib.sh names it in messages
readonly script=push-image
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"

[[ -n ${REPOSITORY-} ]] || die "REPOSITORY is not set" "such as: make push-image REPOSITORY=registry.example/team/breakeven"
arm_exit
if ! docker buildx version >/dev/null 2>&1; then
    # setup.sh may have put buildx where no docker client looks: a configuration of our own names it,
    # with the logins of the user's.
    scratch=$(mktemp -d)
    theirs=${DOCKER_CONFIG:-${HOME:-/root}/.docker}/config.json
    if [[ -f $theirs ]]; then cp "$theirs" "$scratch/"; fi
    ln -s "$data_dir/cli-plugins" "$scratch/cli-plugins"
    export DOCKER_CONFIG=$scratch
fi
cd "$here/../packaging/image"
./build.sh
