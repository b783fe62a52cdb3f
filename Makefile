# Every target sets up what it needs (.ci/bootstrap), from nothing but Python >= 3.11 and make.
.DEFAULT_GOAL := help
.PHONY: help playground test lint bench drill drill-cluster pictures lock clean

PY := .venv/bin/python
ARGS ?=
ONLY ?=
N ?= 200
SEED ?=

# somebody's PYTHONPATH must not put another `schema` or `adapters` in front of ours
unexport PYTHONPATH PYTHONHOME

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' $(MAKEFILE_LIST)

playground: ## everything on this machine, at a local page; ARGS=--script plays a conversation by itself
	@.ci/bootstrap runtime postgres claude $(if $(findstring --kubernetes,$(ARGS)),kubernetes)
	@exec $(PY) -m adapters.cli playground $(ARGS)

test: ## all tests; ARGS="-k name" some of them; COVERAGE=1 measures coverage
	@.ci/bootstrap runtime kubernetes postgres claude build test
	@exec $(PY) $(if $(COVERAGE),-m coverage run) -m pytest $(ARGS)

lint: ## style, types, import contracts, SQL migrations, and the rules of tests/architecture
	@.ci/bootstrap runtime kubernetes build test lint
	@exec .ci/lint

bench: ## the figures, one JSON line each; ONLY=name some of them
	@.ci/bootstrap runtime kubernetes postgres claude build test
	@exec $(PY) tests/load/bench.py $(if $(ONLY),--only $(ONLY)) $(ARGS)

drill: ## the kill drill: N kills (200), SEED=… repeats a failure
	@.ci/bootstrap runtime kubernetes postgres claude build test
	@exec env DRILL_KILLS=$(N) DRILL_SEED=$(SEED) $(PY) -m pytest -m drill --timeout=0 -s $(ARGS)

drill-cluster: N = 20
drill-cluster: ROUNDS = 3
drill-cluster: ## on the cluster of KUBECONFIG: N threads (20) while parts die, ROUNDS (3) of outages, 50 starts; SEED=… repeats a failure
	@.ci/bootstrap runtime kubernetes postgres claude build test
	@exec env DRILL_STARTS=$(N) DRILL_ROUNDS=$(ROUNDS) DRILL_ROW=50 DRILL_AT_ONCE=20 DRILL_SEED=$(SEED) $(PY) -m pytest -s \
		tests/cluster/test_drill.py tests/cluster/test_outages.py tests/cluster/test_burst.py $(ARGS)

pictures: ## the README's pictures anew, from the scripted conversation (needs Chromium and CJK fonts)
	@.ci/bootstrap runtime kubernetes postgres claude build test
	@exec $(PY) -m tests.browser.pictures

lock: ## for maintainers: new versions into the lock files (needs uv: .venv/bin/pip install uv)
	@.ci/lock

clean: ## removes .venv, the playground's state and all caches
	rm -rf .venv .playground .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage .coverage.* dist
	find adapters engine projections schema tests -name __pycache__ -prune -exec rm -rf {} +
