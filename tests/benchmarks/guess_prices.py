"""Find the prices of guesses, and write physrl/tasks/guess_prices.json.

    python tests/benchmarks/guess_prices.py [KIND ...]     such as: "bridge 2"; by default all

The scenes of tasks with a red block are a choice among random ones: a small share is kept, so that
no guess is right in over a cap of those kept. Mirrored guesses have one price.

Of stacks those are kept with which right places are as wide as possible. This is a linear program,
and the prices are its dual variables: a stack is kept if its width, less the prices of the guesses
that are right in it, is among the highest. The subgradient method finds them. It raises the prices
of guesses that are right too often, lowers those of the others, and chooses again.

Of planks, whose right places are equally wide or nearly so, a choice is made by chance that differs
as little as possible from all of them (least relative entropy). Its dual is smooth: L-BFGS-B finds
the prices. The linear program chose planks that lie in the gaps between guesses.

Takes about eight minutes. Last line: one JSON object, the largest share of a guess in other scenes,
for the numbers of blocks that tasks draw by default.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.optimize import minimize

from physrl.config.environment import MOST_BLOCKS, EnvironmentConfig
from physrl.environments.geometry import Floats
from physrl.tasks import bridge, counterweight, stacks
from physrl.tasks.beams import sample_beams
from physrl.tasks.landmarks import Guess, Landmarks, all_guesses, plank_landmarks
from physrl.tasks.prices import WIDEST, Prices

FILE = Path("physrl/tasks/guess_prices.json")
TOLERANCE = 0.02
"""By how much the share of the best guess may exceed the cap."""
DRAWN, PLANKS, BEAMS = 240_000, 500_000, 20_000
"""Random stacks, random planks, and usable planks on posts, among which scenes are chosen."""
SHARES = (0.02, 0.0125)
"""Shares of stacks to keep: the first with which the cap holds, or else the last."""
ROUNDS, STEP, SLOWER = 400, 0.25, 20
"""Rounds of the subgradient method; its first step, in block widths for a share of 1; rounds after
which the step is half as long."""
MOST_PLANKS, HIGHEST, LOWEST, LBFGS_ROUNDS = 60_000, 12.0, 0.02, 150
"""Planks from which prices are found; bounds of a price that counts; rounds of L-BFGS-B."""
SURE = 0.999
"""Share of planks that are kept by chance; the rest, with the lowest charges, surely are."""
DIGITS = 4
SETTINGS = EnvironmentConfig()
MOST_BY_DEFAULT = SETTINGS.num_blocks[1]
Hits = NDArray[np.bool_]


@dataclass(frozen=True)
class Drawn:
    """Random scenes of one kind: the right places in each, and its landmarks."""

    low: Floats
    high: Floats
    landmarks: Landmarks

    def hits(self) -> tuple[list[Guess], Hits]:
        """Return the guesses, and where each is right: guesses x scenes."""
        guesses = list(all_guesses(self.landmarks))
        places = (guess.places(self.landmarks) for guess in guesses)
        return guesses, np.array([(self.low < place) & (place < self.high) for place in places])


def draw_stacks(num_blocks: int, index: int, seed: int) -> Drawn:
    """Draw stacks of which the margin, at its best, is one of the settings'."""
    drawn = stacks.propose(np.random.default_rng(seed), SETTINGS, num_blocks, index, DRAWN)
    margins = drawn.best_margins(index)
    low, high = SETTINGS.margin
    kept = drawn.rows((low <= margins) & (margins <= high))
    return Drawn(*kept.intervals(index), kept.landmarks(index))


def draw_bridges(loads: int, seed: int) -> Drawn:
    """Draw planks that one pier can carry."""
    planks, usable = bridge.propose(np.random.default_rng(seed), SETTINGS, loads, PLANKS)
    balances, half = planks.balances[usable], bridge.PIER[0] / 2
    landmarks = {name: places[usable] for name, places in plank_landmarks(planks).items()}
    return Drawn(balances - half, balances + half, landmarks)


def draw_counterweights(loads: int, seed: int) -> Drawn:
    """Draw planks on posts that a red block can hold."""
    rng, parts, count = np.random.default_rng(seed), [], 0
    while count < BEAMS:
        parts.append(sample_beams(rng, SETTINGS, loads, DRAWN))
        count += len(parts[-1].sizes)
    low, high = map(np.concatenate, zip(*(part.right_places() for part in parts), strict=True))
    found = [part.landmarks() for part in parts]
    return Drawn(
        low, high, {name: np.concatenate([one[name] for one in found]) for name in found[0]}
    )


@dataclass(frozen=True)
class Kind:
    draw: Callable[[int], Drawn]
    """Draw scenes from a seed."""
    by_default: bool
    """True if tasks draw such scenes with default settings."""
    cap: float
    """Share of kept scenes in which a guess may be right."""
    find: Callable[["Kind"], Prices]
    keep: Callable[[Prices, Drawn], Hits]


def price_stacks(kind: Kind) -> Prices:
    """Return the prices with which the largest share of stacks is kept, and the threshold."""
    drawn = kind.draw(1)
    widths = np.minimum(drawn.high - drawn.low, WIDEST)
    guesses, right = drawn.hits()
    for share in SHARES:
        kept = round(share * len(widths))
        excess, prices, threshold = _search(widths, guesses, right, kept, kind.cap)
        if excess <= TOLERANCE:
            break
    listed = {
        guess: round(float(price), DIGITS)
        for guess, price in zip(guesses, prices, strict=True)
        if price >= 10**-DIGITS
    }
    return Prices(listed, round(threshold, DIGITS))


