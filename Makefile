# make run: set up and run the demo. make test: set up and run the tests. Nothing else is needed but Python 3.11.
PYTHON ?= python3.11
UV_VERSION := 0.13.9
BIN := .venv/bin
READY := .venv/.ready
# Which tests: a pytest marker expression; empty: all, the slow ones too (plain `pytest` leaves those out).
TESTS ?=

# A text encoder that make run fetches first, by `shelfmark encoder add`; empty: none.
ENCODER ?=
# In a variable, since a comma would end an argument of $(if).
MEANING = --set 'features.meaning={kind: encoded, encoder: $(ENCODER), columns: [title, brand]}'

# Of the image: its name, and cpu or cuda.
IMAGE ?= shelfmark:latest
VARIANT ?= cpu

.PHONY: setup run test test-full lint docs bench lock image clean help

help:
	@grep -E '^# |^[a-z-]+:.*##' Makefile | sed 's/:.*##/:/'

setup: $(READY)

# Again only if the lock, the project's metadata or this file changed.
$(READY): requirements.lock pyproject.toml Makefile
	@command -v $(PYTHON) >/dev/null || { echo "Shelfmark needs Python 3.11: $(PYTHON) is not on the PATH (make PYTHON=/path/to/python3.11)"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "Shelfmark needs Python 3.11; $(PYTHON) is another version"; exit 2; }
	@echo "Setting up .venv (once; takes a minute or two)"
	@test -x .uv/bin/uv || { $(PYTHON) -m venv .uv && .uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION); }
	@test -x $(BIN)/python || $(PYTHON) -m venv --without-pip .venv
	@.uv/bin/uv pip sync --quiet --require-hashes --compile-bytecode requirements.lock --python $(BIN)/python
	@.uv/bin/uv pip install --quiet --no-deps --no-build-isolation --editable . --python $(BIN)/python
	@touch $(READY)

run: $(READY) ## the main job on the demo catalogue; with a pretrained text encoder: make run ENCODER=bge-small
	@$(if $(ENCODER),$(BIN)/shelfmark encoder add $(ENCODER),true)
	@$(BIN)/shelfmark run workflows/demo.yaml $(if $(ENCODER),$(MEANING))

test: $(READY) ## the tests that need no server and no browser
	@$(BIN)/python -m pytest -m "$(TESTS)" -n 2 --dist loadfile --no-loadscope-reorder

test-full: $(READY) ## installs Chromium, PostgreSQL, MariaDB, RabbitMQ, buildah, debootstrap (Debian packages), Label Studio (into .label-studio) Flink's job server, OpenSearch and Kafka if absent, then runs every test
	@bash tests/install_servers.sh
	@SHELFMARK_TEST_FULL=1 $(BIN)/python -m pytest -m "$(TESTS)" -n 2 --dist loadfile --no-loadscope-reorder

docs: $(READY) ## the pages of docs/ as a site in site/; a link that leads nowhere is an error
	@$(BIN)/mkdocs build --strict --quiet

lint: $(READY) ## ruff, mypy, import contracts
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

bench: $(READY) ## the benchmarks; see benchmarks/README.md
	@$(BIN)/python -m benchmarks.all

lock: ## resolves requirements.lock anew
	@.uv/bin/uv pip compile pyproject.toml --all-extras --group build --group dev --group docs --python-version 3.11 --generate-hashes --no-header --quiet -o requirements.lock

	@.uv/bin/uv pip compile docker/uv.in --python-version 3.11 --universal --generate-hashes --no-header --quiet -o docker/uv.txt
	@.uv/bin/uv pip compile docker/cuda.in --python-version 3.11 --python-platform x86_64-unknown-linux-gnu --generate-hashes --no-header --quiet -o docker/cuda.lock

image: ## the container image for Kubeflow: make image IMAGE=registry/shelfmark:1 VARIANT=cuda
	@command -v docker >/dev/null || { echo "make image needs Docker (or a program of that name, such as podman's)"; exit 2; }
	@docker build --build-arg VARIANT=$(VARIANT) --build-arg VERSION="$$($(BIN)/python -m setuptools_scm 2>/dev/null)" --tag $(IMAGE) .

clean: ## removes the environment; runs/ stays
	@rm -rf .venv .uv .label-studio .flink .opensearch .kafka build site *.egg-info
