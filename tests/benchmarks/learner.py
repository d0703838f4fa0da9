"""Memory and time of the learner's output head against a naive one and TRL's; its overhead.

    make bench-learner

Measures loss and backward pass of B x T tokens over Qwen's vocabulary, under a trained and a frozen
head, each computation in its own process. Memory is the peak above that of the inputs. Prints a
table, then one JSON line with the worse of both heads.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

ROOT = Path(__file__).parents[2]
TEMPERATURE = 0.9
EXACT_ROWS = 128
"""Number of tokens that are also computed in float64, as the reference."""
METHODS = ("naive", "trl", "physrl")
HEADS = ("trained", "frozen")
Scores = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--vocabulary", type=int, default=151_936)
    parser.add_argument("--hidden", type=int, default=1024)
    parser.add_argument("--peers", default=str(ROOT / ".venv-peers/bin/python"))
    parser.add_argument("--sequences", type=int, default=256, help="size of the update")
    parser.add_argument("--case", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        method, head, result = options.case
        shape = (options.batch * options.length, options.vocabulary, options.hidden)
        measure(method, head == "trained", shape, Path(result))
    else:
        compare(options)


def compare(options: argparse.Namespace) -> None:
    figures: dict[str, float] = defaultdict(float)
    print(f"{'head':9}{'method':9}{'peak MB':>9}{'forward s':>11}{'backward s':>12}")
    shape = (options.batch * options.length, options.vocabulary, options.hidden)
    exact = exact_values(shape)
    for head in HEADS:
        with tempfile.TemporaryDirectory() as folder:
            found = {
                method: run_case(method, head, Path(folder) / method, options) for method in METHODS
            }
        ours, trl, naive = found["physrl"], found["trl"], found["naive"]
        ratios = {
            "mem_vs_naive": ours["peak"] / naive["peak"],
            "mem_vs_trl": ours["peak"] / trl["peak"],
            "time_vs_trl": seconds(ours) / seconds(trl),
            "max_abs_diff": largest_difference(ours["values"], exact),
        }
        print(f"{head:9}naive float32 is off by {largest_difference(naive['values'], exact):.2g}")
        figures |= {name: max(figures[name], ratio) for name, ratio in ratios.items()}
    figures["update_overhead"] = update_overhead(options.sequences)
    print(json.dumps({name: float(f"{value:.3g}") for name, value in figures.items()}))


def exact_values(shape: tuple[int, int, int]) -> dict[str, Tensor]:
    """Compute the first rows in float64; rows are independent."""
    states, weight, tokens, weights = random_inputs(shape)
    states = states[:EXACT_ROWS].double().requires_grad_()
    logprobs, entropies = naive_scores()(states, weight.double(), tokens[:EXACT_ROWS])
    (logprobs * weights[:EXACT_ROWS]).sum().backward()
    return {"logprobs": logprobs.detach(), "entropies": entropies, "states": states.grad}


def largest_difference(found: dict[str, Tensor], exact: dict[str, Tensor]) -> float:
    return max(float((found[name][:EXACT_ROWS] - exact[name]).abs().max()) for name in exact)


def random_inputs(shape: tuple[int, int, int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Draw states, head, tokens and a weight for each token's log-probability."""
    count, vocabulary, width = shape
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(count, width, generator=generator)
    weight = torch.randn(vocabulary, width, generator=generator).mul_(0.05)
    tokens = torch.randint(vocabulary, (count,), generator=generator)
    return states, weight, tokens, torch.randn(count, generator=generator)


def run_case(method: str, head: str, result: Path, options: argparse.Namespace) -> dict[str, Any]:
    python = options.peers if method == "trl" else sys.executable
    sizes = [
        f"--{name}={getattr(options, name)}" for name in ("batch", "length", "vocabulary", "hidden")
    ]
    subprocess.run([python, __file__, *sizes, "--case", method, head, str(result)], check=True)
    found: dict[str, Any] = torch.load(result)
    print(
        f"{head:9}{method:9}{found['peak'] / 2**20:9.0f}"
        f"{found['forward']:11.2f}{found['backward']:12.2f}",
        flush=True,
    )
    return found


def seconds(found: dict[str, Any]) -> float:
    return float(found["forward"] + found["backward"])


def measure(method: str, trained: bool, shape: tuple[int, int, int], result: Path) -> None:
    """Compute a loss and its backward pass in this process; write figures and values."""
    states, weight, tokens, weights = random_inputs(shape)
    states.requires_grad_()
    weight.requires_grad_(trained)
    scores = SCORES[method]()
    # A first call starts threads and their buffers, which do not count.
    few = states[:8].detach().requires_grad_()
    sum(scores(few, weight.detach()[:64], tokens[:8] % 64)).sum().backward()
    before = reset_peak()
    start = time.perf_counter()
    logprobs, entropies = scores(states, weight, tokens)
    middle = time.perf_counter()
    # As in GRPO: the entropy is a metric, not part of the loss.
    (logprobs * weights).sum().backward()
    end = time.perf_counter()
    peak = memory("VmHWM") - before
    values = {"logprobs": logprobs, "entropies": entropies, "states": states.grad}
    torch.save(
        {
            "peak": peak,
            "forward": middle - start,
            "backward": end - middle,
            "values": {name: value.detach().clone() for name, value in values.items()},
        },
        result,
    )


