# Runs the tutorial, its tests, JupyterLab, the web book, the slides and the benchmark, each in an environment
# made on first use. Needs Python 3.11 to 3.13, make, git and a package index; after the installation, no
# network. With a folder wheels/ beside this file, which `make bundle` makes, it needs neither git nor an index.

# The environment's folder. Another one beside it: make test VENV=.venv312 PYTHON=python3.12
VENV ?= .venv
# The Python to make it with. Empty: the first of PYTHONS that runs and is new enough (a name alone says
# little: pyenv has a `python3.12` that only prints a complaint when that version is not active).
PYTHON ?=
PYTHONS = python3 python3.13 python3.12 python3.11 python
# Where the packages come from: a folder, and nowhere else, or if empty a package index.
WHEELS ?= $(wildcard wheels)
# Learners' machines to gather packages for, beside this one (docs/offline.md):
# make bundle BUNDLE_FOR="3.12/win_amd64 3.13/macosx_14_0_arm64"
BUNDLE_FOR ?=
# Passed on to JupyterLab, last: make lab LAB_ARGS="--no-browser --port=9999"
LAB_ARGS ?=
# Passed on to uv: make lock LOCK_ARGS=--upgrade takes newer versions; without it only what must change does.
LOCK_ARGS ?=

# Without bytecode TensorFlow takes 10 seconds to import instead of 4. The others would let packages in from
# outside the environment, or put its packages elsewhere.
unexport PYTHONDONTWRITEBYTECODE PYTHONPATH PYTHONHOME
unexport PIP_NO_COMPILE PIP_PREFIX PIP_REQUIRE_VIRTUALENV PIP_TARGET PIP_USER

.DEFAULT_GOAL := help
.PHONY: help install run exact test lab doctor bundle site slides bench lint refresh exercises solutions evidence lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-10s%s\n", $$1, $$2}' Makefile
	@echo 'Every one but help, lock and clean makes $(VENV) first. Another Python: PYTHON=python3.12 VENV=.venv312'

install: $(VENV)/.installed ## make the environment in .venv and do nothing else
	@if [ -n '$(PYTHON)' ] && [ "$$('$(PYTHON)' -V 2>&1)" != "$$('$(VENV)/bin/python' -V)" ]; then \
	  echo '$(VENV) was made with another Python than $(PYTHON); name a new folder (VENV=.venv2) or make clean first' >&2; exit 1; \
	fi

run: install ## execute the notebooks into build/run and compare with the article
	@"$(VENV)/bin/alhelpers" run

exact: install ## compare the article's 403 fits, by TensorFlow and by NumPy alone, with the notebooks'
	@"$(VENV)/bin/alhelpers" exact

# Two processes, for two processor cores; a file is done by one of them, so a notebook has one kernel.
test: lint ## lint, then check the notebooks' committed outputs and run the tests
	"$(VENV)/bin/python" -m pytest -n 2 --dist loadfile --nbval notebooks tests

# Its root is this folder, so that links to the package and results in build/run open too. News, the check for
# a new version and the extension catalogue are all that would use the network.
lab: install ## open the notebooks in JupyterLab; options in LAB_ARGS
	@"$(VENV)/bin/jupyter-lab" --LabApp.default_url=/lab/tree/notebooks \
	  --LabApp.extension_manager=readonly --LabApp.news_url=None \
	  --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate $(LAB_ARGS)

# Where the installation fails, Python alone can often say why.
doctor: ## check that all is there and works, and say what to do where it does not
	@$(MAKE) --no-print-directory install || [ -x "$(VENV)/bin/python" ]
	@"$(VENV)/bin/python" -m alhelpers doctor

bundle: install ## gather repository and packages in build/bundle, to install without a network
	@"$(VENV)/bin/alhelpers" bundle $(BUNDLE_FOR)

site: install ## make a web book of the committed notebooks in build/site; it needs no network
	@"$(VENV)/bin/python" site/build.py

slides: install ## make slides of the committed notebooks in build/slides; they need no network
	@"$(VENV)/bin/python" slides/build.py

bench: install ## time the package against a plain version of the same program
	@"$(VENV)/bin/python" benchmarks/bench.py

lint: install ## check style and formatting with ruff
	"$(VENV)/bin/ruff" check
	"$(VENV)/bin/ruff" format --check

refresh: install ## execute the committed notebooks in place, to renew their outputs
	@"$(VENV)/bin/alhelpers" refresh

exercises: install ## make the workshop's exercises from its solutions
	@"$(VENV)/bin/python" workshop/make.py

solutions: install ## execute the workshop's solutions in place, and make the exercises from them
	@"$(VENV)/bin/alhelpers" refresh workshop/solutions/[0-9][0-9]_*.ipynb
	@"$(VENV)/bin/python" workshop/make.py

evidence: install ## compute the results that notebooks 09 to 11 and 13 read, anew (many minutes)
	@"$(VENV)/bin/python" -m alhelpers.evidence

