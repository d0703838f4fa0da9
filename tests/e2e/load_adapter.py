"""Use of a pulled adapter by transformers and PEFT alone, without this project.

    python -I -S tests/e2e/load_adapter.py SITE_PACKAGES BASE ADAPTER

Last line: {"adapted", "difference"}: the number of modules that the adapter changes, and the
largest change of a next token's logit.
"""

import json
import sys
from importlib.util import find_spec

site_packages, base_folder, adapter_folder = sys.argv[1:]
sys.path.append(site_packages)  # not by `site`, whose .pth files lead to the project
assert not [name for name in ("physrl", "cluster", "jobs") if find_spec(name)]

import torch  # noqa: E402
from peft import PeftModel  # noqa: E402
from PIL import Image  # noqa: E402
from transformers import AutoModelForImageTextToText, AutoProcessor  # noqa: E402

processor = AutoProcessor.from_pretrained(base_folder)
base = AutoModelForImageTextToText.from_pretrained(base_folder)
message = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Where?"}]}
text = processor.apply_chat_template([message], add_generation_prompt=True)
image = Image.new("RGB", (84, 84), (90, 120, 60))
inputs = processor(text=[text], images=[image], return_tensors="pt")
with torch.inference_mode():
    before = base(**inputs).logits[0, -1]
    model = PeftModel.from_pretrained(base, adapter_folder)
    after = model(**inputs).logits[0, -1]
adapted = sum(name.endswith("lora_B.default") for name, _ in model.named_modules())
print(json.dumps({"adapted": adapted, "difference": (after - before).abs().max().item()}))
