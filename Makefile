# argen: all that people type. `make` alone lists it.

VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.installed
# The first of these that runs and is Python 3.11 or newer; `make PYTHON=/path/to/python3` overrides
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
            if $$p -c 'import sys; sys.exit(sys.version_info < (3,11))' 2>/dev/null; then echo $$p; break; fi; done)

.DEFAULT_GOAL := help
.PHONY: help demo test export lab docs rerun clean

help: ## Show this list
	@echo "argen: write scenarios, train with GRPO against a written policy, compare with intervals"
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-6s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) ## Install into .venv (once), then run the whole loop on the embedded defaults
	$(BIN)/argen demo $(ARGS)

test: $(READY) ## Install into .venv (once), then prove that notebooks, library and docs agree
	@$(BIN)/python .ci/check.py $(ARGS)

export: $(READY) ## Format the notebooks and write the library from them
	@$(BIN)/python .ci/export.py

lab: $(READY) ## Open the tutorials in JupyterLab
	$(BIN)/jupyter lab nbs/tutorials $(ARGS)

docs: $(READY) ## Build the docs site in _docs/, and README.md from the index notebook
	@$(BIN)/python .ci/docs.py $(ARGS)

rerun: $(READY) ## Run all notebooks again in place, slow cells included (hours), and say which outputs changed
	@$(BIN)/python .ci/rerun.py $(ARGS)

clean: ## Remove what can be made again, but not .venv (the installation) or runs (your results)
	rm -rf _docs _proc build dist
	find argen nbs .ci \( -name __pycache__ -o -name .ipynb_checkpoints -o -name .last_checked \) -prune -exec rm -rf {} +

$(BIN)/python:
	@if [ -z "$(PYTHON)" ]; then echo "argen needs Python 3.11 or newer: install it, or name it with 'make PYTHON=/path/to/python3 ...'" >&2; exit 2; fi
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

$(READY): settings.ini setup.py | $(BIN)/python
	@echo "Installing argen into $(VENV): about 2.5 GB with PyTorch, some minutes, only once"
	@$(BIN)/python .ci/metadata.py
	@$(BIN)/python -m pip install -e '.[dev]'
	@touch $@
	@echo "Installed."
