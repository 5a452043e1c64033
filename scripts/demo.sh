#!/usr/bin/env bash
# The main job of ftk on the intent data of testdata/intents, in the folder demo/.
#   scripts/demo.sh [MODEL]     MODEL: a directory of a BERT-family model; default: the MiniLM that `make deps` installs
set -euo pipefail
cd "$(dirname "$0")/.."
GO=${GO:-go}
model=${1:-$($GO run ./internal/setup/install -where minilm)}
data=testdata/intents
started=$SECONDS

ftk() {
    echo
    echo "\$ ftk $*"
    bin/ftk -C demo "$@"
}

rm -rf demo
mkdir demo
ftk import "$model"
ftk finetune --head classify --data $data/train.csv --eval $data/dev.csv --freeze none \
    --epochs 4 --batch-size 16 --lr 2e-4 --head-lr 2e-3 --max-length 64 --seed 1
ftk export --out demo/export
ftk predict --model demo/export \
    --text "my books are due tomorrow and I haven't finished them, any chance of a few more days?" \
    --text "the photocopier on the second floor keeps eating my coins" \
    --text "is the reading room open on Easter Monday"
echo
echo "demo: done in $((SECONDS - started)) s; the model is in demo/export"
