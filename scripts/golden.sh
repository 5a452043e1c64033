#!/usr/bin/env bash
# Makes golden values anew with the scripts beside them.   scripts/golden.sh [PYTHON]
#
# Runs every Python file in a testdata directory, from the project's root. A script that needs arguments, or prints the
# values, says how it is run in one or more lines of its own:
#     # golden: $PYTHON path/script.py --flag $MINILM > path/values.json
# What a script prints replaces the file when the script is done.
set -euo pipefail
cd "$(dirname "$0")/.."
export PYTHON=${1:-python3}
MINILM=$(${GO:-go} run ./internal/setup/install -where minilm)
export MINILM

git ls-files -- 'testdata/*.py' '*/testdata/*.py' | while read -r script; do
    runs=$(sed -n 's/^# golden: //p' "$script")
    while read -r run; do
        echo "== $run"
        case $run in
        *' > '*)
            to=${run##* > }
            bash -euc "${run% > *} > $to.new" </dev/null || { rm -f "$to.new"; exit 1; }
            mv "$to.new" "$to"
            ;;
        *) bash -euc "$run" </dev/null ;;
        esac
    done <<<"${runs:-\$PYTHON $script}"
done
git status --short -- '*testdata*'
