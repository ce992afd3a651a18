#!/usr/bin/env bash
# A Debian package of a binary: deb.sh [BINARY [FOLDER]], by default dist/breakeven into dist/. Manual
# pages and completions come from the binary itself. The same binary gives the same package:
# time stamps are the last commit's (or SOURCE_DATE_EPOCH). DEBFULLNAME and DEBEMAIL, as Debian's own
# tools take them, say who answers for the package.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
# shellcheck disable=SC2034 # lib.sh names it in messages
readonly script=deb
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
top=$(dirname "$here")
readonly top

arm_exit
binary=${1:-$top/dist/breakeven}
folder=${2:-$top/dist}
[[ -x $binary ]] || die "there is no program $binary" "Make it with scripts/dist.sh, or name another one."
have dpkg-deb || die "there is no dpkg-deb here" "Debian and Ubuntu have it; on others: package dpkg."
version=$("$binary" --version | cut -d ' ' -f 2)
architecture=$(dpkg --print-architecture)
maintainer="${DEBFULLNAME:-The Breakeven developers} <${DEBEMAIL:-breakeven@localhost}>"
epoch=${SOURCE_DATE_EPOCH:-$(git -C "$top" log -1 --format=%ct)}

scratch=$(mktemp -d)
root=$scratch/root
share=$root/usr/share
mkdir -p "$root/DEBIAN" "$share/doc/breakeven" "$share/bash-completion/completions" \
    "$share/zsh/vendor-completions" "$share/fish/vendor_completions.d"
install -D -m 755 "$binary" "$root/usr/bin/breakeven"
"$binary" man --out "$share/man/man1"
"$binary" completions bash >"$share/bash-completion/completions/breakeven"
"$binary" completions zsh >"$share/zsh/vendor-completions/_breakeven"
"$binary" completions fish >"$share/fish/vendor_completions.d/breakeven.fish"
cp "$top/CHANGELOG.md" "$top/README.md" "$share/doc/breakeven/"
# What apt shows before it installs a version has a form of its own.
printf 'breakeven (%s) unstable; urgency=medium\n\n  * What is new: /usr/share/doc/breakeven/CHANGELOG.md\n\n -- %s  %s\n' \
    "$version" "$maintainer" "$(LC_ALL=C date --utc --rfc-email --date="@$epoch")" \
    >"$share/doc/breakeven/changelog"
# What the help and messages name.
install -D -m 644 -t "$share/doc/breakeven/docs" "$top"/docs/*.md "$top"/docs/*.schema.json
{
    printf 'Breakeven may be used under either of two licences.\n\n'
    cat "$top/LICENSE-MIT"
    printf '\nOr the Apache License, version 2.0: /usr/share/common-licenses/Apache-2.0\n'
} >"$share/doc/breakeven/copyright"
# -n: neither name nor time of the source gets into the file.
gzip -9 -n "$share"/man/man1/*.1 "$share/doc/breakeven/changelog"

# A static binary needs nothing; a dynamic one the C library that it was linked with, or a later one.
depends=""
# ldd fails for a static one. Not piped into `grep -q`, which leaves early: ldd then dies of it, and
# under pipefail a dynamic binary would be taken for a static one, now and then.
linked=$(ldd "$binary" 2>/dev/null || true)
if [[ $linked = *libc.so* ]]; then
    libc=$(objdump -T "$binary" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1)
    depends="Depends: libc6 (>= ${libc#GLIBC_}), libgcc-s1"
fi
{
    printf '%s\n' \
        "Package: breakeven" \
        "Version: $version" \
        "Architecture: $architecture" \
        "Maintainer: $maintainer" \
        "Installed-Size: $(du -sk --apparent-size "$root/usr" | cut -f 1)" \
        "Section: devel" \
        "Priority: optional" \
        "Recommends: docker.io | docker-ce | podman | buildah" \
        "Suggests: docker-buildx, docker-registry" \
        "Description: decides whether an image build cache pays off in CI" \
        " Runs the same container-image build the way a CI job would, with and without" \
        " a cache that is carried from one job to the next, times every phase, and ends" \
        " in a verdict with an interval, or in \"undecided\"."
    if [[ -n $depends ]]; then printf '%s\n' "$depends"; fi
} >"$root/DEBIAN/control"
(cd "$root" && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"

find "$root" -exec chmod u=rwX,go=rX {} + -exec touch --no-dereference --date="@$epoch" {} +
mkdir -p "$folder"
package=$folder/breakeven_${version}_$architecture.deb
SOURCE_DATE_EPOCH=$epoch dpkg-deb --root-owner-group --build "$root" "$scratch/package.deb" >&2
mv "$scratch/package.deb" "$package"
say "made $package, $(stat -c %s "$package") bytes"
