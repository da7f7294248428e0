#!/bin/sh
# demo.sh: a live database is copied and followed while everything is killed, and shown to be equal at the end.
#
#   make demo                   about a minute; ends by itself, leaves nothing behind
#   PAIR=postgresql-postgresql  the source and the target product (default)
#   DEMO_HOLD=1                 go on after the proof until Ctrl-C, with the addresses of both databases printed
#   DEMO_SEED=n                 the same moments for the kills, the same load
set -eu
cd "$(dirname "$0")/.."
export PYTHONDONTWRITEBYTECODE=1
exec /usr/bin/python3 scripts/demo/demo.py
