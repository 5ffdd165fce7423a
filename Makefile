# `make reproduce` runs the whole experiment, `make replay` the one on real models, and `make test` checks the code.
# All need Python 3.11, pip and make, and install everything else into .venv first.

TORCH_VERSION := 2.13.0
TORCH_INDEX_URL ?=
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
# Written last, so that an installation that was cut short is never taken for a whole one.
INSTALLED := $(VENV)/.installed-torch-$(TORCH_VERSION)

# The interpreter behind python3.11 or python3, outside any environment.
ifndef PYTHON
PYTHON := $(shell for p in python3.11 python3; do \
	$$p -c 'import sys; sys.version_info >= (3, 11) or sys.exit(1); print(sys._base_executable)' 2>/dev/null && break; done)
endif

# Jobs that say `python` get the one of .venv.
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Threads that wait must not take a core from threads that work.
export OMP_WAIT_POLICY := PASSIVE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install reproduce replay seeds test test-endurance test-slurm test-vllm bench docs lint format lock wheel rules clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  PYTHON=...           interpreter to build .venv with (3.11 or newer)"
	@echo "  TORCH_INDEX_URL=...  package index to take torch from"
	@echo "  SEEDS=... WORLD=...  seeds to run for \`make seeds\` (1 2 3 4 5), and an overlay such as config/world.yaml"
	@echo "  ARGS=...             more options, for reproduce and replay (see python -m trim.reproduce --help), for bench or pytest"

install: $(INSTALLED) ## set up .venv

# The experiment on real models, whose steps lie in the repository.
REPLAYED := qwen_gsm8k
ARCHIVE := data/replay/$(REPLAYED)
replay = $(BIN)/python -m trim.reproduce $(ARGS) --replay $(ARCHIVE) --configfile config/$(REPLAYED).yaml

# Who names another experiment wants that one alone.
reproduce: $(INSTALLED) ## run the whole experiment, then the replay; start it again after a kill
	@$(BIN)/python -m trim.reproduce $(ARGS)
	@$(if $(findstring --config,$(ARGS)),,$(if $(wildcard $(ARCHIVE)/manifest.json),$(replay)))

replay: $(INSTALLED) ## run the experiment on real models from its archive, without any model
	@$(replay)

# Each seed has results of its own; what is finished stays, so that it can be started again.
SEEDS := 1 2 3 4 5
WORLD :=
run := $(if $(WORLD),$(basename $(notdir $(WORLD)))-)seed

seeds: $(INSTALLED) ## run everything anew, from the problems on, with each of SEEDS; count in how many each claim holds
	@set -e; for seed in $(SEEDS); do \
	  $(BIN)/python -m trim.reproduce --configfile $(WORLD) config/seeds.yaml --config experiment=$(run)-$$seed seed=$$seed $(ARGS); \
	done
	@$(BIN)/trim seeds $(SEEDS:%=results/$(run)-%) --out results/$(run)s \
	  $(if $(wildcard results/embedded/tables/claims.csv),--beside results/embedded)

test: lint ## check style and types, then run all tests
	$(BIN)/python -m pytest --numprocesses logical --dist worksteal $(ARGS)

bench: $(INSTALLED) ## measure what the parts cost beside the straightforward way, for docs/performance.md
	$(BIN)/python -m benchmarks --write $(ARGS)

# What MkDocs says of its own future is no warning about the pages.
docs: $(INSTALLED) ## build the site of docs/ into site/, without the network
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict $(ARGS)

# Part of it needs root, to mount small disks; all of it takes half an hour on two cores.
test-endurance: $(INSTALLED) ## kill runs, fill disks, damage files, feed nonsense: what `make test` does a little, at length
	TRIM_TEST_ENDURANCE=1 TRIM_TEST_INPUTS=10000 $(BIN)/python -m pytest tests/endurance tests/property $(ARGS)

test-slurm: $(INSTALLED) ## run the smoke experiment on a real SLURM of one node; needs Debian and root
	TRIM_TEST_SLURM=1 $(BIN)/python -m pytest tests/slurm $(ARGS)

# vLLM has an environment of its own: it pins other versions than ours. Not part of `make test`: 2.5 GB.
VLLM_INSTALLED := .venv-vllm/.installed

test-vllm: $(INSTALLED) $(VLLM_INSTALLED) ## run TRIM-Thr through real vLLM servers, on the CPU
	TRIM_TEST_VLLM=$(CURDIR)/.venv-vllm/bin/python $(BIN)/python -m pytest tests/vllm -s $(ARGS)

lint: $(INSTALLED) ## check style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/mypy

format: $(INSTALLED) ## put all files into the house format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/snakefmt Snakefile workflow

wheel: $(INSTALLED) ## build a wheel into dist/, the workflow inside: pip installs it, `trim run` runs it
	$(BIN)/python -m pip wheel --no-deps --wheel-dir dist .

apptainer.def: Dockerfile src/trim/documents/apptainer.py $(INSTALLED)
	$(BIN)/python -m trim.documents.apptainer < Dockerfile > $@

rules: $(INSTALLED) ## draw the graph of rules again: docs/rules.md
	$(BIN)/snakemake --rulegraph --forceall | $(BIN)/python -m trim.documents.rulegraph > docs/rules.md

clean: ## remove caches and builds; results and .venv stay
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist site
	find src tests workflow benchmarks -name __pycache__ -prune -exec rm -rf {} +

# torch comes first and by itself, so that a CPU build is taken where one is offered.
define install_torch
$(1)/bin/python -m pip install $(if $(TORCH_INDEX_URL),--index-url $(TORCH_INDEX_URL)) torch==$(TORCH_VERSION)
endef

# Some systems split `ensurepip` off; there, pip is put into the new environment from outside.
define create_venv
@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	{ echo "make: no Python 3.11 or newer found; install it, or say make PYTHON=/path/to/python3.11" >&2; exit 1; }
"$(PYTHON)" -m venv --clear $(1) || { "$(PYTHON)" -m venv --clear --without-pip $(1) && \
	"$(PYTHON)" -m pip --python $(1)/bin/python install pip; }
endef

# Always from nothing: pip would trust what a killed installation left half-written.
$(INSTALLED): requirements.lock pyproject.toml
	$(call create_venv,$(VENV))
	$(call install_torch,$(VENV))
	$(BIN)/python -m pip install --requirement requirements.lock
	$(BIN)/python -m pip install --no-deps --editable .
	$(BIN)/python -m pip check
	@touch $@

$(VLLM_INSTALLED): tests/vllm/requirements.txt
	$(call create_venv,.venv-vllm)
	$(call install_torch,.venv-vllm)
	.venv-vllm/bin/python -m pip install --no-deps --requirement tests/vllm/requirements.txt
	@touch $@

lock: ## renew requirements.lock with the newest versions that pyproject.toml allows
	$(call create_venv,.venv-lock)
	$(call install_torch,.venv-lock)
	.venv-lock/bin/python -m pip install --editable '.[dev,docs,serve,slurm]'
	{ echo "# Every package of the environment, pinned. Written by \`make lock\` from pyproject.toml."; \
	  echo "# torch and what belongs to its GPU builds are left out: the Makefile installs torch first, by itself."; \
	  .venv-lock/bin/python -m pip freeze --exclude-editable | grep -viE '^(torch|triton|nvidia-|cuda-)'; \
	} > requirements.lock.new
	mv requirements.lock.new requirements.lock
	rm -rf .venv-lock
