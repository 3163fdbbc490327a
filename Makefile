# Two commands do everything: `make serve` and `make test`. Each sets up what it needs and is quick the second time.
PYTHON ?= python3
BIN := .venv/bin
DATA ?= ../shared/data
SERVE := $(if $(PORT),--port $(PORT)) $(if $(DASHBOARD_PORT),--dashboard-port $(DASHBOARD_PORT))

.PHONY: help setup serve psql migrate lint test test-unit test-serve bench train lock k8s

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

.venv/.locked: requirements.lock
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v < (3, 14) else f"Python 3.11 to 3.13 is needed, this is {v}: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar on -r requirements.lock
	touch $@

setup: .venv/.locked ## create .venv with the exact versions of requirements.lock

serve: setup ## start Postgres, Redis, Ray and the application; Ctrl-C stops all of it
	$(BIN)/python -m deployments.supervisor $(SERVE)

psql: ## a SQL prompt on the database of `make serve`; make psql SQL="select 1" for one statement
	@$(BIN)/python -m store.embedded .murmuration $(if $(SQL),-c "$(SQL)")

migrate: setup ## apply the migrations to DATABASE_URL
	$(BIN)/python -m store.migrate

lint: setup ## ruff, mypy strict, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: setup ## every test, on real Postgres, Redis and Ray Serve
	$(BIN)/python -m pytest

test-unit: setup ## the tests that take seconds
	$(BIN)/python -m pytest tests/unit

bench: setup ## requests/s and latencies beside plain FastAPI; writes tests/benchmarks/results
	$(BIN)/python -m tests.benchmarks.analyze_query
	$(BIN)/python -m tests.benchmarks.cache

train: setup ## train what stands under models/ from DATA
	$(BIN)/python -m pipelines.training.viral_predictor --data $(DATA) --out models/viral_predictor

k8s: setup ## write serveConfigV2 of k8s/ from serve_config.yaml
	$(BIN)/python k8s/render.py

lock: ## write requirements.lock from requirements.in, from a fresh environment
	rm -rf .lock-venv && $(PYTHON) -m venv .lock-venv
	.lock-venv/bin/python -m pip install -r requirements.in
	.lock-venv/bin/python -m pip freeze --exclude-editable | sed -E 's/\+cpu$$//; s/^torch @ .*/torch==2.13.0/' > requirements.lock
	rm -rf .lock-venv
