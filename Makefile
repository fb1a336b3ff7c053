# make run   the dashboard on http://127.0.0.1:8501
# make test  all tests            make lint  style and types      make format  style put right
# make check lint, types and the fast tests, in under a minute    make bench   what a person waits for
# make bench-train   our training against other libraries' (about 6 GB of them; ARGS="--quality")
# make mutants   which breaks of the code no test sees
PYTHON ?= python3
PORT ?= 8501
VENV := .venv
BIN := $(VENV)/bin
# Two processes, each with a server and a browser of its own; a file of tests stays in one. WORKERS=0: one after the other.
WORKERS ?= 2
PARALLEL := -n $(WORKERS) --dist loadfile
# Which places `make mutants` breaks (none named: all of them, going on where it stopped), and for how long.
MUTANTS ?= sae_core.measure.*
MINUTES ?= 10

.PHONY: run test check lint lint-js format bench bench-train mutants clean
.DELETE_ON_ERROR:

run: $(VENV)/.run
	@echo "The dashboard: http://127.0.0.1:$(PORT)   (Ctrl-C stops it)"
	@$(BIN)/python -m streamlit run app.py --server.port $(PORT) $(ARGS)

test: $(VENV)/.dev
	$(BIN)/python -m pytest $(PARALLEL) $(PYTEST_ARGS)

check: lint
	$(BIN)/python -m pytest $(PARALLEL) --ignore tests/browser -m "not slow" $(PYTEST_ARGS)

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/bench_ui.py
	$(BIN)/python benchmarks/bench_bytes.py

bench-train: $(VENV)/.run
	$(BIN)/python benchmarks/bench_train.py $(ARGS)

mutants: $(VENV)/.dev
	$(BIN)/python -m tests.mutants $(MINUTES) $(or $(filter-out 0,$(WORKERS)),1) $(foreach pattern,$(MUTANTS),'$(pattern)')

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -n 2
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory lint-js; \
	else echo "The JavaScript is not checked, as there is no npm: install Node.js 18.18 or later."; [ -z "$$CI" ]; fi

lint-js: node_modules/.package-lock.json
	npm run --silent lint

node_modules/.package-lock.json: package.json package-lock.json
	npm ci --silent --no-audit --no-fund
	@touch $@

$(VENV)/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "This needs Python 3.11, 3.12 or 3.13; $(PYTHON) is " + sys.version.split()[0] + ". Say which one with: make run PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check uv

$(VENV)/.run: requirements.txt $(VENV)/bin/uv
	@echo "Installing into $(VENV). PyTorch with its CUDA libraries is about 6 GB on Linux (a torch already in $(VENV) that fits is kept;"
	@echo "the README says how to put PyTorch's much smaller CPU build there first)."
	$(BIN)/uv pip install --compile-bytecode --python $(BIN)/python -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.run
	$(BIN)/uv pip install --compile-bytecode --python $(BIN)/python -r requirements-dev.txt
	@touch $@

clean:
	rm -rf $(VENV) .bench-venv node_modules .pytest_cache .mypy_cache .ruff_cache mutants
