# Two commands do everything on a fresh machine: `make demo` and `make test`.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
# Tests start hundreds of processes: none of them is to compile everything again, whatever the shell around us says.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test tools check unit hands proposals hosts engines locks journeys real-images exhaustive kill forges promises faults dockerfiles newer semver clean constraints \
  bench-watch bench-bump bench-build bench-layers bench-php bench-dockerfile bench-rollout

demo: $(VENV)/.demo  ## the main job on real PyPI, with no root, no Docker and no Redis
	@$(BIN)/toplayer demo --directory var/demo

test: tools $(VENV)/.test  ## everything that .ci/run runs; much of it waits for engines and servers, so three at once
	@$(MAKE) --no-print-directory --keep-going --jobs=3 journeys hosts engines locks proposals hands unit check

tools:
	@sh tests/rig/install.sh

check: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

unit: $(VENV)/.test
	$(BIN)/pytest -m "not journey and not exhaustive" --ignore=tests/workers --ignore=tests/journeys

hands: $(VENV)/.test
	$(BIN)/pytest -m "not journey and not exhaustive" tests/workers --ignore=tests/workers/fleet --ignore=tests/workers/propose

proposals: $(VENV)/.test
	$(BIN)/pytest -m "not journey and not exhaustive" tests/workers/propose

hosts: $(VENV)/.test
	$(BIN)/pytest -m "not journey and not exhaustive" tests/workers/fleet

engines: $(VENV)/.test
	$(BIN)/pytest -m "journey and not exhaustive" tests/workers --ignore=tests/workers/propose

locks: $(VENV)/.test
	$(BIN)/pytest -m "journey and not exhaustive" tests/watcher tests/workers/propose

journeys: $(VENV)/.test
	$(BIN)/pytest -m "journey and not exhaustive" tests/journeys
	$(BIN)/pytest -m "journey and not exhaustive" tests/journeys/faults.py

# What takes too long for every change: everything tried, where `make test` takes samples.

exhaustive: $(VENV)/.test  ## tests that show more of what others show too, by each tool and on each kind of host
	$(BIN)/pytest -m exhaustive

kill: $(VENV)/.test  ## SIGKILL at every single effect of the main job, not only at every thirtieth; takes minutes
	TOPLAYER_EVERY_EFFECT=1 $(BIN)/pytest tests/journeys/test_kill.py \
	  tests/workers/propose/forges/test_deaths.py

forges: $(VENV)/.test  ## the life of a proposal on each kind of forge, not only where the kinds differ
	TOPLAYER_EVERY_FORGE=1 $(BIN)/pytest tests/workers/propose/forges/test_life.py

real-images: $(VENV)/.test  ## Django, Celery, pandas, sdists, a workspace: locked, built, pulled, run (as root)
	$(BIN)/pytest -s tests/journeys/real_images.py

promises: $(VENV)/.test  ## 5,000 random lives of a fleet: orders, faults, jumps of the clock
	TOPLAYER_LIVES=5000 $(BIN)/pytest -x tests/workers/fleet/test_promises.py

faults: $(VENV)/.test  ## what can go wrong with a rollout, on four real engines behind links, with all the rest (as root)
	CI=true TOPLAYER_EVERY_CHANGE=1 $(BIN)/pytest tests/workers/fleet/test_docker_deaths.py tests/workers/fleet/test_docker.py \
	  tests/workers/fleet/test_pull.py tests/workers/fleet/test_tunnel.py tests/journeys/faults.py \
	  tests/journeys/faults_of_celery.py

dockerfiles: $(VENV)/.test  ## fifty Dockerfiles: predictions compared with a real BuildKit, and what lint writes with what was there (as root)
	EXHAUSTIVE=1 $(BIN)/pytest tests/watcher/dockerfile tests/workers/dockerfile/test_prediction.py \
	  tests/workers/dockerfile/test_rewritten.py

ON_ENGINES := $(addprefix tests/workers/fleet/test_, host.py docker.py docker_deaths.py pull.py resume.py load.py)

newer: $(VENV)/.test  ## what only Docker 24 and later can (buildx, --link, zstd), and hosts with one, on both of its stores (as root, on Debian; unpacks it)
	sh tests/rig/newer.sh $(CURDIR)/var/newer
	PROGRAMS=$(CURDIR)/var/newer/bin $(BIN)/pytest tests/workers/dockerfile/test_newer.py tests/workers/image/newer.py
	EXHAUSTIVE=1 PROGRAMS=$(CURDIR)/var/newer/bin $(BIN)/pytest tests/workers/dockerfile/test_rewritten.py
	for store in overlay2 containerd; do \
	  CI=true PROGRAMS=$(CURDIR)/var/newer/bin STORE=$$store $(BIN)/pytest $(ON_ENGINES) || exit 1; \
	done

semver: $(VENV)/.test  ## every row of composer/semver's own tests, asked of ours; SEMVER: a checkout of it (git clone)
	SEMVER="$(SEMVER)" $(BIN)/pytest -q tests/watcher/versions/semver_rows.py

# Side by side with what you would do without toplayer, in the same run.

bench-watch: $(VENV)/.test  ## what a look at 1,000 pins costs, beside pip, uv, composer and nvchecker
	@$(BIN)/python -m bench.watch

bench-bump: $(VENV)/.test  ## one bump among 60 packages, by each tool, beside what other bots run
	@$(BIN)/python -m bench.bump

bench-build: SIZE ?= full
bench-build: PROGRAMS ?=
bench-build: $(VENV)/.test  ## toplayer and docker build side by side, as root; SIZE=small: 8 packages; PROGRAMS: a newer Docker's directory
	@$(BIN)/python -m bench.build --size $(SIZE) --programs "$(PROGRAMS)"

bench-layers: $(VENV)/.test  ## what packing a layer costs, by each way of packing it
	@$(BIN)/python -m bench.layers

bench-php: $(VENV)/.test  ## what a bump of one PHP package costs, beside `composer install` into one layer
	@$(BIN)/python -m bench.php

bench-dockerfile: $(VENV)/.test  ## the origin story: four ways to build, four hosts behind 2 Mbit/s (as root; a quarter of an hour)
	@$(BIN)/python -m bench.dockerfile

bench-rollout: $(VENV)/.test  ## one bump to four real hosts beside other ways (as root), then 1,000 and 10,000 in memory
	@$(BIN)/python -m bench.links
	@$(BIN)/python -m bench.rollout
	@$(BIN)/python -m bench.service

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: toplayer needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..." >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { echo "error: this Python cannot make virtual environments; on Debian: apt-get install python3-venv" >&2; exit 2; }

$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	@echo "setting up $(VENV) ..." >&2
	@$(PIP) --editable . || { echo "error: the packages could not be installed; is the network up?" >&2; exit 1; }
	@touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(BIN)/python
	@echo "setting up $(VENV) ..." >&2
	@$(PIP) --editable '.[dev]' || { echo "error: the packages could not be installed; is the network up?" >&2; exit 1; }
	@touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) var .pytest_cache .mypy_cache .ruff_cache .hypothesis

constraints: $(BIN)/python  ## the newest versions that the tests may be run with
	@{ echo "# The versions that toplayer is tested with. Kept by: make constraints"; \
	   $(BIN)/uv pip compile -q --no-header --no-annotate --no-emit-index-url --no-emit-find-links --universal \
	     --python-version 3.11 --extra dev --extra postgres pyproject.toml; } > constraints.txt.new
	@mv constraints.txt.new constraints.txt
