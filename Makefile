# ftk: what is done often, in a command each. Only Go, a C compiler, and pip or npm are needed (for the demo, pip); demo,
# test and the benchmarks install first what they lack (into FTK_HOME, by default ~/.cache/ftk).

# MODEL is for `make demo MODEL=DIR`: another model than MiniLM. PYTHON is for `make golden` and
# `make bench-peers` only: the one needs torch, transformers, onnx, onnxruntime, tokenizers and safetensors, the other torch
# and transformers. PEERS and ARGS are for bench-peers: see docs/performance.md.
GO       ?= go
MODEL    ?=
PEERS    ?= transformers
PYTHON   ?= python3
FUZZTIME ?= 30s
INSTALL   = $(GO) run ./internal/setup/install

.PHONY: help build deps demo test check bench bench-step bench-peers golden fuzz clean

help: ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

build: ## bin/ftk
	$(GO) build -o bin/ftk ./cmd/ftk

deps: ## install the onnxruntime library, OpenBLAS and the demo's model, those that are missing
	@$(INSTALL) -try openblas onnxruntime minilm

demo: build ## the main job on real text: import, fine-tune, export, predict
	@$(INSTALL) -try openblas onnxruntime $(if $(strip $(MODEL)),,minilm)
	@scripts/demo.sh $(if $(strip $(MODEL)),"$(patsubst ~/%,$(HOME)/%,$(MODEL))")

test: ## all tests
	@$(INSTALL) -try openblas,minilm onnxruntime
	@[ -d "$${FTK_SHARED:-../shared}" ] || echo "test: no ../shared (or FTK_SHARED): tests on its models and data sets are skipped"
	$(GO) test ./...

check: ## gofmt, vet, staticcheck, go.mod tidy, generated files up to date
	@scripts/check.sh

bench: ## benchmarks of kernels, operators and whole steps
	@$(INSTALL) -try openblas,minilm onnxruntime
	$(GO) test -run '^$$' -bench . -benchmem ./...

bench-step: ## where the time of a training step goes: MiniLM, 32 x 64 tokens
	@$(INSTALL) -try openblas,minilm onnxruntime
	$(GO) run ./bench/peers -profile 10

bench-peers: ## ftk against PyTorch, alternating (needs PYTHON with torch and transformers; docs/performance.md)
	@$(INSTALL) -try openblas,minilm onnxruntime
	$(GO) run ./bench/peers -python $(PYTHON) -peers $(PEERS) $(ARGS)

golden: ## make the golden values of all tests anew (needs PYTHON with the oracles)
	@scripts/golden.sh $(PYTHON)

fuzz: ## every fuzz target for FUZZTIME
	@scripts/fuzz.sh $(FUZZTIME)

clean: ## remove what was built and the demo's workspace
	rm -rf bin demo
