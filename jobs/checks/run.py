"""What would fail minutes later is found here, before anything slow starts."""

import json
import socket
import tempfile
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

from cluster.runtime.authentication import announced_address
from jobs.checks.adapter import read_adapter
from jobs.checks.lengths import check_answers, check_conversation
from physrl.config import RunConfig
from physrl.config.dataset import CollectConfig
from physrl.config.environment import EnvironmentConfig
from physrl.config.model import MODEL_TYPES, ModelConfig
from physrl.errors import ConfigError, UserError
from physrl.tracking import check_tracking

CONNECT_SECONDS = 5


def check(config: RunConfig) -> None:
    """Look at every folder, model, port and scene that a run needs.

    Raises:
        UserError: the first that is missing or unfit, with its value and the remedy.
    """
    check_model("model.path", config.model.path, config.model)
    if config.model.quantization is not None and find_spec("bitsandbytes") is None:
        raise UserError(
            f"model.quantization is {config.model.quantization} but bitsandbytes is not installed: "
            "pip install bitsandbytes, or set model.quantization=null"
        )
    check_tracking(config.tracking)
    if config.model.adapter is not None:
        _check_adapter(Path(config.model.adapter), config)
    if config.evaluation.real_images is not None:
        from physrl.data.photos import load_photos

        load_photos(config.evaluation.real_images)
    if config.data is not None or config.evaluation.data:
        from physrl.data.dataset import check_data

        check_data(config)
    if config.stored is not None:
        check_storage(config.stored)
    if (address := announced_address()) is not None:
        _check_cluster(address)
    elif config.runtime.dashboard:  # a cluster that is joined holds its dashboard's port by right
        _check_port(config.runtime.dashboard_port)
    _check_writable(config.folder)
    _check_scenes(config)
    for task in sorted({*config.tasks, *config.evaluation.tasks}):
        check_conversation(task, config)
    check_answers(config)


def check_storage(place: str) -> None:
    """Refuse storage that is not there, not open to us, or lets two writers of one run both win.

    Raises:
        UserError: with the place and the remedy.
    """
    from physrl.storage.object_store import open_store

    store, probe = open_store(place), f".probe-{uuid4().hex}"
    store.check()
    try:
        conditional = store.create(probe, b"") and not store.create(probe, b"")
    finally:
        store.delete(probe)
    if not conditional:
        raise UserError(
            f"storage is {place}: its server ignores conditions on writes (If-None-Match), so that "
            "two processes could damage one run: choose storage that honours them"
        )


def check_training(environment: EnvironmentConfig) -> None:
    """Refuse to train on what is held out; to evaluate on it is what it is for.

    Raises:
        ConfigError: with the value and the remedy.
    """
    for key in ("colors", "camera", "wording"):
        if getattr(environment, key) == "held_out":
            raise ConfigError(
                f"environment.{key} is held_out, which is never trained on: set "
                f"environment.{key}=seen, and held_out for `physrl evaluate` alone"
            )


def check_sft(config: RunConfig) -> None:
    """Refuse what the job without servers cannot do.

    Raises:
        UserError: with the value and the remedy.
    """
    if config.algorithm.uses_rollouts:
        raise UserError(
            f"algorithm.type is {config.algorithm.type}, which needs completions: set "
            "algorithm.type=sft, or run physrl train"
        )
    if config.warm_start is not None:
        raise UserError("warm_start is set before SFT: set warm_start=null, or run physrl train")
    if config.evaluation.every:
        raise UserError(
            f"evaluation.every is {config.evaluation.every}, which needs inference servers: set "
            "evaluation.every=0, or run physrl train"
        )


def check_collection(config: CollectConfig) -> None:
    """Refuse what no scene can be drawn for, and a Ray cluster that does not answer.

    Raises:
        UserError: with the value and the remedy.
    """
    if (address := announced_address()) is not None:
        _check_cluster(address)
    from physrl.environments.generators import GENERATORS

    settings = GENERATORS[config.generator](config.environment)
    _check_task(config.task, settings, config.seed)


def check_sizing(config: RunConfig) -> None:
    """Refuse a model that cannot be counted, and a Ray cluster that does not answer.

    Raises:
        UserError: with the value and the remedy.
    """
    check_model("model.path", config.model.path, config.model)
    if (address := announced_address()) is not None:
        _check_cluster(address)


def check_demo(config: RunConfig) -> None:
    """Refuse a configuration that leaves the demo nothing to compare, or SFT empty updates.

    Raises:
        ConfigError: with the values and the remedy.
    """
    rl = config.algorithm
    if config.warm_start is None or not rl.uses_rollouts:
        raise ConfigError(
            "the demo compares RL with SFT from one warm start: set warm_start and an RL algorithm"
        )
    if rl.updates_per_rollout > rl.prompts_per_step:
        raise ConfigError(
            f"algorithm.updates_per_rollout is {rl.updates_per_rollout} but the demo's SFT "
            f"has only algorithm.prompts_per_step = {rl.prompts_per_step} completions per step: "
            "lower updates_per_rollout or raise prompts_per_step"
        )


