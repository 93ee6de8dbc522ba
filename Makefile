# The README's commands. What they need is installed into .venv first.
PYTHON ?= python3
VENV ?= .venv
EXTRA ?= cpu
RUN ?= runs/demo
EXPORT ?= exports/voice_face
SEED ?= 0
SECONDS ?= 60
PER_KIND ?= 4
KILLS ?= 100
CASES ?= 10000
CLIENTS ?= 4
PORT ?= 8000
PYTHONS ?= 3.10 3.11 3.12 3.13
BIN = $(VENV)/bin
# The tested versions of what is installed; CONSTRAINTS= takes the newest that setup.cfg allows.
CONSTRAINTS ?= constraints/$(if $(findstring addons,$(EXTRA)),addons,current).txt
READY = $(VENV)/ready-$(EXTRA)

.PHONY: demo web toy docs release audit kotlin arm serve-load matrix hostile chaos disk fuzz bench test lint install constraints pythons clean

demo: $(READY)
	$(BIN)/python bin/prepare.py --source=synthetic --seed=$(SEED) --output=$(RUN)/data --overwrite
	$(BIN)/python bin/train.py --config=configs/voice_face.py:demo --workdir=$(RUN)/run \
	  --config.data.directory=$(RUN)/data --config.seed=$(SEED)
	$(BIN)/python bin/eval.py --workdir=$(RUN)/run
	$(BIN)/python bin/report.py --workdir=$(RUN)/run
	$(BIN)/python bin/export.py --workdir=$(RUN)/run --output=$(EXPORT)
	@echo "page      $(RUN)/run/report.html"
	@echo "data      $(RUN)/data"
	@echo "run       $(RUN)/run (tensorboard --logdir $(RUN)/run)"
	@echo "artefacts $(EXPORT)"
	@echo "phone     $(EXPORT)/audio_float16.tflite image_float16.tflite:" \
	  "$$(cat $(EXPORT)/audio_float16.tflite $(EXPORT)/image_float16.tflite | wc -c) bytes together"
	@echo "browser   make web (needs npm): the model in a page, at http://localhost:$(PORT)/"

# The demo's export in a browser, with people that it has never met; needs npm, once, for LiteRT.js.
web: $(READY) .litert
	$(BIN)/python bin/web.py --export=$(EXPORT) --output=site/$(notdir $(EXPORT)) --serve=$(PORT)

.litert:
	mkdir -p $@ && npm pack --silent @litertjs/core@2.5.3 @litertjs/wasm-utils@2.5.3 --pack-destination=$@ >/dev/null \
	  || { rm -rf $@; exit 1; }

# The toy pair that ships in the package, tfav.load("toy"): the demo's float16 files, what they answer, and their card.
toy: demo
	$(BIN)/python bin/export.py --workdir=$(RUN)/run --output=$(RUN)/toy --precisions=float16 --license=Apache-2.0
	cd $(RUN)/toy && cp audio_float16.tflite image_float16.tflite golden.json parity.json model_card.md model_card.json \
	  "$(CURDIR)/tfav/toy/"

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

install: $(READY)

