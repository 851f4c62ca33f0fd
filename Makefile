# Two commands: `make demo` (sets up, then finds photos by sketch) and `make test` (sets up, then passes the tests).
# `make demo PHOTOS=FOLDER` looks for ten drawings among your own photos.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-slow check browser clean

demo: $(READY)
	$(BIN)/python -m sketchfusion.lab.evaluation.demo demo $(if $(PHOTOS),"$(PHOTOS)")

test: check browser
	$(BIN)/python -m pytest -m "not slow" -n auto --dist loadfile --cov --cov-report=term --cov-fail-under=90

test-slow: $(READY) browser
	$(BIN)/python -m pytest -m slow

check: $(READY)
	$(BIN)/ruff check src tests
	$(BIN)/ruff format --check src tests
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tests/house.py

# the studio's page is tested in Chromium; root on Debian gets it here, anyone else is told, and those tests are skipped
browser:
	@command -v chromium || command -v chromium-browser || command -v google-chrome \
	|| { test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -y -qq chromium > /dev/null 2>&1; } \
	|| echo "no Chromium: the browser tests will be skipped; to run them: apt-get install chromium"

# torch first and alone: the CPU build where the package index has one, the user's own build if it is already there
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[crf]" > /dev/null 2>&1 \
	|| echo "the CRF was not built: masks will not be refined; with a C++ compiler and Python's headers: $(BIN)/pip install pydensecrf2"
	touch $(READY)

clean:
	rm -rf $(VENV) demo dist .coverage .mypy_cache .ruff_cache .pytest_cache