def check_model(key: str, path: str, model: ModelConfig) -> None:
    """Refuse a checkpoint, in a folder or on the hub, that is missing or unfit.

    Raises:
        UserError: with the value of `key`.
    """
    folder = Path(path).expanduser()
    if folder.is_dir():
        _check_checkpoint(f"{key} is {path}", folder, model)
    elif _looks_local(path):
        raise UserError(f"{key} is {path}: there is no such folder; name one that exists")
    else:
        _check_checkpoint(f"{key} is {path}", _config_from_hub(key, path).parent, model)


def _check_checkpoint(what: str, folder: Path, model: ModelConfig) -> None:
    try:
        settings = json.loads((folder / "config.json").read_text())
        family = settings["model_type"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(
            f"{what}: the folder holds no config.json with a model_type, so it is no checkpoint; "
            "name one that a model was saved to"
        ) from None
    if family not in MODEL_TYPES:
        raise UserError(f"{what}: a model of type {family}; name one of {', '.join(MODEL_TYPES)}")
    text = settings.get("text_config") or settings
    rope = text.get("rope_parameters") or text.get("rope_scaling") or {}
    if family == "qwen3_vl" and not rope.get("mrope_interleaved"):
        raise UserError(
            f"{what}: its config.json does not say mrope_interleaved in text_config."
            "rope_parameters, so vLLM would place tokens differently from the learner: set it to "
            "true there"
        )
    longest = text.get("max_position_embeddings")
    tokens = model.max_prompt_tokens + model.max_completion_tokens
    if longest is not None and tokens > longest:
        raise UserError(
            f"{what}: it reads at most {longest} tokens, but model.max_prompt_tokens + "
            f"model.max_completion_tokens = {model.max_prompt_tokens} + "
            f"{model.max_completion_tokens} = {tokens}: lower one of them"
        )


def _looks_local(path: str) -> bool:
    """Whether a path that does not exist was meant as a folder: a hub name is `owner/name`."""
    return path.startswith(("/", ".", "~")) or path.count("/") != 1 or Path(path).parent.is_dir()


def _config_from_hub(key: str, name: str) -> Path:
    """The config.json of a model on the hub, which loading the model needs first of all."""
    from huggingface_hub import hf_hub_download, logging
    from huggingface_hub.errors import HfHubHTTPError

    logging.set_verbosity_error()  # it would print each of its retries
    try:
        return Path(hf_hub_download(name, "config.json"))
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise UserError(
            f"{key} is {name}: no such folder, and the hub does not give it "
            f"({type(error).__name__}); check the name, the network and HF_HUB_OFFLINE"
        ) from None


def _check_adapter(folder: Path, config: RunConfig) -> None:
    """Refuse a start adapter that differs from `model.lora`: vLLM is told of it by the latter."""
    lora = config.model.lora
    if lora is None:
        raise UserError(f"model.adapter is {folder} but model.lora is null: set model.lora.rank")
    saved = read_adapter("model.adapter is", folder)
    for key in ("rank", "alpha", "rslora", "language", "vision", "projector"):
        wanted, found = getattr(lora, key), getattr(saved, key)
        if wanted != found:
            told, there = (str(value).lower() for value in (wanted, found))
            raise UserError(
                f"model.lora.{key} is {told} but model.adapter {folder} has {key} {there}: "
                f"set model.lora.{key}={there}"
            )


def _check_cluster(address: str) -> None:
    """Refuse a Ray cluster that nobody answers for; Ray itself would try for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdecimal():
        return  # such as `auto`, which Ray resolves
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise UserError(
            f"no Ray cluster answers at {address} ({error.strerror or error}), which RAY_ADDRESS "
            "or an earlier `ray start` names: start it, or unset RAY_ADDRESS and run `ray stop`"
        ) from None


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise UserError(
                f"runtime.dashboard_port is {port}: the port is in use; choose another, or set "
                "runtime.dashboard=false"
            ) from None


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"output folder {folder} cannot be written ({error.strerror}): set output=FOLDER to "
            "one that can"
        ) from None


def _check_scenes(config: RunConfig) -> None:
    """Draw a pair of the fewest and of the most blocks for every task, so that margins fit."""
    for name in sorted({*config.tasks, *config.evaluation.tasks}):
        _check_task(name, config.environment, config.seed)


def _check_task(name: str, environment: EnvironmentConfig, seed: int) -> None:
    from physrl.tasks import TASKS
    from physrl.tasks.task import make_scene

    for num_blocks in sorted(set(environment.num_blocks)):
        settings = environment.model_copy(update={"num_blocks": (num_blocks, num_blocks)})
        for index in range(2):
            make_scene(TASKS[name], settings, seed, "train", index)
