# The first of these that runs; a version manager may have a command for a Python that it does not run.
PYTHON := $(or $(PYTHON),$(firstword $(foreach name,python3.11 python3.12 python3.13,$(shell \
	$(name) -c "print('$(name)')" 2>/dev/null))))
BIN = .venv/bin

# Where it is set, each process compiles anew all that it imports: which takes seconds for TensorFlow and Keras.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: train test lint docs setup

train: setup  ## trains on the embedded data set: notebook 01, from end to end
	$(BIN)/python -m notebooks.execute notebooks/01_train.ipynb runs/shapes

test: setup
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

docs: .venv-docs/ready  ## builds the documentation into site/; broken links and references fail
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build

setup: .venv/ready

NEEDS_PYTHON = $(if $(PYTHON),,$(error Python 3.11, 3.12 or 3.13 is needed and not found. Give its path: make PYTHON=...))

.venv/ready: requirements.txt pyproject.toml
	$(NEEDS_PYTHON)
	$(PYTHON) -m venv .venv
	# Python compiles what is imported at its first use, in a fraction of the time that compiling everything takes.
	$(BIN)/python -m pip install --no-compile --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

# The documentation does not import the package, so that its environment is small.
.venv-docs/ready: requirements-docs.txt
	$(NEEDS_PYTHON)
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --no-compile --quiet --disable-pip-version-check \
		-r requirements-docs.txt
	touch $@
