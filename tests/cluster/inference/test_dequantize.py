"""Copies of a quantized base on a machine's disk."""

import threading
from pathlib import Path

import pytest

from cluster.inference.dequantize import base_key, local_copy, served_model
from physrl.config.model import LoRAConfig, ModelConfig
from tests.support.paths import TINY_BASE


def test_concurrent_servers_write_a_copy_once(tmp_path: Path) -> None:
    began, go_on = threading.Event(), threading.Event()
    writes: list[Path] = []

    def write(folder: Path) -> None:
        began.set()
        go_on.wait()
        writes.append(folder)
        (folder / "weights").write_text("whole")

    found: list[str] = []

    def copy() -> None:
        found.append((local_copy(tmp_path / "cache" / "key", write) / "weights").read_text())

    threads = [threading.Thread(target=copy) for _ in range(4)]
    for thread in threads:
        thread.start()
    began.wait()
    assert not (tmp_path / "cache" / "key").exists()  # nothing partial is ever there
    go_on.set()
    for thread in threads:
        thread.join()
    assert found == ["whole"] * 4
    assert len(writes) == 1


def test_a_failed_copy_leaves_nothing_and_can_be_repeated(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "weights").write_text("half")
        raise BlockingIOError

    with pytest.raises(BlockingIOError):
        local_copy(tmp_path / "key", fail)
    assert [path.name for path in tmp_path.iterdir()] == ["key.lock"]
    assert local_copy(tmp_path / "key", lambda folder: None).is_dir()


def test_the_key_follows_content_quantization_and_dtype(tmp_path: Path) -> None:
    def key(**changes: object) -> str:
        plain = {"path": str(TINY_BASE), "quantization": "4bit", "lora": LoRAConfig()}
        return base_key(ModelConfig.model_validate(plain | changes))

    assert key() == key(max_prompt_tokens=77, lora=LoRAConfig(rank=4))
    (tmp_path / "config.json").write_text("{}")
    others = {key(dtype="bfloat16"), key(path=str(tmp_path))}
    (tmp_path / "config.json").write_text("{} ")
    others.add(key(path=str(tmp_path)))
    assert len({key(), *others}) == 4


def test_a_base_that_is_not_quantized_is_served_as_it_is() -> None:
    model = ModelConfig(path=str(TINY_BASE))
    assert served_model(model) is model
