# The README's commands. Everything they need is installed into .venv first.
PYTHON ?= python3
VENV ?= .venv
EXTRA ?= cpu
RUN ?= runs/demo
BIN = $(VENV)/bin
READY = $(VENV)/ready-$(EXTRA)

.PHONY: demo test lint install clean

demo: $(READY)
	$(BIN)/python bin/prepare.py --source=synthetic --output=$(RUN)/data --overwrite
	$(BIN)/python bin/train.py --config=configs/voice_face.py:demo --workdir=$(RUN)/run --config.data.directory=$(RUN)/data
	$(BIN)/python bin/export.py --workdir=$(RUN)/run --output=exports/voice_face
	$(BIN)/python bin/eval.py --workdir=$(RUN)/run

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

install: $(READY)

$(READY): setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$(EXTRA),test]'
	touch $@

clean:
	rm -rf $(VENV) runs build dist *.egg-info