def _search(
    widths: Floats, guesses: list[Guess], right: Hits, kept: int, cap: float
) -> tuple[float, Floats, float]:
    """Return by how much the best guess exceeds the cap, the prices, and the threshold."""
    mirrored = _mirrored(guesses)
    rows = np.ascontiguousarray(right.T).astype(np.float32)
    prices: Floats = np.zeros(len(guesses))
    best: tuple[float, float, Floats, float] = (np.inf, 0.0, prices, 0.0)
    for round_ in range(ROUNDS):
        scores = widths - rows @ prices.astype(np.float32)
        chosen = np.argpartition(-scores, kept)[:kept]
        shares = right[:, chosen].mean(axis=1)
        shares = (shares + shares[mirrored]) / 2
        excess = float(shares.max()) - cap
        rank = (max(excess, TOLERANCE), -float(widths[chosen].mean()))
        if rank < best[:2]:
            best = (*rank, prices, float(scores[chosen].min()))
        step = STEP / (1 + round_ / SLOWER)
        prices = np.maximum(0, prices + step * (shares - cap))
    return best[0], best[2], best[3]


def price_planks(kind: Kind) -> Prices:
    """Return the prices with which kept planks differ least from all, and the threshold."""
    drawn = kind.draw(1)
    guesses, right = drawn.hits()
    rows = np.ascontiguousarray(right[:, :MOST_PLANKS].T).astype(np.float32)
    mirrored = _mirrored(guesses)

    def dual(prices: Floats) -> tuple[float, Floats]:
        both = (prices + prices[mirrored]) / 2
        scores = -(rows @ both.astype(np.float32)).astype(np.float64)
        weights = np.exp(scores - scores.max())
        shares = (weights / weights.sum()).astype(np.float32) @ rows
        slack = kind.cap - (shares + shares[mirrored]) / 2
        total = scores.max() + np.log(weights.mean()) + kind.cap * both.sum()
        return float(total), slack.astype(np.float64)

    bounds = [(0.0, HIGHEST)] * len(guesses)
    start: Floats = np.zeros(len(guesses))
    found = minimize(
        dual, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": LBFGS_ROUNDS}
    ).x
    both = (found + found[mirrored]) / 2
    listed = {
        guess: round(float(price), DIGITS)
        for guess, price in zip(guesses, both, strict=True)
        if price >= LOWEST
    }
    priced = Prices(listed, 0.0)
    fresh = kind.draw(2)
    charges = priced.charges(fresh.low, fresh.high, fresh.landmarks)
    return replace(priced, threshold=round(float(np.quantile(-charges, SURE)), DIGITS))


def keep_stacks(prices: Prices, drawn: Drawn) -> Hits:
    """Return which stacks are kept."""
    return prices.scores(drawn.low, drawn.high, drawn.landmarks) >= prices.threshold


def keep_planks(prices: Prices, drawn: Drawn) -> Hits:
    """Return which planks are kept."""
    return prices.keep(np.random.default_rng(0), drawn.low, drawn.high, drawn.landmarks)


def _mirrored(guesses: list[Guess]) -> list[int]:
    """Return the row of the mirrored guess for each guess, or its own where there is none."""
    place = {guess: row for row, guess in enumerate(guesses)}
    return [place.get(guess.mirrored(), row) for row, guess in enumerate(guesses)]


KINDS = (
    {
        stacks.kind_of(blocks, index): Kind(
            partial(draw_stacks, blocks, index),
            blocks <= MOST_BY_DEFAULT,
            0.36,
            price_stacks,
            keep_stacks,
        )
        for blocks in range(stacks.FEWEST, MOST_BLOCKS + 1)
        for index in range(stacks.LOWEST, blocks)
    }
    | {
        bridge.kind_of(loads): Kind(
            partial(draw_bridges, loads), loads < MOST_BY_DEFAULT, cap, price_planks, keep_planks
        )
        for loads, cap in enumerate((0.3, 0.33, 0.38, 0.45), start=2)
    }
    | {
        counterweight.kind_of(loads): Kind(
            partial(draw_counterweights, loads),
            loads + 1 < MOST_BY_DEFAULT,
            0.32,
            price_planks,
            keep_planks,
        )
        for loads in range(1, MOST_BLOCKS - 1)
    }
)


def main() -> None:
    title = "Scenes that are kept, and how often the best guess is right in them"
    table = Table(
        *("kind", "priced", "best of all", "kept", "width", "best guess", "aligned"), title=title
    )
    rows, worst = json.loads(FILE.read_text(encoding="utf-8")), 0.0
    for name in sys.argv[1:] or KINDS:
        kind = KINDS[name]
        prices = kind.find(kind)
        listed = [[g.start, g.end, g.share, g.step, p] for g, p in prices.prices.items()]
        rows[name] = {"threshold": prices.threshold, "prices": listed}
        fresh = kind.draw(3)
        kept = kind.keep(prices, fresh)
        right = fresh.hits()[1]
        shares = right[:, kept].mean(axis=1)
        if kind.by_default:
            worst = max(worst, float(shares.max()))
        cells = (
            f"{len(listed)}",
            f"{100 * right.mean(axis=1).max():.1f} %",
            f"{100 * kept.mean():.1f} %",
            f"{np.mean((fresh.high - fresh.low)[kept]):.2f}",
            f"{100 * shares.max():.1f} %",
            f"{100 * shares[0]:.1f} %",
        )
        table.add_row(name, *cells)
        print(f"{name}: {' '.join(cells)}", file=sys.stderr)
    lines = [f"{json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items()]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    Console(width=100).print(table)
    print(json.dumps({"best_guess_share": round(worst, 3)}))


if __name__ == "__main__":
    main()
