#!/bin/sh
# setup.sh: bring a Debian 12 machine to the point where tailrace builds and its tests run.
# Does nothing, in a moment, when everything is there. Needs root or sudo only when something is missing.
set -eu

BUILD_PACKAGES="build-essential pkg-config libpq-dev libssl-dev libsqlite3-dev libyaml-dev libjansson-dev
libzstd-dev zlib1g-dev libmariadb-dev librdkafka-dev libavro-dev libcurl4-openssl-dev libmicrohttpd-dev"
CHECK_PACKAGES="clang clang-format cppcheck shellcheck libclang-rt-14-dev libcmocka-dev"
SERVER_PACKAGES="postgresql-15 postgresql-client-15 mariadb-server-core mariadb-client-core mariadb-client"
TEST_PACKAGES="python3 python3-psycopg2 python3-pytest python3-pymysql python3-yaml
python3-confluent-kafka python3-avro openjdk-17-jdk-headless maven openssl
patchelf zstd unzip xz-utils"

case "${1:-}" in
    "") wanted="$BUILD_PACKAGES $CHECK_PACKAGES $SERVER_PACKAGES $TEST_PACKAGES" ;;
    --build-only) wanted="$BUILD_PACKAGES" ;;
    *) echo "usage: setup.sh [--build-only]" >&2; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "setup: this is not a Debian machine; install the equivalents of: $wanted" >&2
    exit 1
fi

# One dpkg-query for all packages: it answers for those it knows and complains about the others.
missing_packages() {
    # shellcheck disable=SC2086  # the lists are split on purpose
    have=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' $wanted 2>/dev/null || true)
    for package in $wanted; do
        case "
$have
" in
            *"
$package installed
"*) ;;
            *) printf '%s ' "$package" ;;
        esac
    done
}

missing=$(missing_packages)
[ -n "$missing" ] || exit 0

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo -- "$@"
    else
        echo "setup: missing packages: $missing" >&2
        echo "setup: install them as root: apt-get install $missing" >&2
        exit 1
    fi
}

apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 \
        -o APT::Install-Recommends=false -o Dpkg::Use-Pty=0 "$@"
}

# A database server that starts by itself on a developer's machine is a nuisance and a risk. While the
# server packages are unpacked, forbid service starts and the making of a default cluster; put both
# settings back afterwards, for they are the machine's and not ours.
policy=/usr/sbin/policy-rc.d
cluster_conf=/etc/postgresql-common/createcluster.conf
made_policy=no
saved_conf=

restore_guards() {
    [ "$made_policy" = no ] || as_root rm -f "$policy"
    [ -z "$saved_conf" ] || as_root mv -f "$saved_conf" "$cluster_conf"
    made_policy=no
    saved_conf=
}

guard_services() {
    trap restore_guards EXIT
    trap 'exit 130' INT TERM HUP
    if [ ! -e "$policy" ]; then
        # shellcheck disable=SC2016
        as_root sh -c 'printf "#!/bin/sh\nexit 101\n" > "$1" && chmod 755 "$1"' sh "$policy"
        made_policy=yes
    fi
    case " $missing " in *" postgresql-15 "*) ;; *) return 0 ;; esac
    # postgresql-common first: its configuration must exist before postgresql-15 reads it.
    apt_get install postgresql-common
    as_root cp -p "$cluster_conf" "$cluster_conf.tailrace-setup"
    saved_conf="$cluster_conf.tailrace-setup"
    # shellcheck disable=SC2016  # $a is sed's
    as_root sed -i -e '/^[# ]*create_main_cluster/d' -e '$a create_main_cluster = false' "$cluster_conf"
}

echo "setup: installing $missing"
apt_get update || echo "setup: apt-get update had errors; going on with the lists at hand" >&2
guard_services
# shellcheck disable=SC2086
apt_get install $missing
restore_guards

missing=$(missing_packages)
[ -z "$missing" ] || { echo "setup: still missing after the installation: $missing" >&2; exit 1; }
