#!/usr/bin/env bash
# Runs every fuzz target of the module, one after the other.   scripts/fuzz.sh [TIME]
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-30s}
git ls-files -- '*_test.go' | xargs grep -H -o -E '^func Fuzz[A-Za-z0-9_]+' | while IFS=: read -r file func; do
    target=${func#func }
    echo "== $target in ./$(dirname "$file") for $time"
    ${GO:-go} test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "./$(dirname "$file")"
done
