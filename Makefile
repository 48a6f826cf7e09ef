# For those who have make: `make run` is `python tutorial.py run`, where all that is done is described.

# The environment's folder, and the Python to make it with: make test VENV=.venv312 PYTHON=python3.12
VENV ?= .venv
PYTHON ?=
# numpy: without TensorFlow. make run ENGINE=numpy
ENGINE ?=
# Where packages come from, and nowhere else; by default wheels/ if there is such a folder, or else an index.
WHEELS ?= $(wildcard wheels)
# Handed on to what is run: make lab ARGS="--no-browser --port=9999", make bundle ARGS="3.12/win_amd64"
ARGS ?=

COMMANDS = install run lab doctor exact bundle try test test-quick check lint sweep site slides bench refresh \
	exercises solutions evidence lock clean
.DEFAULT_GOAL := help
.PHONY: help $(COMMANDS)

# A name says little: pyenv has a `python3` that only prints a complaint where no version is active.
ANY_PYTHON := $(shell for p in "$(PYTHON)" python3 python; do "$$p" -c '' 2>/dev/null && echo "$$p" && break; done)

help $(COMMANDS):
	@"$(or $(ANY_PYTHON),python3)" tutorial.py $@ --venv "$(VENV)" --wheels "$(WHEELS)" \
	  $(if $(PYTHON),--python "$(PYTHON)") $(if $(ENGINE),--engine "$(ENGINE)") $(ARGS)
