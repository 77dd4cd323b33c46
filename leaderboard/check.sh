#!/bin/sh
# Checks every bundle under results/, or those given: checksums, schema, anonymity, completeness, and every figure
# rebuilt from what the bundle holds. Exit code 0: all sound; 2: one is not. No network, no image, no method is run.
#
#     leaderboard/check.sh                                   all
#     leaderboard/check.sh leaderboard/results/BENCHMARK/RUN
#
# PYTHON names the interpreter that harmbench is installed in (default: python).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
if [ "$#" -eq 0 ]; then
    for bundle in "$here"/results/*/*/; do
        [ -d "$bundle" ] && set -- "$@" "${bundle%/}"
    done
fi
if [ "$#" -eq 0 ]; then
    echo "no bundle under $(basename "$here")/results"
    exit 0
fi
exec "${PYTHON:-python}" -m harmbench leaderboard validate "$@"
