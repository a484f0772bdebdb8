# `make` lists what there is. Works with GNU make 3.81 (macOS) and later.

PROMPT ?= a lighthouse by the sea at dusk, watercolor
OUT ?= picture.png
ifeq ($(origin OUT),environment)
override OUT := picture.png
endif

# As they were typed: make would expand `$` in them, and the shell quotes. They travel in the environment only.
override PROMPT := $(value PROMPT)
override OUT := $(value OUT)
export PROMPT OUT

BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help picture install serve test check lint sdks try-sdks clients format docs bench clean dev

help: ## List the goals
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|' 2>/dev/null || \
		sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1  \2/p' Makefile

picture: install ## Draw PROMPT="..." into OUT=picture.png, installing first what is missing
	@$(BIN)/limner generate --out "$$OUT" -- "$$PROMPT"

install: ## Make .venv with a working .venv/bin/limner
	@tools/setup.sh run

serve: install ## Start the service at http://127.0.0.1:8003
	@$(BIN)/limner serve

test: lint try-sdks ## Everything that must hold: lint, types, layers, generated files, tests, coverage
	@$(BIN)/python -m pytest -q -n 3 --dist worksteal -p tools.coverage_gate -p tools.no_skips --cov --cov-report=json:build/coverage.json

check: test ## The same as test

lint: dev ## All but the tests
	@$(BIN)/ruff check --quiet --output-format concise .
	@$(BIN)/ruff format --quiet --check . || { echo "limner: make format puts that right" >&2; exit 1; }
	@$(BIN)/mypy --no-error-summary src/limner tools
	@out=$$($(BIN)/lint-imports --no-logo 2>&1) || { echo "$$out" >&2; exit 1; }
	@$(BIN)/python tools/check_house.py
	@$(BIN)/python tools/check_generated.py

sdks: dev ## Install the vendors' own clients, which prove the simulator, each by itself below build/sdks
	@$(BIN)/python tools/sdks.py

clients: sdks ## Other people's programs draw through Limner, unmodified: also LiteLLM's and LangChain's
	@$(BIN)/python -m tools.clients --more
	@$(BIN)/python -m pytest -q tests/clients
	@$(BIN)/python -m pytest -q tests/clients/heavy.py

mcpsdk: ## Install the Model Context Protocol's TypeScript SDK below build, whose test is then run, too
	@mkdir -p build/mcp-typescript && cp tests/mcp/typescript/package.json build/mcp-typescript/
	@npm install --prefix build/mcp-typescript --silent --no-audit --no-fund --ignore-scripts

# Tests whose client could not be installed are skipped and say so; where CI is set, that fails the run.
try-sdks: dev
	-@$(BIN)/python tools/sdks.py
	-@$(BIN)/python -m tools.clients
	-@$(BIN)/python -m tools.chat_env

format: dev ## Put the code into its format
	@$(BIN)/ruff check --quiet --fix . ; $(BIN)/ruff format .

docs: dev ## Write the generated pages anew
	@$(BIN)/python tools/check_generated.py --write

bench: dev ## How fast the engine draws and the door answers, as tables
	@$(BIN)/python -m benchmarks.engine
	@$(BIN)/python -m benchmarks.gateway
	@$(BIN)/python -m benchmarks.doors

clean: ## Remove what was built here; pictures and LIMNER_HOME stay
	rm -rf .venv build dist htmlcov .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests tools benchmarks training -name __pycache__ -type d -prune -exec rm -rf {} +

dev:
	@tools/setup.sh dev
