# MedServe. `make help` lists what there is; the variables stand behind each target.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= $(shell for p in python3.12 python3.11 python3; do $$p -c 'import sys; exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null && { command -v $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# Ours are built by the setuptools of .venv; .export compiles what these leave, with all cores. Only errors are printed.
INSTALL := $(PIP) --quiet --no-warn-conflicts --no-build-isolation --no-compile
TORCH_INDEX_URL ?=
CHECKPOINTS ?=
MODELS ?=
PICTURES ?=
FOLDERS ?=
REPORT ?=
SLO ?=
URL ?=
METRICS ?=
DATA ?=
RUNS ?=
CHECKPOINT ?=
STEP_WORKERS ?=
REPORT_WORKERS ?=
ENGINE_THREADS ?=
QUEUE_SIZE ?=
PROFILE ?= auto
export CHECKPOINTS PICTURES FOLDERS REPORT SLO URL METRICS DATA RUNS MODELS PROFILE STEP_WORKERS REPORT_WORKERS ENGINE_THREADS QUEUE_SIZE PRECISION SERVER_TENSORRT HOST HTTP_PORT GRPC_PORT METRICS_PORT HEALTH_PORT DRAIN_DELAY_S ALLOW_REMOTE VERBOSE
export GATEWAY_HOST GATEWAY_PORT GATEWAY_SERVER GATEWAY_SERVER_CA GATEWAY_KEYS_FILE GATEWAY_KEYS GATEWAY_HOSTS GATEWAY_ROUTES AUDIT_URL AUDIT_KEY_FILE

EXPORT := $(BIN)/python -m export models
TESTING := $(VENV)/.export-all $(VENV)/.gateway $(VENV)/.load $(VENV)/.test
# What the launcher runs beside itself: FP32 alone, two models at a time (the gate's report is for `make export`).
PUBLISH := $(EXPORT) --precisions fp32 --processes 2 --report '' --events
# Docker's compose where its engine runs, else podman's.
COMPOSE ?= $(shell docker info >/dev/null 2>&1 && echo docker compose || echo $(BIN)/podman-compose) --env-file docker/versions.env -f docker/compose.yaml --profile cpu --profile monitoring
# Debian's programs that some tests need, and skip without: images are built and run, alerts are tested.
SYSTEM := buildah catatonit chromium conmon debootstrap fuse-overlayfs iptables netavark aardvark-dns podman postgresql prometheus runc uidmap

.PHONY: help setup system export calibrate tune engines cuda serve gateway up down explain load bench peers overload soak test test-fast test-slow test-load test-all coverage mutants check lint dashboard clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.export-all $(VENV)/.gateway $(VENV)/.load $(VENV)/.test ## install everything into .venv (PYTHON=python3.12, TORCH_INDEX_URL=…)

system: ## install what some tests need of Debian: podman, debootstrap, prometheus, chromium, postgresql (as root)
	@apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends $(SYSTEM) >/dev/null

export: $(VENV)/.export-all ## export what is not exported yet, in every precision, and choose for this CPU (CHECKPOINTS=dir,name=file  MODELS=a,b  PICTURES=name=dir,…  FOLDERS=folder=label,…)
	@$(EXPORT)

calibrate: $(VENV)/.export-all ## fit a temperature (MODEL=name IMAGES=dir/label/… FOLDERS=folder=label,… CHECKPOINTS=…)
	@$(BIN)/python -m export calibrate '$(MODEL)' --images '$(IMAGES)'

tune: $(VENV)/.export-all ## time what passed its gate on this CPU, and serve the fastest (MODELS=a,b)
	@$(BIN)/python -m export tune $(MODELS)

engines: $(VENV)/.engines ## build TensorRT plans: for this GPU, or without one RTX plans as a proof (MODELS PRECISION)
	@$(EXPORT) && $(BIN)/python -m export engines

# Where an NVIDIA driver is loaded, networks run on CUDA: installed last, since onnxruntime-gpu is onnxruntime's module, too.
GPU := $(wildcard /proc/driver/nvidia/version)

cuda: $(VENV)/.cuda ## install what runs networks on this machine's NVIDIA GPU; `make serve` does so where a driver is loaded

serve: $(VENV)/.export $(if $(GPU),$(VENV)/.cuda) ## serve until Ctrl-C; a model that is not exported yet is exported in FP32 and joins (CHECKPOINTS MODELS PROFILE HOST HTTP_PORT …)
	@$(if $(MODELS),$(BIN)/python -m export packages | xargs --no-run-if-empty $(PIP))
	@exec $(BIN)/python -m server --publisher "$(PUBLISH)"

gateway: $(VENV)/.gateway ## REST and a page before a running server, until Ctrl-C (GATEWAY_PORT GATEWAY_SERVER, see docs/gateway.md)
	@exec $(BIN)/python -m gateway

