"""Datasets of images, questions and answers that are no scenes."""

import importlib.util
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image as PillowImage

from physrl.config.load import load_config, merge, validate
from physrl.config.run import RunConfig
from tests.support.paths import ROOT, TINY_BASE

EXAMPLE = ROOT / "examples" / "own_images"


def write_squares(folder: Path) -> Path:
    """Write the 100 rows of the example."""
    spec = importlib.util.spec_from_file_location("make_squares", EXAMPLE / "make_squares.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main(folder)
    return folder


def png(shade: int = 0, size: tuple[int, int] = (8, 8)) -> bytes:
    stream = io.BytesIO()
    PillowImage.new("RGB", size, (shade, shade, shade)).save(stream, "PNG")
    return stream.getvalue()


def make_rows(count: int, **columns: Any) -> list[dict[str, Any]]:
    """Make rows that answer with their number, with other values where given."""
    return [
        {"image": png(number), "question": f"Number {number}?", "answer": str(number)} | columns
        for number in range(count)
    ]


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write rows as a Parquet file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


def own_config(path: Path | str, **changes: Any) -> RunConfig:
    """Make the configuration of a short run on questions."""
    defaults = {
        "data": {"path": str(path)},
        "model": {"path": str(TINY_BASE), "max_prompt_tokens": 64, "max_completion_tokens": 12},
        "algorithm": {"type": "grpo", "lr": 1e-3, "prompts_per_step": 4, "group_size": 4},
        "evaluation": {"scenes": 10},
    }
    return validate(merge(defaults, changes))


def example_config(data: Path, *overrides: str) -> RunConfig:
    """Load the example's configuration for rows elsewhere."""
    places = [f"data.path={data}", f"model.path={TINY_BASE}"]
    return load_config(EXAMPLE / "train.yaml", [*places, *overrides])