$(READY): setup.cfg pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { \
	  echo "error: $(PYTHON) must be Python 3.10 or newer with venv: on Debian apt-get install python3-venv," \
	  "or name another with make PYTHON=..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(addprefix -c ,$(CONSTRAINTS)) \
	  -e '.[$(EXTRA),test]'
	touch $@

# The documentation site, in build/docs: python -m http.server --directory build/docs shows it. It takes no TensorFlow.
docs: .venv-docs/ready
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict --quiet
	.venv-docs/bin/python docs/check.py build/docs

# Wheel, sdist, SBOM and model card template of the last commit, in dist/.
release: .venv-release/ready
	.venv-release/bin/python -m release.build --output=dist

# Which tested versions have known vulnerabilities, but for the exceptions of constraints/audit.txt; asks PyPI.
audit: .venv-release/ready
	.venv-release/bin/python -m release.audit

.venv-%/ready: constraints/%.txt
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

# Bad files, damaged runs and wrong words at every command: a table of what came of them, in docs/reliability.md too.
hostile: $(READY)
	$(BIN)/python -m tests.hostile --seed=$(SEED) --per_kind=$(PER_KIND)

# KILLS times kill -9 of commands at drawn moments, and what was lost; the table is in docs/reliability.md too.
chaos: $(READY)
	$(BIN)/python -m tests.chaos --seed=$(SEED) --kills=$(KILLS)

# Every command on a disk that is full, read-only, slow, or gone while it writes; needs gcc.
disk: $(READY)
	$(BIN)/python -m tests.disk

# CASES damaged files for every reader, then as many well-formed ones that say what they should not.
fuzz: $(READY)
	$(BIN)/python -m tests.fuzz --seed=$(SEED) --cases=$(CASES)
	TFAV_FUZZ_CASES=$(CASES) $(BIN)/python -m pytest tests/fuzz/test_structures.py

# One, two and four replicas over every recipe, loss, head and state; `make test` has a part of it.
matrix: $(READY)
	TFAV_MATRIX=1 $(BIN)/python -m pytest -q tests/training/test_replica_matrix.py tests/training/test_replicas.py

# The speed of every part against peers and floors, in docs/performance.md too; ONLY=retrieval,explicit runs those alone.
bench: $(READY)
	$(BIN)/python -m benchmarks $(if $(ONLY),--only=$(ONLY))

# The export's .tflite files on an emulated ARM processor and on the oldest runtime; unpacks what that needs, in a minute.
arm: $(READY)
	$(BIN)/python -m tests.arm.compare $(EXPORT) runs/arm

# A Kotlin compiler (90 MB, from the npm registry) in runs/kotlin, with which tests/samples compiles what needs no phone; it needs java.
kotlin: runs/kotlin/package/bin/kotlinc

runs/kotlin/package/bin/kotlinc:
	mkdir -p runs/kotlin
	cd runs/kotlin && npm pack --silent kotlin-compiler@2.4.20 && tar xzf kotlin-compiler-2.4.20.tgz && rm kotlin-compiler-2.4.20.tgz
	chmod +x $@

# CLIENTS clients for SECONDS against a stand-in of TensorFlow Serving over the export, with a restart in between.
serve-load: $(READY)
	$(BIN)/python -m tests.serving.load --export=$(EXPORT) --clients=$(CLIENTS) --seconds=$(SECONDS)

# Writes the tested versions anew; both test suites decide whether they are.
# (uv takes no notice of the newest Python that a release allows: backports.strenum 1.3 stops at 3.10.)
constraints: $(READY)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --upgrade --no-annotate --no-header setup.cfg \
	  --extra cpu --extra test --extra video --extra quantize --extra beam --extra servers --extra notebooks -c constraints/limits.txt -o constraints/current.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --upgrade --no-annotate --no-header setup.cfg \
	  --extra addons-cpu --extra test --extra video --extra notebooks -o constraints/addons.txt
	for tool in docs release; do $(BIN)/python -c "import configparser as c; s = c.ConfigParser(); s.read('setup.cfg'); \
	  print(s['options.extras_require']['$$tool'].strip())" | $(BIN)/uv pip compile --quiet --universal --python-version 3.10 --upgrade \
	  --no-annotate --no-header - -o constraints/$$tool.txt; done

# Installs on each Python of PYTHONS that the machine has, those of pyenv too, and runs what the README tells a reader to type.
pythons:
	@PATH="$$PATH:$$(echo $$HOME/.pyenv/versions/*/bin | tr ' ' ':')"; for v in $(PYTHONS); do \
	  found=$$(which -a python$$v | while read p; do $$p -c '' 2>/dev/null && echo $$p && break; done); \
	  if [ -z "$$found" ]; then echo "python$$v: not on this machine"; continue; fi; \
	  $(MAKE) --no-print-directory install PYTHON=$$found VENV=.venv-$$v && \
	  .venv-$$v/bin/python -m pytest -q tests/test_compat.py tests/test_readme.py || exit 1; \
	done

clean:
	rm -rf $(VENV) .venv-docs .venv-release runs build dist *.egg-info
