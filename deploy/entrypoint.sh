#!/bin/sh
# What a container runs: `test` is the tests of the clone inside it, anything else a command of regimen.
set -eu
if [ "${1:-}" = test ]; then
    shift
    cd /home/regimen/source
    pip install --quiet --constraint constraints.txt --editable ".[dev,docs,plots]"
    exec python -m pytest -m "not full" "$@"
fi
exec regimen "$@"
