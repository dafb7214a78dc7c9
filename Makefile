# Everything people and CI do here. `make help` lists it.
PYTHONS := python3.11 python3.12 python3.13
PYTHON ?= $(firstword $(foreach name,$(PYTHONS),$(shell command -v $(name))))
HAS_PYTHON = test -n "$(PYTHON)" || { echo "none of $(PYTHONS) is here: install one, or name one: make PYTHON=/path/to/python"; exit 1; }
MACHINE := $(shell uname -sm)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
REQUIREMENTS := $(wildcard requirements/*.txt)

.DEFAULT_GOAL := help
.PHONY: help setup cvat cvat-reports demo test test-nuclio lint lock audit docs bench bench-gpu fuzz serve toy clean

help:  ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(INSTALLED)  ## Build .venv with exactly pinned packages

$(INSTALLED): $(REQUIREMENTS) pyproject.toml
	@$(HAS_PYTHON)
	@test "$(MACHINE)" = "Linux x86_64" || { echo "the functions' packages are pinned for Linux x86_64, this is $(MACHINE). The commands over a CVAT server need less: make cvat"; exit 1; }
	@echo "Python: $(PYTHON)$(if $(findstring 3.11,$(PYTHON)),, (the images have 3.11))"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes -r requirements/build.txt
	$(BIN)/pip install --quiet --require-hashes --no-build-isolation \
		-r requirements/torch.txt -r requirements/runtime.txt -r requirements/cvat.txt -r requirements/deploy.txt \
		-r requirements/dev.txt
	SAM2_BUILD_CUDA=0 $(BIN)/pip install --quiet --require-hashes --no-deps --no-build-isolation -r requirements/models.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

cvat:  ## Only the commands over a CVAT server, in .venv-cvat: small, without torch
	@$(HAS_PYTHON)
	$(PYTHON) -m venv .venv-cvat
	.venv-cvat/bin/pip install --quiet --require-hashes -r requirements/build.txt
	.venv-cvat/bin/pip install --quiet --require-hashes -r requirements/cvat.txt
	.venv-cvat/bin/pip install --quiet --no-deps --no-build-isolation --editable .

cvat-reports: cvat  ## The same, with matplotlib for the charts of promptable effort
	.venv-cvat/bin/pip install --quiet --require-hashes -r requirements/reports.txt

demo: setup  ## Words, clicks, boxes and masks through all three functions; pictures in out/demo/
	$(BIN)/python -m demo

test: setup  ## All tests, in a process for each core, at most four
	$(BIN)/pytest --numprocesses logical --maxprocesses 4 --dist loadfile

test-nuclio: setup  ## The functions under the real Nuclio processor (docs/internals/nuclio-tests.md)
	$(BIN)/pytest -rs tests/nuclio

lint: setup  ## ruff, mypy --strict, import contracts, shellcheck
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	for main in functions/*/main.py; do $(BIN)/mypy $$main || exit 1; done
	$(BIN)/lint-imports
	$(BIN)/shellcheck --external-sources deploy.sh docker/*.sh requirements/*.sh tests/deploy/*.sh

lock: setup  ## Pin requirements/*.in anew, with hashes; pins stay, but for ARGS="--upgrade-package NAME"
	requirements/lock.sh $(ARGS)

audit: setup  ## Known vulnerabilities of the pinned packages; needs the network
	$(BIN)/pip-audit --strict --require-hashes --disable-pip --progress-spinner off \
		$(REQUIREMENTS:%=-r %)

serve: setup  ## The three functions without Docker, on the toy checkpoints; ARGS="--help" for more
	$(BIN)/promptable serve --models toy --labels toy/labels.yaml $(ARGS)

docs: setup  ## Write the generated pages in docs/
	$(BIN)/python -m promptable.config.settings_page > docs/settings.md
	$(BIN)/python -m promptable.config.models_page > docs/models.md

bench: setup  ## Speed against the upstream packages, some 40 minutes, a page in out/bench; ARGS=--quick: seven
	$(BIN)/python -m benchmarks $(ARGS)

bench-gpu: setup  ## Upstream in fp32, upstream in bf16, ours, ours with CUDA graphs: on a GPU, within ten minutes
	$(BIN)/python -m benchmarks gpu

fuzz: setup  ## Mutated pictures, requests, states and labels for 5 minutes; ARGS="--seconds 60"
	$(BIN)/python -m fuzz $(ARGS)

toy: setup  ## Train the toy checkpoints again (hours on a CPU; goes on where it stopped)
	$(BIN)/python -m toy.train_sam
	$(BIN)/python -m toy.train_sam2
	$(BIN)/python -m toy.train_grounding_dino

clean:  ## Remove what the other commands made
	rm -rf $(VENV) .venv-cvat out build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
