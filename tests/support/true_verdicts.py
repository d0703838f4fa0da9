"""The right verdict on each claim about a simulated world, from its true rates alone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.support.simulated_world import JOINT, TASKS, Size, World

EFFECT, ADAPTATION_EFFECT, PROBE_EFFECT, PARSED = 0.1, 0.05, 0.05, 0.95
PAIRS = [(task, to) for task in TASKS for to in TASKS if task != to]


@dataclass(frozen=True, slots=True)
class Truth:
    """The right verdict on a claim."""

    verdict: str
    distance: float
    """Distance of the truth from the nearest bound of any case, in smallest effects."""


@dataclass(frozen=True, slots=True)
class _Case:
    holds: bool
    distance: float


def true_verdicts(world: World, size: Size) -> dict[str, Truth]:
    """Work out the right verdicts on the claims that a simulated study can be judged on."""
    methods = size.methods
    trained = [(task, method) for task in TASKS for method in methods]
    gains = {case: _gain(world, *case) for case in trained}
    learned = {case for case, gain in gains.items() if gain > EFFECT}
    gate = [abs(gain - EFFECT) / EFFECT for gain in gains.values()]
    others = [
        (world.success(task, to, method) - world.reference(task, to), (task, method))
        for task, to in PAIRS
        for method in methods
        if world.parsed_share(task, to) >= PARSED and (task, method) in learned
    ]
    rises = [_above(effect, EFFECT) for effect, _ in others]
    falls = [
        _above(world.base[to] * world.parsed_share("base", to) - world.success(task, to, m), EFFECT)
        for task, to in PAIRS
        for m in methods
        if world.parsed_share(task, to) >= PARSED
    ]
    apart = [
        _within(world.success(task, to, "grpo") - world.success(task, to, "sft"), EFFECT)
        for task, to in PAIRS
        if world.parsed_share(task, to) >= PARSED and {(task, m) for m in methods} <= learned
    ]
    photos = [
        _not(_above(world.photo_rate("stability") - world.photo_reference(), EFFECT))
        for method in methods
        if ("stability", method) in learned
    ]
    verdicts = {
        "trained_task": _every([_above(gain, EFFECT) for gain in gains.values()]),
        "beyond_rules": _every([_above(_over_rules(world, *case), EFFECT) for case in trained]),
        "other_tasks": _gated(_every([_not(case) for case in rises]), gate),
        "transfer": _gated(_some(rises), gate),
        "forgetting": _some(falls),
        "equal_methods": _gated(_every(apart), gate),
        "photographs": _gated(_every(photos), gate),
        "decodability": _every(_decodable(world, methods)),
    }
    if len(methods) < 2:
        del verdicts["equal_methods"]
    if size.yoked:
        verdicts["interaction"] = _every(
            [
                _above(world.success(t, t, "grpo") - world.success(t, t, "grpo_yoked"), EFFECT)
                for t in TASKS
            ]
        )
    if size.joint:
        verdicts["joint_training"] = _gated(_every(_joint(world, learned)), gate)
        verdicts["left_out_task"] = _some([_above(_left_out(world), EFFECT)])
    if size.adaptation:
        cases = [_faster(world) for case in learned for _ in range(len(TASKS) - 1)]
        verdicts["adaptation"] = _gated(_every(cases), gate)
    if size.variants:
        changes = [
            _not(_within(_variant_effect(world, task, task, method), EFFECT))
            for task, method in trained
        ]
        verdicts["longer_on_trained"] = _some(changes)
        elsewhere = [
            _not(_within(_variant_effect(world, task, to, method), EFFECT))
            for task, to in PAIRS
            for method in methods
            if world.parsed_share(task, to) >= PARSED
        ]
        verdicts["longer_on_other"] = _some(elsewhere)
    return verdicts


def _gain(world: World, task: str, method: str) -> float:
    return world.success(task, task, method) - world.reference(task, task)


def _over_rules(world: World, task: str, method: str) -> float:
    rule = max(world.guesser[task], world.rule_rate(task))
    return world.success(task, task, method) - rule


def _variant_effect(world: World, task: str, to: str, method: str) -> float:
    return world.success(task, to, method, "longer") - world.success(task, to, method)


def _joint(world: World, learned: set[tuple[str, str]]) -> list[_Case]:
    """Judge what joint training loses on each of its tasks that were learned alone."""
    losses = [
        (task, world.success(task, task, "grpo") - world.success(JOINT, task, "grpo"))
        for task in JOINT.split("+")
    ]
    return [_not(_above(loss, EFFECT)) for task, loss in losses if (task, "grpo") in learned]


def _left_out(world: World) -> float:
    to = "stability"
    singles = [world.success(task, to, "grpo") for task in JOINT.split("+")]
    return world.success(JOINT, to, "grpo") - max(world.reference(JOINT, to), *singles)


def _faster(world: World) -> _Case:
    """Areas under lines from 0.1 to the last accuracy: half of a difference at the end."""
    last = {who: world.adapted.get(who, 0.4) for who in ("trained", "shuffled", "base")}
    gain = (last["trained"] - max(last["shuffled"], last["base"])) / 2
    return _above(gain, ADAPTATION_EFFECT)


def _decodable(world: World, methods: Sequence[str]) -> list[_Case]:
    probe = {name: world.probed.get(name, 0.55) for name in ("model", "pixels", "untrained")}
    control = max(probe["pixels"], probe["untrained"])
    answers = []
    if world.parsed_share("base", "stability") >= PARSED:
        answers.append(world.base["stability"])
    answers += [
        world.success(task, "stability", method)
        for task in TASKS
        if task != "stability" and world.parsed_share(task, "stability") >= PARSED
        for method in methods
    ]
    return [_above(probe["model"] - max(control, answer), PROBE_EFFECT) for answer in answers]


def _above(effect: float, smallest: float) -> _Case:
    return _Case(effect > smallest, abs(effect - smallest) / smallest)


def _within(effect: float, smallest: float) -> _Case:
    return _Case(abs(effect) < smallest, abs(abs(effect) - smallest) / smallest)


def _not(case: _Case) -> _Case:
    return _Case(not case.holds, case.distance)


def _every(cases: Sequence[_Case]) -> Truth:
    kinds = {case.holds for case in cases}
    verdict = "mixed" if len(kinds) > 1 else "supported" if True in kinds else "contradicted"
    return _truth(verdict, cases)


def _some(cases: Sequence[_Case]) -> Truth:
    return _truth("supported" if any(case.holds for case in cases) else "contradicted", cases)


def _truth(verdict: str, cases: Sequence[_Case]) -> Truth:
    if not cases:
        return Truth("not testable", float("inf"))
    return Truth(verdict, min(case.distance for case in cases))


def _gated(truth: Truth, gate: Iterable[float]) -> Truth:
    return Truth(truth.verdict, min(truth.distance, *gate))
