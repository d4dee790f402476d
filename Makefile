# The one way in. Every target sets up what it needs; doing one twice does no work twice.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: help run test coverage lint format faults e2e bench lock venv clean

help:
	@echo "make run     set up, then a registry on http://127.0.0.1:5000 with its data in ./var"
	@echo "make test    set up, then the whole test suite"
	@echo "make lint    formatting, imports, types"
	@echo "make faults  kills, broken disks and power cuts (root for the disks)"
	@echo "make e2e     real clients against a real daemon (root, Debian 12)"
	@echo "make bench   the measurements in bench/"
	@echo "make lock    renew the hash-locked requirements"

venv: $(READY)

# --no-deps: the lock names everything. Editable in compat mode, since only that puts twisted/plugins/
# on the path of a flat layout, where twistd looks for it.
$(READY): requirements.txt requirements-dev.txt setup.py pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
	    -r requirements.txt -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index \
	    --config-settings editable_mode=compat --editable .
	touch $@

run: $(READY)
	$(BIN)/twistd --pidfile= -n ociregd --root var --listen tcp:5000:interface=127.0.0.1

test: $(READY)
	$(BIN)/python -m pytest

coverage: $(READY)
	$(BIN)/coverage run -m pytest --ignore=tests/functional
	$(BIN)/coverage report --skip-covered

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

LOCK = $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras \
       --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-header
lock: $(READY)
	$(LOCK) --output-file requirements.txt requirements.in
	$(LOCK) --output-file requirements-dev.txt requirements-dev.in
	$(LOCK) --output-file tests/e2e/requirements.txt tests/e2e/requirements.in

# Without root the disks cannot be made: those tests are skipped then, or an error if CI is set.
faults: $(READY)
	-tests/faults/install-tools
	$(BIN)/python -m pytest tests/faults

# The real clients that are Python programs, apart from what the daemon runs on.
E2E := .venv-e2e
$(E2E)/.ready: tests/e2e/requirements.txt
	test -x $(E2E)/bin/python || $(PYTHON) -m venv $(E2E)
	$(E2E)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
	    -r tests/e2e/requirements.txt
	touch $@

# Without root the clients cannot be installed: what is absent is skipped then, or an error if CI is set.
e2e: $(READY) $(E2E)/.ready
	-tests/e2e/install-clients
	$(BIN)/python -m pytest tests/e2e

bench: $(READY)
	$(BIN)/python -m bench.transfer
	$(BIN)/python -m bench.memory
	$(BIN)/python -m bench.metadata
	$(BIN)/python -m bench.access

clean:
	rm -rf $(VENV) .venv-e2e build *.egg-info
