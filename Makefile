# Passbook: `make demo` and `make test` are all a fresh machine needs.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install demo test lint campaign bench lock clean

.venv/installed: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

install: .venv/installed ## Put the commands into .venv/bin

demo: install ## The whole story against a simulated bank; DEMO_EXIT=1 ends after it
	$(BIN)/passbook demo $(if $(DEMO_EXIT),--exit)

test: install lint ## All tests
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: install ## What can be said of the code without running it
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .

campaign: install ## The long runs: kill -9 a hundred times, all Berka accounts, 2,000 histories, planted bugs
	$(BIN)/python -m pytest -n 1 --campaign -m campaign --timeout 3600

bench: install ## Ratios against a limit measured in the same run
	$(BIN)/python -m scripts.bench

lock: ## Pin every dependency with its hashes, and no index address
	uv pip compile --universal --generate-hashes --no-header --extra test --extra build \
		pyproject.toml -o requirements.lock

clean:
	rm -rf .venv build *.egg-info .pytest_cache .hypothesis