# Keeps the versions it finds, so copies the old lock beside first; the new one takes its place when it is whole.
lock: ## write requirements.lock anew from pyproject.toml; newer versions with LOCK_ARGS=--upgrade
	@$(FIND_PYTHON) \
	scratch=$$(mktemp -d); trap 'rm -rf "$$scratch" requirements.lock.new' EXIT; trap 'exit 130' INT TERM; \
	echo 'Resolving pyproject.toml for Python 3.11 to 3.13 …'; \
	"$$python" -m venv "$$scratch/venv"; \
	"$$scratch/venv/bin/python" -m pip install -qq --disable-pip-version-check uv; \
	cp requirements.lock "$$scratch/resolved"; \
	"$$scratch/venv/bin/uv" pip compile pyproject.toml --quiet --python "$$scratch/venv/bin/python" \
	  --universal --python-version 3.11 --extra test --extra label --extra sweep --extra site --extra build --generate-hashes --no-emit-index-url \
	  --no-annotate --no-header --no-strip-extras $(LOCK_ARGS) -o "$$scratch/resolved"; \
	{ printf '%s\n' \
	  '# Made by `make lock` from pyproject.toml; do not edit.' \
	  '# Exact versions with hashes, for Python 3.11 to 3.13 on every system the markers name.' \
	  '# No addresses in it: pip takes the packages from whatever index it is set to use.' \
	  '# Extras stay in the names: older versions of pip refuse the file without them.'; \
	  cat "$$scratch/resolved"; } > requirements.lock.new; \
	mv requirements.lock.new requirements.lock; \
	echo 'Wrote requirements.lock; `make test` installs it and tries it.'

clean: ## remove the environment, build/ and caches
	@if $(VENV_IS_OURS); then rm -rf "$(VENV)"; fi
	@rm -rf build .pytest_cache .ruff_cache .hypothesis
	@find . -name '.venv*' -prune -o '(' -name __pycache__ -o -name .ipynb_checkpoints ')' -prune -exec rm -rf {} +

# ---- The environment, in two steps, each with a stamp that is written when the step is complete.

# Sets $python to the interpreter to use (not to a link into an environment that is about to be replaced).
BASE = import sys; (3, 11) <= sys.version_info[:2] <= (3, 13) or sys.exit(1); print(sys._base_executable)
FIND_PYTHON = set -e; python=; \
	for name in $(if $(PYTHON),"$(PYTHON)",$(PYTHONS)); do \
	  if python=$$("$$name" -c '$(BASE)' 2>/dev/null); then break; else python=; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo '$(if $(PYTHON),$(PYTHON) does not run,None of $(PYTHONS) runs) as Python 3.11, 3.12 or 3.13; name one that does: make PYTHON=/path/to/python3.12' >&2; \
	  exit 1; \
	fi; \
	version=$$("$$python" -c 'import platform; print(platform.python_version())'); \
	if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
	  echo "Python $$version ($$python) lacks the venv module; on Debian and Ubuntu: sudo apt install python$${version%.*}-venv" >&2; \
	  exit 1; \
	fi;

# What may be deleted: a folder named .venv* beside this file, or one with the mark that is put there below
# (it holds the process that is installing, and is empty afterwards).
VENV_IS_OURS = { [ -e "$(VENV)/.made-by-alhelpers" ] || case '$(VENV)' in */*) false ;; .venv*) true ;; *) false ;; esac; }

# An environment knows its own path, so one that was moved or copied here, or whose Python is gone, counts as none.
ifneq ($(shell test -x "$(VENV)/bin/python" && cat "$(VENV)/.packages" 2>/dev/null),$(CURDIR))
.PHONY: $(VENV)/.packages
endif

FROM_WHEELS = $(if $(WHEELS),--no-index --find-links "$(WHEELS)")
IT_NEEDS = $(if $(WHEELS),$(WHEELS)/ is for $(or $(shell cat "$(WHEELS)/FOR.txt" 2>/dev/null),other machines); name such a Python with PYTHON=,It needs a package index)

# Always from nothing: pip takes a package whose installation was cut short for complete.
$(VENV)/.packages: requirements.lock
	@$(FIND_PYTHON) \
	if [ -n "$$(ls -A "$(VENV)" 2>/dev/null)" ] && ! $(VENV_IS_OURS); then \
	  echo '$(VENV) holds something else already; name a new folder: make VENV=.venv2' >&2; exit 1; \
	fi; \
	if kill -0 "$$(cat "$(VENV)/.made-by-alhelpers" 2>/dev/null)" 2>/dev/null; then \
	  echo 'Another make is installing into $(VENV); wait for it, or start over with make clean' >&2; exit 1; \
	fi; \
	echo "Creating $(VENV) with Python $$version …"; \
	mkdir -p "$(VENV)"; echo $$$$ > "$(VENV)/.made-by-alhelpers"; rm -f "$(VENV)/.packages" "$(VENV)/.installed"; \
	find "$(VENV)" -mindepth 1 -maxdepth 1 ! -name .made-by-alhelpers -exec rm -rf {} +; \
	"$$python" -m venv "$(VENV)"; \
	echo "Installing up to $$(grep -c '^[a-z]' requirements.lock) packages from $(if $(WHEELS),$(WHEELS)/ and no network,requirements.lock) (a minute or two) …"; \
	"$(VENV)/bin/python" -m pip install -qq --no-input --disable-pip-version-check $(FROM_WHEELS) --require-hashes -r requirements.lock || { \
	  echo "The installation failed; pip says why above. $(IT_NEEDS), and make tries again from the start." >&2; exit 1; \
	}; \
	mkdir -p "$(VENV)/etc/jupyter/labconfig"; \
	echo '{"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": true}}' \
	  > "$(VENV)/etc/jupyter/labconfig/page_config.json"; \
	printf '%s\n' "$(CURDIR)" > "$(VENV)/.packages"; : > "$(VENV)/.made-by-alhelpers"

$(VENV)/.installed: $(VENV)/.packages pyproject.toml
	@echo 'Installing alhelpers from this folder …'
	@"$(VENV)/bin/python" -m pip install -qq --no-input --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch "$@"
