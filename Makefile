# make demo    train on 5,000 real digits and write demo/report.html
# make test    the whole test suite
# make check   formatting, lint, types, tests
# make bench   measure every claim about speed into benchmarks/RESULTS.md; MNIST=folder for all of MNIST's digits
# make ledger  capture, verify, record and build each architecture of the tests, into docs/ledger.md; goes on where it was
# make docs    the documentation, as site/index.html
# make gallery six reports into gallery/; REPORTGEN_DATA=folder with mnist/ and squeezenet/
# make soak    the long form of the reliability tests: 200 kills, thousands of damaged runs; a quarter of an hour
.PHONY: demo test check docs gallery bench ledger soak clean
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder
# Many containers forbid Python to keep what it compiled; each of the tests' processes would compile jax anew (5 s).
export PYTHONDONTWRITEBYTECODE :=

# A pip of today: what comes with Python 3.11 takes half as long again.
# --no-compile: Python compiles a module when it is first imported, and much of what is installed never is.
$(BIN)/.installed: requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "reportgen needs Python 3.11 or newer, this is " + sys.version)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile pip==26.3
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	touch $@

demo: $(BIN)/.installed
	$(BIN)/reportgen demo -o demo

test: $(BIN)/.installed
	$(PYTEST)

# The generator of the documentation in an environment of its own: nothing else needs it.
.venv-docs/.installed: docs/requirements.txt $(BIN)/.installed
	$(BIN)/python -m venv .venv-docs
	.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -r docs/requirements.txt
	touch $@

docs: .venv-docs/.installed
	scripts/docs

gallery: $(BIN)/.installed
	REPORTGEN_DATA=$(abspath $(REPORTGEN_DATA)) scripts/gallery

check: .venv-docs/.installed
	scripts/check

soak: $(BIN)/.installed
	REPORTGEN_SOAK=1 $(PYTEST) -o faulthandler_timeout=0 tests/reliability tests/record/test_processes.py tests/architectures tests/test_calls.py tests/comparison

bench: $(BIN)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[bench]'
	$(BIN)/python -m benchmarks $(if $(MNIST),--data-dir $(MNIST))

# With the newest releases too, where scripts/newest has installed them.
ledger: $(BIN)/.installed
	$(BIN)/python -m tests.architectures.ledger --cost
	if [ -x .venv-newest/bin/python ]; then .venv-newest/bin/python -m tests.architectures.ledger; fi

clean:
	rm -rf .venv .venv-docs .ledger demo gallery site