def naive_scores() -> Scores:
    def scores(states: Tensor, weight: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        logprobs = (states @ weight.t() / TEMPERATURE).log_softmax(dim=-1)
        with torch.no_grad():
            entropies = torch.special.entr(logprobs.exp()).sum(dim=-1)
        return logprobs.gather(1, tokens[:, None])[:, 0], entropies

    return scores


def trl_scores() -> Scores:
    """Make the function of GRPOTrainer's fused head, with its own chunk size."""
    from trl.trainer.utils import _CHUNKED_LOGPROB_CHUNK_SIZE, _ChunkedLogProbFunction

    def scores(states: Tensor, weight: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        arguments = (states, weight, None, tokens, TEMPERATURE, _CHUNKED_LOGPROB_CHUNK_SIZE)
        outputs = _ChunkedLogProbFunction.apply(*arguments, None, 1.0, ("log_probs", "entropy"))
        return outputs[0], outputs[1]

    return scores


def physrl_scores() -> Scores:
    from physrl.models.linear_scores import linear_scores

    return lambda states, weight, tokens: linear_scores(
        states, weight, None, tokens, (), TEMPERATURE
    )


SCORES = {"naive": naive_scores, "trl": trl_scores, "physrl": physrl_scores}


def reset_peak() -> int:
    """Reset the peak and return the bytes in use."""
    Path("/proc/self/clear_refs").write_text("5")
    return memory("VmRSS")


def memory(name: str) -> int:
    """Read this process's memory in bytes: VmRSS is the current, VmHWM the peak."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def update_overhead(sequences: int) -> float:
    """Measure the fraction of an update that is neither forward, backward nor optimizer."""
    from physrl.algorithms.update import Learner
    from physrl.config.load import validate
    from physrl.data.collate import Collator
    from physrl.models import logprobs
    from physrl.models.engine import TorchEngine
    from physrl.models.loading import load_model
    from physrl.models.processor import load_processor

    config = validate({"algorithm": {"type": "grpo", "lr": 1e-4}})
    engine = TorchEngine(load_model(config.model), config.algorithm)
    learner = Learner(engine, Collator(load_processor(config.model.path)), config)
    batch = random_batch(sequences)
    spent: dict[str, float] = defaultdict(float)
    with (
        timed(logprobs, "last_hidden", spent, "forward"),
        timed(logprobs, "token_scores", spent, "forward"),
        timed(engine, "backward", spent, "backward"),
        timed(engine, "step", spent, "optimizer"),
    ):
        learner.update(batch, 0)
        shares = []
        for step in range(1, 6):
            spent.clear()
            start = time.perf_counter()
            learner.update(batch, step)
            total = time.perf_counter() - start
            shares.append(1 - sum(spent.values()) / total)
            parts = ", ".join(f"{name} {value:.3f}" for name, value in spent.items())
            print(f"update of {sequences} sequences: {total:.3f} s ({parts})", flush=True)
    return sorted(shares)[len(shares) // 2]


def random_batch(sequences: int) -> Any:
    """Draw random completions of 12 tokens, eight per image, as in the demo."""
    from physrl.config.load import validate
    from physrl.environments.renderer import TinyRenderer
    from physrl.tasks import TASKS
    from physrl.tasks.task import make_prompt, make_scene
    from physrl.training_records import TrainingBatch, TrainingExample

    task, settings, renderer = TASKS["place"], validate({}).environment, TinyRenderer()
    scenes = [make_scene(task, settings, 0, "train", i) for i in range(-(-sequences // 8))]
    prompts = [make_prompt(task, scene, renderer, 84, reasoning=False) for scene in scenes]
    renderer.close()
    tokens = torch.randint(20, 90, (sequences, 12)).tolist()
    return TrainingBatch(
        tuple(
            TrainingExample(prompts[row // 8], tuple(ids), (-1.0) ** row, (-3.0,) * len(ids))
            for row, ids in enumerate(tokens)
        )
    )


@contextmanager
def timed(owner: Any, name: str, spent: dict[str, float], phase: str) -> Iterator[None]:
    """Add the seconds inside the owner's function to the phase, within the block."""
    original = getattr(owner, name)

    def counted(*args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        try:
            return original(*args, **kwargs)
        finally:
            spent[phase] += time.perf_counter() - start

    setattr(owner, name, counted)
    yield
    setattr(owner, name, original)


if __name__ == "__main__":
    main()
