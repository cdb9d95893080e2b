# Two commands do all the set-up: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test torch check lint types bench soak screenshots clean help

help:
	@echo "make demo   upscale sample pictures and a video on this machine (installs what it needs)"
	@echo "make test   the quick tests (installs what it needs)"
	@echo "make check  lint, types and tests"
	@echo "make torch  install PyTorch, so that make test tests local/torch, too"
	@echo "make bench  measurements, side by side in one run"
	@echo "make soak   long chaos runs"
	@echo "make screenshots   the pictures in the README, from real runs"

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "batchup needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "could not make a virtual environment; on Debian: apt-get install python3-venv"; exit 1; }
	@echo "installing batchup and its tools into $(VENV) (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: $(READY)
	@$(BIN)/python jobs/samples.py demo/photos
	@$(BIN)/batchup run jobs/demo.yaml
	@echo
	@echo "Compare demo/photos with demo/upscaled. Then try:"
	@printf '  %s\n      %s\n' \
	  "$(BIN)/batchup plan jobs/demo.yaml" "what a run would do now, and why" \
	  "$(BIN)/batchup status jobs/demo.yaml" "how the job stands, also while it runs" \
	  "$(BIN)/batchup explain jobs/demo.yaml demo/photos/mountains.jpg" "all that is known of one photo" \
	  "rm -r demo/upscaled; make demo" "all again: stop it by Ctrl-C, then make demo goes on" \
	  "rm demo/upscaled/moon-*; make demo" "what is gone is made again, and nothing else" \
	  "in jobs/demo.yaml change [2, 4] to [2, 3], then plan" "what a change means, before it happens" \
	  "$(BIN)/batchup init FOLDER" "a manifest for pictures of your own"

test: $(READY)
	@$(BIN)/python -m pytest -n auto --dist worksteal

torch: $(READY)
	@echo "installing PyTorch into $(VENV), for the tests of local/torch ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c .ci/constraints.txt -e '.[torch]'

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(READY)
	@$(BIN)/mypy

check: lint types test

bench: $(READY)
	@$(BIN)/python -m pytest -m bench -n 0 -s tests/benchmarks

soak: $(READY)
	@$(BIN)/python -m pytest -m soak -n 0 tests

screenshots: $(READY)
	@$(BIN)/python .github/record.py .github/session.svg
	@$(BIN)/python .github/photograph.py .github

clean:
	rm -rf $(VENV) demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
