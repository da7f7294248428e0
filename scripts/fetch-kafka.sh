#!/bin/sh
# fetch-kafka.sh DIR: the jars of an Apache Kafka broker into DIR, for tests and the demonstration. Idempotent.
# Needs Java 17 or newer and Maven; what Maven is told of mirrors and proxies holds. KAFKA_VERSION picks another version.
set -eu

version=${KAFKA_VERSION:-4.3.1}
dir=${1:?usage: fetch-kafka.sh DIR}

for tool in java mvn; do
    command -v "$tool" >/dev/null 2>&1 || { echo "fetch-kafka: $tool is not installed" >&2; exit 1; }
done

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
[ "$(cat "$dir/done" 2>/dev/null || true)" != "$version" ] || exit 0

# Two tests at once must not fetch into one folder.
exec 9>"$dir/lock"
flock 9
[ "$(cat "$dir/done" 2>/dev/null || true)" != "$version" ] || exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/pom.xml" <<POM
<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>tailrace.test</groupId>
  <artifactId>kafka-fetch</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$version</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
POM
rm -f "$dir"/*.jar
# The end of Maven's complaint says why; the rest is its own business.
if ! mvn -q -B -Dstyle.color=never -f "$work/pom.xml" \
    org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$dir" > "$work/log" 2>&1; then
    grep -m1 ERROR "$work/log" | cut -c1-300 >&2 || true
    echo "fetch-kafka: the jars of Kafka $version could not be fetched" >&2
    exit 1
fi
echo "$version" > "$dir/done"
