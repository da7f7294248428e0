#!/bin/bash
# debian-root.sh SUITE DIR PACKAGE...: unpacks packages of another Debian suite, with all they depend on, in DIR/root.
#
# Nothing is installed. apt itself fetches from the mirror that this machine is configured for and checks the suite's
# signature and each package's hash. The servers are then made to use the libraries below DIR/root, so DIR must stay
# where it is.
set -euo pipefail

[ $# -ge 3 ] || { sed -n '2s/^# //p' "$0" >&2; exit 2; }
suite=$1 packages=("${@:3}")
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
mkdir -p "$2/apt/lists/partial" "$2/apt/archives/partial" "$2/root"
dir=$(cd "$2" && pwd)

# The mirror from which this machine has its own packages: the first one that apt knows for Debian's main archive.
mirror() {
    local found
    # shellcheck disable=SC2016  # the names are apt's
    found=$(apt-get indextargets --format '$(SITE) $(ORIGIN) $(COMPONENT)' 'Created-By: Packages' |
        awk '$2 == "Debian" && $3 == "main" && !/security/ {print $1; exit}')
    [ -n "$found" ] || { echo "debian-root: apt knows no Debian mirror (try apt-get update)" >&2; exit 1; }
    echo "$found"
}

# An empty dpkg status makes apt take every dependency, the C library included.
: >"$dir/apt/status"
echo "deb [signed-by=$keyring] $(mirror) $suite main" >"$dir/apt/sources.list"
# The release file of sid may be past its date on a mirror; its signature is checked all the same.
cat >"$dir/apt/apt.conf" <<CONF
Dir::State "$dir/apt";
Dir::State::status "$dir/apt/status";
Dir::State::lists "$dir/apt/lists";
Dir::Cache "$dir/apt";
Dir::Cache::archives "$dir/apt/archives";
Dir::Etc::sourcelist "$dir/apt/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Sandbox::User "$(id -un)";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
CONF
apt_get() { APT_CONFIG=$dir/apt/apt.conf apt-get -q -y "$@" </dev/null; }

apt_get update
apt_get install --download-only "${packages[@]}"
for package in "$dir"/apt/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x -C "$dir/root" --keep-directory-symlink \
        --exclude=./usr/share/doc --exclude=./usr/share/man --exclude=./usr/share/locale
done
rm -rf "$dir/apt/archives"

libraries=lib/$(uname -m)-linux-gnu
# The dynamic loader, under the name it has in newer suites or in older ones.
loader=$(find "$dir/root" \( -name 'ld-linux-x86-64.so.2' -o -name 'ld-2.*.so' \) -path "*/$libraries/*" | sort | head -n 1)
[ -n "$loader" ] || { echo "debian-root: no dynamic loader among the packages of $suite" >&2; exit 1; }
while IFS= read -r program; do
    [ "$(head -c 4 "$program" | tail -c 3)" = ELF ] || continue
    patchelf --set-interpreter "$loader" --force-rpath \
        --set-rpath "$dir/root/usr/$libraries:$dir/root/$libraries" "$program"
done < <(find "$dir"/root/usr/lib/postgresql/*/bin "$dir/root/usr/bin" "$dir/root/usr/sbin" -type f \
    \( -path '*/postgresql/*' -o -name 'my*' -o -name 'mariadb*' -o -name resolveip \) 2>/dev/null)
