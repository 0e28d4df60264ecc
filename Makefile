# The front door. `make label` needs Python 3.11+ and a package index; everything lands in .venv.
PYTHON ?= python3
POLICY ?= examples/harbour-lane-telecom.html
OUT    ?= labels

# DVC and MLflow start programs of the environment by name.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Dependencies report nothing to anybody.
export MLFLOW_DISABLE_TELEMETRY = true
export DO_NOT_TRACK = true
export HF_HUB_OFFLINE = 1
export DVC_NO_ANALYTICS = 1

.PHONY: help label train experiments test check benchmark clean

help:
	@echo "make label                    label the sample policy: table here, page in $(OUT)/"
	@echo "make label POLICY=FILE        label yours: HTML, text, Markdown, PDF, glob, or - for standard input"
	@echo "make train                    retrain: dvc repro (prepare, train, evaluate, report, card, ship)"
	@echo "make experiments              run all experiments and write their table"
	@echo "make benchmark                seconds and memory of labeling and training"
	@echo "make test                     run all tests"
	@echo "make check                    ruff and mypy"

# Quoted, so that clausemark expands globs itself and file names may hold spaces.
label: .venv/labels
	@clausemark label --format table --format html --out "$(OUT)" -- "$(POLICY)"

train: .venv/tests
	dvc repro

experiments: .venv/tests
	clausemark experiments run experiments

benchmark: .venv/tests
	python benchmarks/cost.py

test: .venv/tests
	python -m pytest -n auto

check: .venv/tests
	ruff check . && ruff format --check . && mypy

clean:
	rm -rf .venv $(OUT)

# One environment, two depths: what labels need, and what tests and training need on top.
.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "clausemark needs Python 3.11 or newer: make PYTHON=/path/to/python3"; exit 2; }
	$(PYTHON) -m venv .venv

.venv/labels: pyproject.toml | .venv/bin/python
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/tests: pyproject.toml requirements-dev.txt | .venv/bin/python
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint requirements-dev.txt --editable '.[dev]'
	@touch $@ .venv/labels
