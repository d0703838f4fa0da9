"""Simulated worlds that verdicts must be right about: failures seen before, and their kin."""

from dataclasses import dataclass, field

from tests.support.simulated_world import JOINT, TASKS, Size, World


@dataclass(frozen=True, slots=True)
class Pattern:
    """A world, and a study of it."""

    world: World
    size: Size = field(default_factory=Size)


def elsewhere(rate: float) -> dict[str, float]:
    """Give every model the same rate on every task that it was not trained on."""
    return {f"{task}>{to}": rate for task in TASKS for to in TASKS if task != to}


def everywhere(rate: float) -> dict[str, float]:
    """Give every task the same rate."""
    return dict.fromkeys(TASKS, rate)


HALF, THIRD = everywhere(0.5), everywhere(0.3)
BOTH = Size(methods=("grpo", "sft"))
ADAPTED = Size(adaptation=True)
VARIED = Size(variants=True)
YOKED, MIXED = Size(yoked=True), Size(joint=True)
FEW, ONE, TWO, THREE, TEN = (Size(scenes=32), *(Size(seeds=n) for n in (1, 2, 3, 10)))
FOURTEEN = Size(seeds=14)
UNPARSED = elsewhere(0.0)
NO_VERDICTS = {"base>stability": 0.0, "place>stability": 0.0, "place_x>stability": 0.0}
SWAPPED = {"place>place_x": 0.7, "place_x>place": 0.7}
OPPOSITE = {
    "place>place_x:grpo": 0.7, "place>place_x:sft": 0.3,
    "place_x>place:grpo": 0.3, "place_x>place:sft": 0.7,
}  # fmt: skip
LOW_GUESSES = {"guesser": everywhere(0.05)}

