# Everything that is done with this repository. Each target sets itself up first: all it needs is make, Python 3.11 or newer with
# venv, and git's files. With uv on the PATH it is used; otherwise a pinned one is put into .venv, never into the system's Python.

PYTHON ?= python3
UV_VERSION := 0.13.8
UV := $(or $(shell command -v uv 2>/dev/null),.venv/bin/uv)
READY := .venv/.ready
# An environment whose Python is gone or was never finished is not ready, whatever its stamp says.
$(shell .venv/bin/python -c '' 2>/dev/null || rm -f $(READY))

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run test check bench format lock clean uv

help: ## show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 10

run: $(READY) ## start a server on this machine, with its database and files in ./data (settings: .env and docs/settings.md)
	@echo "S3 servers on this machine or in a private network are refused unless MEDIASTORE_ALLOW_PRIVATE_ENDPOINTS=true is set."
	@.venv/bin/mediastore serve

test: $(READY) ## run the tests; ARGS="-k name -x" goes to pytest, WORKERS=0 runs them in one process
	.venv/bin/pytest -n $(or $(WORKERS),auto) --maxprocesses 4 --dist loadscope $(ARGS)

check: $(READY) ## formatting, lint, types, direction of imports
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

bench: $(READY) ## measure against the floors; ONLY=name runs one row
	.venv/bin/python -m bench $(if $(ONLY),--only $(ONLY))

format: $(READY) ## format the code and repair what lint can repair
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

# For the oldest Python that is supported, whichever one runs here; without names of hosts, so that they hold behind any mirror.
lock: uv ## choose the versions of all dependencies anew where pyproject.toml asks for it; ARGS=--upgrade: the newest of all
	$(UV) pip compile --quiet --python-version 3.11 --universal --generate-hashes --no-annotate --no-header $(ARGS) \
		--extra server pyproject.toml -o requirements/server.lock
	$(UV) pip compile --quiet --python-version 3.11 --universal --generate-hashes --no-annotate --no-header $(ARGS) \
		--extra server --group dev -c requirements/server.lock pyproject.toml -o requirements/dev.lock

clean: ## remove the environment and everything that tools leave behind, but never ./data
	rm -rf .venv dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .schemathesis
	find . -name __pycache__ -type d -not -path './data/*' -prune -exec rm -rf {} +

# The stamp is written last, so an interrupted set-up is done again.
$(READY): requirements/dev.lock pyproject.toml | uv
	@rm -f $@
	$(UV) pip sync --quiet --python .venv/bin/python --require-hashes requirements/dev.lock
	$(UV) pip install --quiet --python .venv/bin/python --no-deps -e .
	@touch $@

# An environment with a uv to fill it: the one on the PATH, or ours inside it.
uv:
	@if command -v uv >/dev/null; then \
		.venv/bin/python -c '' 2>/dev/null || { rm -rf .venv && uv venv --quiet .venv; }; \
	elif [ "$$(.venv/bin/python -m uv --version 2>/dev/null | cut -d ' ' -f 2)" != $(UV_VERSION) ]; then \
		$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
			echo "Python 3.11 or newer is needed, and \`$(PYTHON)\` is: $$($(PYTHON) --version 2>&1)" >&2; \
			echo "Install one and name it: make PYTHON=python3.12 ..." >&2; exit 1; }; \
		$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
			echo "\`$(PYTHON)\` lacks venv. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }; \
		.venv/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv || exit 1; \
		.venv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION); \
	fi
