#!/bin/sh
# demo.sh: a live database is copied and followed while everything is killed, and shown to be equal at the end.
#
#   make demo                   two acts, PostgreSQL to PostgreSQL and MariaDB to PostgreSQL, in less than two minutes; leaves nothing behind
#   PAIR=mariadb-postgresql     one act: any two of postgresql, mysql and mariadb, as source and target
#   PAIR=postgresql-kafka       one act: into a broker's topics, and what a consumer sees of it
#   DEMO_HOLD=1                 go on after the proof until Ctrl-C, with the addresses of both databases printed
#   DEMO_SEED=n                 the same moments for the kills, the same load
set -eu
cd "$(dirname "$0")/.."
export PYTHONDONTWRITEBYTECODE=1
case "${PAIR:-}" in
*-kafka) exec /usr/bin/python3 scripts/demo/kafka_demo.py ;;
*) exec /usr/bin/python3 scripts/demo/demo.py ;;
esac
