#!/usr/bin/env bash
# What `make check` runs. Reports all faults, not only the first; exits 1 if there is one.
set -uo pipefail
cd "$(dirname "$0")/.."
GO=${GO:-go}
status=0
fault() { echo "check: $1" >&2; status=1; }

unformatted=$(git ls-files -z --cached --others --exclude-standard -- '*.go' | xargs -0 -r "$($GO env GOROOT)/bin/gofmt" -l) || fault "gofmt failed"
[ -z "$unformatted" ] || fault "not formatted; run: gofmt -w $(echo $unformatted)"
$GO vet ./... || fault "go vet"
$GO tool staticcheck ./... || fault "staticcheck"
untidy=$($GO mod tidy -diff) || { head -30 <<<"$untidy"; fault "go.mod or go.sum is not tidy; run: go mod tidy"; }

# Generated files: generating again must change nothing, whatever else is changed and not committed yet.
state() { git status --porcelain --untracked-files=all; git diff; }
before=$(state)
if $GO generate ./...; then
    [ "$before" = "$(state)" ] || { git status --short; fault "generated files were out of date; they are made anew now: commit them"; }
else
    fault "go generate"
fi

# What a clone elsewhere cannot use, and what makes a repository heavy.
big=$(git ls-files -z | xargs -0 -r -n1 sh -c '[ ! -f "$0" ] || [ "$(wc -c <"$0")" -le 1000000 ] || echo "$0"')
[ -z "$big" ] || fault "files over 1 MB: $big"

[ $status = 0 ] && echo "check: all well"
exit $status
