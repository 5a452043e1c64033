#!/usr/bin/env bash
# Makes golden values anew: runs the script beside each set of them.   scripts/golden.sh [PYTHON]
# The scripts are the Python files in testdata directories; each writes beside itself.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-python3}
git ls-files -- 'testdata/*.py' '*/testdata/*.py' | while read -r script; do
    echo "== $script"
    "$python" "$script" </dev/null
done
git status --short -- '*testdata*'
