"""Merge the adapter of a checkpoint into its base, or copy its full weights, as plain weights.

python -m jobs.merge runs/demo/checkpoints/step-00000060 --out models/demo
"""

import sys
from pathlib import Path

from jobs.display.console import console
from physrl.config.model import ModelConfig
from physrl.models.merging import merge

CARD = """---
library_name: transformers
pipeline_tag: image-text-to-text
base_model: {base}
---

# {name}

Plain {dtype} weights of the checkpoint `{checkpoint}`, written by `physrl merge`{how}.

```python
from transformers import AutoModelForImageTextToText, AutoProcessor

model = AutoModelForImageTextToText.from_pretrained("{folder}")
processor = AutoProcessor.from_pretrained("{folder}")
```

The written weights score an answer as the checkpoint does, up to {difference:.2g} nats per token.
"""


def run(model: ModelConfig, checkpoint: str, out: Path) -> None:
    """Write the weights, the processor and a model card, and print the folder."""
    with console.status("merging"):
        difference = merge(model, out)
    how = "" if model.lora is None else f", with its adapter of rank {model.lora.rank} merged"
    card = CARD.format(
        base=model.path,
        name=out.name,
        dtype=model.dtype,
        checkpoint=checkpoint,
        how=how,
        folder=out.name,
        difference=difference,
    )
    (out / "README.md").write_text(card)
    console.print(f"model {out}: {model.dtype}, differs by {difference:.2g} nats per token")


if __name__ == "__main__":
    from jobs.cli import main

    main(["merge", *sys.argv[1:]])
