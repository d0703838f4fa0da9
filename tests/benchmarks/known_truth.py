"""Judges simulated studies whose truth is known, and counts wrong verdicts.

    python tests/benchmarks/known_truth.py

A verdict is wrong if it is *supported*, *contradicted*, *mixed* or *not testable* and the truth is
another. It should be decided where the truth of every case is at least two smallest effects from
every bound, with five seeds or more and the default number of scenes: `decided_share` is the share
of right verdicts about all such claims, `claims_decided` that of claims on which four of five are
right, `least_decided` the share of right verdicts on the worst claim. The last line is JSON. In
parts, `--part 1/3 --keep tallies.json`, the last one sums up all that were kept.
"""

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))  # the tests are not installed

from physrl.config.study import StudyEvaluationConfig
from physrl.evaluation.claims import judge_claims
from tests.support.interval_coverage import Design, coverage_designs, null_designs, tally
from tests.support.interval_coverage import Tally as DesignTally
from tests.support.simulated_study import plan_simulated, simulate_study
from tests.support.true_verdicts import Truth, true_verdicts
from tests.support.truth_patterns import PATTERNS, Pattern

UNDECIDED = "too little data"
CLEAR = 2.0
"""Distance from every bound, in smallest effects, from which a verdict is expected."""
DEFAULT_SCENES = StudyEvaluationConfig().scenes
MOST_WRONG, MOST_WRONG_AT_A_BOUND = 0.01, 0.05
DECIDED = 0.8
"""Share of right verdicts from which a claim counts as decided."""


@dataclass
class Tally:
    """Verdicts on one claim about one pattern."""

    truth: Truth
    is_clear: bool
    verdicts: Counter[str] = field(default_factory=Counter)

    @property
    def draws(self) -> int:
        return self.verdicts.total()

    @property
    def right(self) -> int:
        return self.verdicts[self.truth.verdict]

    @property
    def wrong(self) -> int:
        return self.draws - self.right - self.verdicts[UNDECIDED]


def judge_pattern(name: str, draws: int, seed: int) -> dict[str, Tally]:
    """Simulate a pattern's study many times and tally the verdicts on each claim."""
    pattern, rng = PATTERNS[name], np.random.default_rng([seed, list(PATTERNS).index(name)])
    truths = true_verdicts(pattern.world, pattern.size)
    tallies = {
        name: Tally(truth, _is_clear(name, truth, pattern)) for name, truth in truths.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        plan = plan_simulated(pattern.size, Path(folder))
        for _ in range(draws):
            for claim in judge_claims(simulate_study(plan, pattern.world, rng)):
                if claim.name in tallies:
                    tallies[claim.name].verdicts[claim.verdict] += 1
    return tallies


def tally_design(numbered: tuple[int, Design], draws: int, seed: int) -> DesignTally:
    """Simulate a comparison many times, with random numbers of its own."""
    number, design = numbered
    return tally(design, draws, np.random.default_rng([seed, len(PATTERNS) + number]))


def _is_clear(claim: str, truth: Truth, pattern: Pattern) -> bool:
    size = pattern.size
    items = min(size.scenes, size.photographs) if claim == "photographs" else size.scenes
    return size.seeds >= 5 and items >= DEFAULT_SCENES and truth.distance >= CLEAR - 1e-9


def main() -> None:
    """Run the patterns and the grids of coverage and of false positives."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=200, help="studies of each pattern")
    parser.add_argument("--cells", type=int, default=8000, help="draws of each cell of the grids")
    parser.add_argument("--only", default="", help="patterns whose description contains this")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes")
    args = parser.parse_args()
    names = [name for name in PATTERNS if args.only in name]
    covered, null = list(coverage_designs()), list(null_designs())
    with ProcessPoolExecutor(args.workers, multiprocessing.get_context("spawn")) as pool:
        # The grids of designs first: their long cells would be the last to end.
        designs = pool.map(
            partial(tally_design, draws=args.cells, seed=args.seed), enumerate([*covered, *null])
        )
        judged = pool.map(partial(judge_pattern, draws=args.draws, seed=args.seed), names)
        results = []
        for each in designs:
            print(f"{each.design}: covers {each.coverage:.3f}, rejects {each.rejected:.3f}")
            results.append(each)
        tallies = []
        for name, found in zip(names, judged, strict=True):
            for claim, one in found.items():
                _print_row(name, claim, one)
            tallies += found.values()
    figures = summarize(tallies, results[: len(covered)], results[len(covered) :])
    print(json.dumps({"patterns": len(names), "draws": args.draws} | figures))


def summarize(
    tallies: Sequence[Tally], covered: Sequence[DesignTally], null: Sequence[DesignTally]
) -> dict[str, float]:
    """Sum up the tallies of verdicts, of coverage and of false positives."""
    inside = [each for each in tallies if each.truth.distance > 1e-9]
    at_bound = [each for each in tallies if each.truth.distance <= 1e-9]
    clear = [each for each in tallies if each.is_clear]
    return {
        "wrong_share": _share([e.wrong for e in inside], inside),
        "wrong_at_bound": _share([e.wrong for e in at_bound], at_bound),
        "worst_claim": max((e.wrong / e.draws for e in inside), default=0.0),
        "decided_share": _share([e.right for e in clear], clear),
        "claims_decided": _mean([each.right >= DECIDED * each.draws for each in clear]),
        "undecided_share": _share([e.verdicts[UNDECIDED] for e in tallies], tallies),
        "least_decided": min((e.right / e.draws for e in clear), default=1.0),
        "coverage_low": min(each.coverage for each in covered),
        "coverage_high": max(each.coverage for each in covered),
        "false_positives": max(each.rejected for each in null),
    }


def _share(counts: list[int], tallies: list[Tally]) -> float:
    draws = sum(each.draws for each in tallies)
    return round(sum(counts) / draws, 5) if draws else 0.0


def _mean(values: list[bool]) -> float:
    return round(sum(values) / len(values), 5) if values else 1.0


def _print_row(pattern: str, claim: str, each: Tally) -> None:
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in each.verdicts.most_common())
    limit = MOST_WRONG if each.truth.distance > 1e-9 else MOST_WRONG_AT_A_BOUND
    mark = "WRONG" if each.wrong > limit * each.draws else "clear" if each.is_clear else ""
    print(f"{pattern} | {claim} | truth {each.truth.verdict} | {verdicts} {mark}", flush=True)


if __name__ == "__main__":
    main()