load: $(VENV)/.load ## hold a server to benchmarks/slo.toml: 100 users, p95 < 500 ms (SLO=name,… DATA=dir RUNS=n  URL=grpc://…)
	@$(if $(URL),,$(EXPORT) && )$(BIN)/python -m benchmarks.load

bench: $(VENV)/.load ## what the cores could do, and how much of it reaches callers (MODELS=a,b DATA=dir RUNS=n)
	@$(EXPORT) && $(BIN)/python -m benchmarks.limit

peers: $(VENV)/.load ## the same model in FastAPI, LitServe, BentoML, MLServer, Ray Serve, TorchServe, plain Triton (CHECKPOINT=file DATA RUNS)
	@test -f '$(CHECKPOINT)' || { echo "make: CHECKPOINT: expected the file of chest_xray's weights, found none at '$(CHECKPOINT)'" >&2; exit 1; }
	@$(EXPORT) --models chest_xray --checkpoints chest_xray='$(CHECKPOINT)'
	@$(BIN)/python -m benchmarks.peers install; $(BIN)/python -m benchmarks.peers compare --checkpoint '$(CHECKPOINT)'

overload: $(VENV)/.load ## ten times as many calls as it can answer, for a minute (MODELS=name DATA RUNS)
	@$(EXPORT) && $(BIN)/python -m benchmarks.strain overload

soak: $(VENV)/.load ## four fifths of what it can answer, for half an hour (MODELS=name DATA)
	@$(EXPORT) && $(BIN)/python -m benchmarks.strain soak

up: $(VENV)/.export-all $(VENV)/.compose ## export, then build and start the CPU image, Prometheus and Grafana (MODELS CHECKPOINTS MEMORY COMPOSE=…)
	@$(EXPORT) && $(COMPOSE) up --detach --build

down: $(VENV)/.compose ## stop what `make up` started
	@$(COMPOSE) down

explain: $(VENV)/.serve ## what a launch on this machine would use, why, and what changes it
	@$(BIN)/python -m server explain

# Tests start hundreds of programs: each would compile our sources again.
unexport PYTHONDONTWRITEBYTECODE

# What `make test` runs: everything but what takes minutes by its nature (marked slow, or below tests/load).
QUICK := tests/unit tests/process tests/container tests/browser -m 'not slow'
PYTEST = $(BIN)/python -m pytest --durations=25 --junitxml=build/tests/$@.xml
# As many workers as cores; tests of one file, or of one shared server, stay on one worker.
PARALLEL := --numprocesses=auto --dist=loadgroup

test: $(TESTING) ## check, then all tests but the slow ones (ARGS='path or -k name': those alone, without the check)
ifeq ($(ARGS),)
	@$(MAKE) --no-print-directory lint
	@mkdir -p build/tests
# Types meanwhile: mypy has one thread and takes a minute and a half in a fresh clone.
	@$(BIN)/mypy > build/tests/types.log 2>&1 & types=$$!; trap "kill $$types 2>/dev/null" EXIT; \
	$(PYTEST) $(PARALLEL) $(QUICK); tests=$$?; \
	wait $$types; types=$$?; cat build/tests/types.log; \
	exit $$((tests ? tests : types))
else
	@$(PYTEST) $(ARGS)
endif

test-fast: $(TESTING) ## the unit tests: no process, no socket
	@$(PYTEST) $(PARALLEL) tests/unit

test-slow: $(TESTING) ## images built and run, and what else of processes and browsers takes minutes
	@$(PYTEST) $(PARALLEL) tests/process tests/container tests/browser -m slow

test-load: $(TESTING) ## what measures time, one after the other: for a machine that does nothing else
	@$(PYTEST) tests/load

test-all: test test-slow test-load ## every test that needs no GPU

# Branches count as lines do. The exporter's own figure: some of it runs on a GPU alone.
coverage: $(TESTING) ## what `make test` covers, branches and subprocesses included; fails below 95 % (export: 90 %)
	@rm -rf build/coverage && mkdir -p build/coverage
	@$(BIN)/coverage run -m pytest $(PARALLEL) $(QUICK)
	@$(BIN)/coverage combine --quiet && $(BIN)/coverage xml --quiet -o build/coverage/coverage.xml
	@$(BIN)/coverage report --include='export/*' --fail-under=90
	@$(BIN)/coverage report --omit='export/*' --fail-under=95

mutants: $(TESTING) ## put faults into a copy of the code, one at a time: does a test fail? (SEED=1 COUNT=30)
	@$(PIP) cosmic-ray
	@$(BIN)/python -m tests.support.mutants --seed $(or $(SEED),1) --count $(or $(COUNT),30)

