# make demo             analyze the phantom, a synthetic chest CT
# make demo SCAN=path   analyze a scan of yours
# make test             run the tests
# make check            format, lint, types, layers, spelling and tests: what has to be green
# make bench            time every stage on a scan of 512 x 512 x 300
#
# Each of them makes the environment in .venv first, and again only when pyproject.toml changes.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: demo test check lint bench
.DEFAULT_GOAL := check

demo: $(INSTALLED)
ifdef SCAN
	$(BIN)/groundglass analyze "$(SCAN)" --out demo/report
else
	rm -rf demo/phantom
	$(BIN)/groundglass phantom demo/phantom
	$(BIN)/groundglass analyze demo/phantom/scan --out demo/report
endif
	@echo
	@echo "The report: $(CURDIR)/demo/report/report.html"

test: $(INSTALLED)
	$(BIN)/pytest -q

check: lint test

lint: $(INSTALLED)
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

bench: $(INSTALLED)
	$(BIN)/groundglass bench
	$(BIN)/groundglass benchmarks

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "found $$($(PYTHON) --version 2>&1), expected Python 3.11 or later; name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "found Python without venv or pip, expected both; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Making the environment in .venv; this takes a few minutes." >&2
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -e ".[dev]"
	@touch $(INSTALLED)
