# The README's commands. What they need is installed into .venv first.
PYTHON ?= python3
VENV ?= .venv
EXTRA ?= cpu
RUN ?= runs/demo
EXPORT ?= exports/voice_face
SEED ?= 0
BIN = $(VENV)/bin
READY = $(VENV)/ready-$(EXTRA)

.PHONY: demo test lint install clean

demo: $(READY)
	$(BIN)/python bin/prepare.py --source=synthetic --seed=$(SEED) --output=$(RUN)/data --overwrite
	$(BIN)/python bin/train.py --config=configs/voice_face.py:demo --workdir=$(RUN)/run \
	  --config.data.directory=$(RUN)/data --config.seed=$(SEED)
	$(BIN)/python bin/export.py --workdir=$(RUN)/run --output=$(EXPORT)
	$(BIN)/python bin/report.py --workdir=$(RUN)/run
	$(BIN)/python bin/eval.py --workdir=$(RUN)/run
	@echo "page      $(RUN)/run/report.html"
	@echo "data      $(RUN)/data"
	@echo "run       $(RUN)/run (tensorboard --logdir $(RUN)/run)"
	@echo "artefacts $(EXPORT)"

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

install: $(READY)

$(READY): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { \
	  echo "error: $(PYTHON) must be Python 3.10 or newer with venv: on Debian apt-get install python3-venv," \
	  "or name another with make PYTHON=..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$(EXTRA),test]'
	touch $@

clean:
	rm -rf $(VENV) runs build dist *.egg-info
