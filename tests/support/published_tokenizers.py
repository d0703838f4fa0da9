"""The tokenizers of published checkpoints, which lie beside the repository if they are at hand."""

import gzip
from pathlib import Path

import pytest
from transformers import Qwen2Tokenizer

from physrl.models.real_form import Family, load_tokenizer

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "qwen_tokenizers"


def published_tokenizer(family: Family) -> Qwen2Tokenizer:
    """Load the tokenizer of a family; skip the test where its file is absent."""
    name = "qwen3" if family == "qwen3_vl" else "qwen2_5"
    file = FOLDER / name / "tokenizer.json.gz"
    if not file.exists():
        pytest.skip(f"the published tokenizer is not at hand: {file}")
    return load_tokenizer(gzip.decompress(file.read_bytes()).decode())
