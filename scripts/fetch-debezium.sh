#!/bin/sh
# fetch-debezium.sh DIR: the jars of Debezium's embedded engine into DIR/main (PostgreSQL, MySQL) and DIR/mariadb, for the differential
# tests and the benchmark beside it. Idempotent. Needs Java 17 or newer and Maven; what Maven is told of mirrors and proxies holds.
# DEBEZIUM_VERSION picks another version. MariaDB's connector is published up to 3.5.0.Final only, so its folder holds that version.
set -eu

version=${DEBEZIUM_VERSION:-3.6.1.Final}
mariadb=${DEBEZIUM_MARIADB_VERSION:-3.5.0.Final}
dir=${1:?usage: fetch-debezium.sh DIR}

for tool in java javac mvn; do
    command -v "$tool" >/dev/null 2>&1 || { echo "fetch-debezium: $tool is not installed" >&2; exit 1; }
done

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

# The jars are those that were fetched: their names and checksums stand in DIR/sums.
is_complete() {
    [ "$(head -n1 "$dir/sums" 2>/dev/null || true)" = "# $version $mariadb" ] || return 1
    (cd "$dir" && tail -n +2 sums | sha256sum --quiet -c - >/dev/null 2>&1)
}
! is_complete || exit 0

# Two tests at once must not fetch into one folder.
exec 9>"$dir/lock"
flock 9
! is_complete || exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

dependency() {
    echo "    <dependency><groupId>$1</groupId><artifactId>$2</artifactId><version>$3</version></dependency>"
}

# fetch FOLDER VERSION CONNECTOR...
fetch() {
    folder=$1 which=$2
    shift 2
    {
        echo '<?xml version="1.0" encoding="UTF-8"?>'
        echo '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        echo "  <groupId>tailrace.test</groupId><artifactId>debezium-$folder</artifactId><version>1</version><packaging>pom</packaging>"
        echo '  <dependencies>'
        for artifact in debezium-api debezium-embedded debezium-storage-file "$@"; do
            dependency io.debezium "$artifact" "$which"
        done
        dependency com.github.luben zstd-jni 1.5.6-4
        dependency org.slf4j slf4j-simple 1.7.36
        echo '  </dependencies></project>'
    } > "$work/pom.xml"
    rm -rf "${dir:?}/$folder"
    # The end of Maven's complaint says why; the rest is its own business. Maven checks each jar's checksum (-C: a wrong one is an error).
    if ! mvn -q -B -C -Dstyle.color=never -f "$work/pom.xml" \
        org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory="$dir/$folder" > "$work/log" 2>&1; then
        grep -m1 ERROR "$work/log" | cut -c1-300 >&2 || true
        echo "fetch-debezium: the jars of Debezium $which could not be fetched" >&2
        exit 1
    fi
}

rm -f "$dir/sums"
fetch main "$version" debezium-connector-postgres debezium-connector-mysql
fetch mariadb "$mariadb" debezium-connector-mariadb
(cd "$dir" && { echo "# $version $mariadb"; sha256sum main/*.jar mariadb/*.jar; }) > "$work/sums"
mv "$work/sums" "$dir/sums"
