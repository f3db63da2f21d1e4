# Needs Python 3.11 or newer, git, make and the machine's package sources. Each target sets up what it
# needs, once.

PYTHON ?= python3
export PYTHON

bin := .venv/bin
sources := daemon tests demo bench docs packaging/relay packaging/audit packaging/sbom pebble/run docs/refresh docs/prose docs/gateways/haproxy/haproxy-commit
pages := pebble/README.md $(wildcard *.md docs/*.md docs/*/*.md)
prose := $(pages) docs/words.txt Makefile .ci container packaging pebble systemd daemon demo bench tests
harness := PYTHONPATH=tests/integration

.DEFAULT_GOAL := help
# What docs/prose reads. Its own test quotes the words that it must find.
written := $(pages) docs/prose docs/refresh pebble/run packaging/audit packaging/build packaging/gatecert packaging/sbom \
	$(wildcard packaging/debian/* systemd/* container/*) Makefile .ci/run \
	$(filter-out tests/unit/test_prose.py,$(shell find daemon demo bench docs tests -name '*.py'))

.PHONY: help demo unit test coverage integration faults survive years fuzz test-gateways test-container test-systemd test-site test-page test-monitoring cluster cluster-histories test-package security as-root deb audit sbom lint fix docs docs-site bench fleet setup ci-setup lock clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1|\2/p' Makefile | column -t -s '|'

demo: setup ## Enrol and renew with a test CA, a real gateway and a real client
	@$(harness) $(bin)/python -m demo

unit: .venv/.complete ## Run the unit tests, without servers and networks, in about a minute
	@$(quick) $(bin)/pytest tests/unit $(workers) --override-ini=tmp_path_retention_policy=failed

test: coverage integration ## Run every test

coverage: .venv/.complete ## Run the unit tests and properties, with coverage by branch
	@$(quick) $(bin)/pytest tests/unit tests/fuzz $(workers) --cov --cov-report=term

integration: setup private-authorities other-clients ## Run gatecert with real CAs and servers, and inject every fault
	@tests/integration/prerequisites cluster
	@$(bin)/pytest tests/integration tests/faults tests/relay $(workers) $(if $(mapped),$(addprefix --ignore=,$(networks)))
	@$(if $(mapped),$(mapped) $(bin)/pytest $(networks))

faults: setup .cache/peer/.complete ## Inject every fault, also into certbot and lego; write docs/faults.md
	@tests/integration/debian-testing lego 4.20 .cache/lego lego >/dev/null
	@$(harness) $(bin)/python -m tests.faults $(if $(CI),--output .cache/faults.md)

survive: .venv/.complete ## Kill it and let it fail at every step, and simulate years
	@$(bin)/pytest tests/survival --numprocesses=logical --maxprocesses=4 $(if $(CI),--every-point,--thorough)

years: .venv/.complete ## Simulate 10,000 years; or YEARS=, LIVES=, SEED=
	@$(bin)/python -m tests.survival.years $(if $(LIVES),--lives $(LIVES),--years $(or $(YEARS),10000)) \
		$(if $(SEED),--seed $(SEED))

fuzz: .venv/.complete .cache/atheris/.complete ## Try a million malformed inputs, for an hour or two
	@PYTHONPATH=.cache/atheris $(bin)/python -m tests.fuzz.long $(FUZZ)

test-gateways: setup ## Test the pages of docs/gateways with real servers
	@tests/integration/prerequisites gateways
	@tests/integration/debian-testing caddy 2.8 .cache/caddy caddy >/dev/null
	@tests/gateways/run

test-systemd: as-root setup deb other-clients ## Boot Debian with the package, from installation to trusted (as root)
	@tests/systemd/prerequisites
	@tests/integration/prerequisites gateways
	@tests/systemd/run

as-root:
	@[ "$$(id -u)" -eq 0 ] || { echo 'this target boots machines, so run it as root: sudo make' $(MAKECMDGOALS) >&2; exit 1; }

deb: .venv/.complete ## Build the Debian package in dist/
	@packaging/build

test-package: deb .cache/supply/.complete ## Build the package again elsewhere: the same bytes, and a true bill of materials
	@tests/integration/prerequisites
	@$(bin)/pytest -p no:cacheprovider tests/packaging

audit: .cache/supply/.complete ## Look up the pinned packages in a file: VULNERABILITIES=all.zip
	@.cache/supply/bin/python packaging/audit "$(VULNERABILITIES)"

sbom: .cache/supply/.complete ## Update the bill of materials of package and image from the lock file
	@.cache/supply/bin/python packaging/sbom

test-container: setup ## Run the files of container/ with nginx (as root)
	@tests/integration/prerequisites container
	@tests/container/run

security: as-root setup deb .cache/supply/.complete ## Try every attack, as a user, on a booted machine and from a container (as root)
	@tests/systemd/prerequisites
	@tests/integration/prerequisites gateways container
	@tests/security/run

lint: .venv/.complete ## Check style, types, imports and language
	@$(bin)/ruff check $(sources)
	@$(bin)/ruff format --check $(sources)
	@$(bin)/mypy
	@$(bin)/lint-imports
	@$(bin)/codespell $(prose)
	@$(bin)/proselint --config .proselintrc.json check $(pages)
	@$(bin)/python docs/prose $(written)

fix: .venv/.complete ## Format, and fix what ruff can fix
	@$(bin)/ruff check --fix $(sources)
	@$(bin)/ruff format $(sources)

docs: .venv/.complete ## Update the text that is generated from the code
	@$(bin)/python docs/refresh

docs-site: .cache/site/.complete ## Build the documentation as a site with search, in dist/site
	@rm -rf dist/site
	@.cache/site/bin/sphinx-build -q -E -W --keep-going -c docs/site -d .cache/site-pages . dist/site
	@printf 'dist/site/index.html\n'

test-site: .venv/.complete docs-site ## Read the site in a real browser; screenshots in dist/site-screenshots
	@tests/integration/prerequisites site
	@$(bin)/pytest tests/site

test-page: .venv/.complete ## Read the status page in a real browser; screenshots in dist/page-screenshots
	@tests/integration/prerequisites site
	@tests/page/axe-core .cache/axe-core >/dev/null
	@$(bin)/pytest tests/page

test-monitoring: setup ## Test alert rules, dashboard and notifications with Prometheus and Alertmanager
	@tests/integration/prerequisites monitoring
	@$(bin)/pytest tests/monitoring

cluster: setup ## Test the store of several hosts with real PostgreSQL servers
	@tests/integration/prerequisites cluster
	@$(bin)/pytest tests/cluster tests/unit/store/postgres --numprocesses=2 --dist=worksteal \
		--cov --cov-config=tests/cluster/coverage.toml --cov-report=term $(if $(mapped),--ignore=$(as_root_only))
	@$(if $(mapped),$(mapped) $(bin)/pytest $(as_root_only))

cluster-histories: setup ## Every fault at every point of an order of a cluster, and 1,000 hosts that come back
	@tests/integration/prerequisites cluster
	@$(bin)/pytest tests/cluster/test_histories.py tests/cluster/test_commit.py tests/cluster/test_following.py \
		--all-histories --numprocesses=2 --dist=worksteal

bench: setup .cache/peer/.complete ## Measure gatecert, Caddy and certbot side by side; or BENCH='--only idle'
	@tests/integration/debian-testing caddy 2.8 .cache/caddy caddy >/dev/null
	@PYTHONDONTWRITEBYTECODE= $(harness) $(bin)/python -m bench $(BENCH)  # packages are compiled

fleet: setup ## Measure a fleet of 100,000 names, and issuance by eight hosts; or FLEET=--write-page
	@tests/integration/prerequisites cluster
	@PYTHONDONTWRITEBYTECODE= $(harness) $(bin)/python -m bench.fleet_figures $(FLEET)  # packages are compiled

setup: .venv/.complete ## Set up the environment and the servers
	@tests/integration/prerequisites
	@pebble/fetch >/dev/null

other-clients: .cache/peer/.complete
	@tests/integration/debian-testing caddy 2.8 .cache/caddy caddy >/dev/null
	@tests/integration/debian-testing lego 4.20 .cache/lego lego >/dev/null
	@tests/integration/debian-testing acme.sh 3.0 .cache/acme.sh share/acme.sh/acme.sh >/dev/null

private-authorities: .cache/authorities/.complete
	@tests/integration/step-ca/build >/dev/null

ci-setup: setup other-clients private-authorities .cache/site/.complete .cache/supply/.complete ## Set up for all targets, so that they can run side by side
	@tests/integration/prerequisites gateways container site monitoring cluster
	@tests/page/axe-core .cache/axe-core >/dev/null
	@tests/systemd/prerequisites

lock: .cache/supply/.complete ## Pin the newest versions that pyproject.toml allows
	@$(call compile,--extra basic-auth --extra dns --extra fleet --extra notify --group dev --group build pyproject.toml,requirements.lock)
	@$(call compile,--extra basic-auth --extra dns --extra fleet --extra notify --fork-strategy fewest pyproject.toml,packaging/requirements.lock)
	@$(call compile,--group supply,packaging/supply.lock)
	@$(call compile,--group bench,bench/requirements.lock)
	@$(call compile,--group authorities,tests/integration/requirements.lock)
	@$(call compile,--group fuzz,tests/fuzz/requirements.lock)
	@$(call compile,--group docs,docs/site/requirements.lock)
	@$(MAKE) --no-print-directory sbom

clean: ## Remove what the other targets created
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage* dist

# More processes than a small machine has processors, because tests wait for processes and servers.
workers = --numprocesses=4 --dist=worksteal

# Only root can create networks and mount; other users run these tests as root of a user namespace.
networks = tests/integration/test_private_authorities.py tests/relay
as_root_only = tests/cluster/test_network_and_disk.py
mapped = $(if $(filter-out 0,$(shell id -u)),unshare --map-root-user --map-auto --net --)

# pytest caches what it compiles, and the files of unit tests need no disk.
quick = PYTHONDONTWRITEBYTECODE= $(if $(wildcard /dev/shm/.),PYTEST_DEBUG_TEMPROOT=/dev/shm)

.venv/.complete: requirements.lock pyproject.toml tests/integration/environment
	@tests/integration/environment .venv requirements.lock --with-project
	@touch $@

.cache/peer/.complete: bench/requirements.lock tests/integration/environment
	@tests/integration/environment .cache/peer bench/requirements.lock
	@touch $@

.cache/authorities/.complete: tests/integration/requirements.lock tests/integration/environment
	@tests/integration/environment .cache/authorities tests/integration/requirements.lock
	@touch $@

.cache/site/.complete: docs/site/requirements.lock tests/integration/environment
	@tests/integration/environment .cache/site docs/site/requirements.lock
	@touch $@

.cache/atheris/.complete: tests/fuzz/requirements.lock .venv/.complete
	@$(bin)/python -m pip --quiet --quiet install --require-hashes --no-deps --only-binary :all: \
		--upgrade --target .cache/atheris --requirement $<
	@touch $@

.cache/supply/.complete: packaging/supply.lock tests/integration/environment
	@tests/integration/environment .cache/supply packaging/supply.lock
	@touch $@

compile = UV_CUSTOM_COMPILE_COMMAND='make lock' .cache/supply/bin/uv pip compile --quiet --upgrade \
	--universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links $(1) -o $(2)