check: lint ## lint, types, and that the committed repository is the generated one
	$(BIN)/mypy

lint: $(VENV)/.export-all $(VENV)/.gateway $(VENV)/.load $(VENV)/.test ## check without types: seconds
	$(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet .
	$(BIN)/python -m export repository --check && $(BIN)/python -m export cards --check
	$(BIN)/python -m benchmarks.page check && $(BIN)/python docker/monitoring/dashboard --check

dashboard: $(VENV)/.test ## write the Grafana dashboard out of docker/monitoring/dashboard
	@$(BIN)/python docker/monitoring/dashboard

clean: ## remove .venv, artefacts and run-time files
	rm -rf $(VENV) .run .pytest_cache .mypy_cache .ruff_cache build *.egg-info client/*.egg-info client/src/*.egg-info
	find model_repository \( -name '*.onnx' -o -name '*.onnx.data' -o -name '*.plan' -o -name card.json \) -delete

$(VENV)/.created:
	@test -n '$(PYTHON)' || { echo 'make: expected Python 3.11 or 3.12, found neither. Install one, or say PYTHON=path.' >&2; exit 1; }
	@echo 'setup: $(PYTHON) -m venv $(VENV)'
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

# A newer pip than Python brings: it installs in half the time (measured: 25 s against 43 s for what serves).
$(VENV)/.pip: constraints.txt | $(VENV)/.created
	@$(PIP) --quiet --upgrade pip setuptools
	@touch $@

$(VENV)/.serve: pyproject.toml client/pyproject.toml constraints.txt $(VENV)/.pip
	@echo 'setup: installing what serves (Triton, onnxruntime, OpenVINO, RDKit)'
	@$(INSTALL) --editable './client[cli]' --editable '.[serve]'
	@touch $@

# Without what they need, so that no package is installed twice at the same time; .export completes them. torchvision
# stays without its needs: the same torch serves it, whichever index that came from.
$(VENV)/.torch: constraints.txt $(VENV)/.pip
	@echo 'setup: installing torch and torchvision'
	@$(PIP) --quiet $(if $(TORCH_INDEX_URL),--index-url '$(TORCH_INDEX_URL)') --no-deps "$$(grep '^torch==' constraints.txt)" "$$(grep '^torchvision==' constraints.txt)"
	@touch $@

# Both at once: pip uses one core.
$(VENV)/.export: pyproject.toml client/pyproject.toml constraints.txt $(VENV)/.pip
	@$(MAKE) --no-print-directory --jobs=2 $(VENV)/.serve $(VENV)/.torch
	@echo 'setup: installing what exports (ONNX, PyTorch Geometric)'
	@$(INSTALL) "$$(grep '^torch==' constraints.txt)" --editable '.[serve,export]'
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib/python3.*/site-packages || :  # some packages bring files for other Pythons
	@touch $@

$(VENV)/.export-all: $(VENV)/.export
	@$(PIP) --editable '.[serve,export-all]'
	@touch $@

# TensorRT for data centres comes with NVIDIA's own index, or with its containers; this one builds without a GPU.
$(VENV)/.engines: $(VENV)/.export-all
	@$(BIN)/python -c 'import tensorrt' 2>/dev/null || $(PIP) --editable '.[serve,export-all,engines]'
	@touch $@

# Again after any install that brought onnxruntime back.
$(VENV)/.cuda: $(VENV)/.export $(wildcard $(VENV)/.export-all)
	@echo 'setup: installing onnxruntime for CUDA'
	@$(BIN)/python -m pip uninstall --quiet --yes onnxruntime
	@$(PIP) --editable '.[cuda]' || { $(PIP) onnxruntime; exit 1; }
	@touch $@

$(VENV)/.load: $(VENV)/.export-all
	@$(PIP) --editable '.[serve,load]'
	@touch $@

# Needs no Triton: it may stand on another machine.
$(VENV)/.gateway: pyproject.toml client/pyproject.toml constraints.txt $(VENV)/.pip
	@$(PIP) --editable './client[cli]' --editable '.[gateway]'
	@touch $@

$(VENV)/.compose: $(VENV)/.pip
	@docker info >/dev/null 2>&1 || $(PIP) podman-compose
	@touch $@

$(VENV)/.test: $(VENV)/.engines
	@echo 'setup: installing what tests'
	@$(PIP) --editable './client[cli,preprocess]' --editable '.[serve,export-all,engines,test]'
	@$(PIP) --no-deps "$$(grep '^aws-cdk' constraints.txt)" "$$(grep '^kserve==' constraints.txt)"  # files of each are read, none imported
	@$(PIP) --no-deps "$$(grep '^grad-cam==' constraints.txt)"  # its OpenCV wants a display
	@touch $@