PATTERNS: dict[str, Pattern] = {
    # Seen to be judged wrongly by means over pairs and a bootstrap of seeds and scenes.
    "nothing is learned": Pattern(
        World(learned={"place": 0.10, "place_x": 0.15, "stability": 0.5}), BOTH
    ),
    "gains and losses cancel": Pattern(World(base=HALF, others=elsewhere(0.3) | SWAPPED | {
        "place>place_x": 0.9, "place_x>place": 0.9})),
    "methods differ in opposite directions": Pattern(World(base=THIRD, others=OPPOSITE), BOTH),
    "eight scenes and one seed at 0": Pattern(
        World(base=everywhere(0.0), guesser=everywhere(0.0)), Size(1, 8, 60)
    ),
    "shuffled answers adapt as fast": Pattern(
        World(adapted={"trained": 0.7, "shuffled": 0.7, "base": 0.3}), ADAPTED
    ),
    "probes at chance and no verdicts": Pattern(World(
        parsed=NO_VERDICTS, probed={"model": 0.53, "pixels": 0.5, "untrained": 0.5})),
    "one task of three is learned": Pattern(World(learned={"place_x": 0.15, "stability": 0.5})),
    "an unparseable base and models that guess": Pattern(World(
        parsed={f"base>{task}": 0.0 for task in TASKS}, guesser=everywhere(0.28),
        others=elsewhere(0.28))),
    # Transfer.
    "nothing transfers": Pattern(World(), BOTH),
    "nothing transfers, low base": Pattern(World(
        base=everywhere(0.02), others=elsewhere(0.02), **LOW_GUESSES)),
    "everything transfers": Pattern(World(others=elsewhere(0.9)), BOTH),
    "one pair transfers": Pattern(World(others={"place>place_x": 0.8})),
    "placing transfers": Pattern(World(others=SWAPPED)),
    "transfer is moderate": Pattern(World(base=THIRD, others=elsewhere(0.65))),
    "transfer is below what matters": Pattern(World(base=HALF, others=elsewhere(0.54))),
    "transfer is exactly what matters": Pattern(World(base=HALF, others=elsewhere(0.6))),
    "other tasks are forgotten": Pattern(World(base=HALF, others=elsewhere(0.1))),
    "one task is forgotten": Pattern(World(base=HALF, others={"place>place_x": 0.1})),
    "forgetting is exactly what matters": Pattern(World(base=HALF, others=elsewhere(0.4))),
    # Form.
    "no other task is parsed": Pattern(World(parsed=UNPARSED)),
    "a third of other tasks is unparsed": Pattern(World(parsed=elsewhere(0.7))),
    "transfer hides behind form": Pattern(World(others=elsewhere(0.9), parsed=elsewhere(0.5))),
    "one pair is unparsed": Pattern(World(parsed={"place>place_x": 0.0})),
    "form is nearly right": Pattern(World(others=elsewhere(0.9), parsed=elsewhere(0.99))),
    # Seeds, scenes, twins.
    "seeds vary by 9 points": Pattern(World(deviation=0.09), BOTH),
    "fourteen seeds vary by 9 points": Pattern(World(deviation=0.09), FOURTEEN),
    "seeds vary by 17 points": Pattern(World(base=HALF, deviation=0.17)),
    "three seeds vary by 17 points": Pattern(World(base=HALF, deviation=0.17), THREE),
    "transfer, and seeds vary by 9 points": Pattern(World(others=elsewhere(0.8), deviation=0.09)),
    "equal seeds": Pattern(World(deviation=0.0)),
    "one seed": Pattern(World(others=SWAPPED), ONE),
    "two seeds": Pattern(World(others=SWAPPED), TWO),
    "three seeds": Pattern(World(others=SWAPPED), THREE),
    "ten seeds": Pattern(World(), TEN),
    "few scenes": Pattern(World(), FEW),
    "few scenes and transfer": Pattern(World(others=SWAPPED), FEW),
    "twins fall together": Pattern(World(base=HALF, twins=5.0)),
    "scenes differ in difficulty": Pattern(World(base=HALF, shared=5.0), BOTH),
    # Ceilings and floors.
    "all are at the ceiling": Pattern(World(
        learned=everywhere(1.0), base=everywhere(1.0), others=elsewhere(1.0))),
    "learned to the ceiling": Pattern(World(learned=everywhere(1.0))),
    "nothing left to learn": Pattern(World(
        learned=everywhere(1.0), base=everywhere(0.95), others=elsewhere(0.95))),
    "all are at the floor": Pattern(World(
        learned=everywhere(0.0), base=everywhere(0.0), others=elsewhere(0.0), **LOW_GUESSES)),
    "others are at the floor": Pattern(World(
        base=everywhere(0.0), others=elsewhere(0.0), guesser=everywhere(0.0))),
    # Controls.
    "answers need no sight": Pattern(World(blank=everywhere(0.85))),
    "shuffled answers teach as much": Pattern(World(shuffled=everywhere(0.85))),
    "a rule does as well": Pattern(World(rule=everywhere(0.85))),
    "transfer up to a rule": Pattern(World(
        rule={"place": 0.5, "place_x": 0.5}, others=elsewhere(0.5))),
    "transfer up to guessing": Pattern(World(guesser=THIRD, others=elsewhere(0.3))),
    # Learning.
    "learning is exactly what matters": Pattern(World(base=HALF, learned=everywhere(0.6))),
    "learning is weak": Pattern(World(base=HALF, learned=everywhere(0.55))),
    "one method learns": Pattern(World(
        learned={"place:sft": 0.1, "place_x:sft": 0.15, "stability:sft": 0.5}), BOTH),
    "methods differ by what matters": Pattern(World(base=THIRD, others={
        f"{name}:sft": 0.4 for name in elsewhere(0)}), BOTH),
    "RL transfers and SFT does not": Pattern(World(base=THIRD, others={
        f"{name}:grpo": 0.8 for name in elsewhere(0)}), BOTH),
    # Photographs.
    "photographs are understood": Pattern(World(photographs={"stability": 0.95})),
    "photographs are guessed": Pattern(World(photographs={"stability": 0.6})),
    "sixty photographs are guessed": Pattern(
        World(photographs={"stability": 0.6, "base": 0.6}), Size(photographs=60)
    ),
    "photographs mislead": Pattern(World(photographs={"stability": 0.3})),
    # Adaptation and probes.
    "adaptation is faster": Pattern(World(adapted={"trained": 0.9}), ADAPTED),
    "adaptation is slower": Pattern(World(adapted={"trained": 0.15}), ADAPTED),
    "adaptation is exactly what matters": Pattern(World(adapted={"trained": 0.5}), ADAPTED),
    "stability is decodable": Pattern(World(probed={"model": 0.9})),
    "stability is decodable and used": Pattern(World(
        others={"place>stability": 0.9, "place_x>stability": 0.9}, probed={"model": 0.9})),
    "pixels are as decodable": Pattern(World(probed={"model": 0.9, "pixels": 0.9})),
    # Interaction and mixtures.
    "acting matters": Pattern(World(learned={
        f"{task}:grpo_yoked": 0.3 for task in TASKS} | {"stability:grpo_yoked": 0.5}), YOKED),
    "acting does not matter": Pattern(World(), YOKED),
    "acting matters for one task": Pattern(World(learned={"place:grpo_yoked": 0.1}), YOKED),
    "joint training loses nothing": Pattern(World(), MIXED),
    "joint training loses much": Pattern(World(learned={
        f"{JOINT}>place": 0.4, f"{JOINT}>place_x": 0.4}), MIXED),
    "joint training loses on one task": Pattern(World(learned={f"{JOINT}>place": 0.4}), MIXED),
    "two tasks transfer to the third": Pattern(World(others={f"{JOINT}>stability": 0.9}), MIXED),
    "one task would have done": Pattern(World(others={
        f"{JOINT}>stability": 0.9, "place>stability": 0.9}), MIXED),
    # Variants.
    "longer training harms other tasks": Pattern(World(base=HALF, others={
        f"{name}@longer": 0.15 for name in elsewhere(0)}), VARIED),
    "longer training changes nothing": Pattern(World(base=HALF), VARIED),
    "longer training helps the trained task": Pattern(World(
        learned={f"{task}@longer": 1.0 for task in TASKS} | everywhere(0.75)), VARIED),
}  # fmt: skip
"""Patterns by description."""
