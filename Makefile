# Everything a person types here. `make demo` first, `make check` before a commit.
.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench pictures format lint types lock clean

UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
RUN := $(UV) run --no-sync

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

$(filter .uv/bin/uv,$(UV)):
	@echo "installing uv, which fetches the packages, into .uv ..."
	@python3 -m venv .uv && .uv/bin/pip install --quiet uv

setup: $(filter .uv/bin/uv,$(UV))  ## make the environment that uv.lock describes
	@test -d .venv || echo "fetching the packages of uv.lock into .venv, once: up to 5 GB, minutes ..."
	@$(UV) sync --locked --all-extras --quiet

demo: setup  ## train on handwritten digits: under a minute once the packages are there
	@$(RUN) fallline train --data digits --out runs
	@echo "           (the command lies in .venv/bin: source .venv/bin/activate)"

test: setup  ## the whole test suite
	$(RUN) pytest -n auto --dist worksteal -m "not alone"
	$(RUN) pytest -m alone

check: setup format lint types test  ## all that must hold before a commit

bench: $(filter .uv/bin/uv,$(UV))  ## measure speed, beside other ways: about 4 hours; ARGS="startup --data D"
	@$(UV) sync --locked --all-extras --group bench --quiet
	$(RUN) python -m bench $(ARGS)

pictures: setup  ## draw the pictures of README and docs anew, but the race: about 8 minutes
	$(RUN) python docs/pictures

format:
	$(RUN) ruff format --check .
	$(RUN) clang-format --dry-run --Werror $$(find src/fallline/models/native -name "*.[ch]")

lint:
	$(RUN) ruff check .

types:
	$(RUN) mypy

lock: $(filter .uv/bin/uv,$(UV))  ## take newer versions into uv.lock
	$(UV) lock --upgrade

clean:  ## remove the environment and what tools cached
	rm -rf .venv .uv .mypy_cache .ruff_cache .pytest_cache
