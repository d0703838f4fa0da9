"""The truth of a simulated study: its size, success rates of all models, how they vary."""

from collections.abc import Mapping
from dataclasses import dataclass, field

TASKS = ("place", "place_x", "stability")
JOINT = "place+place_x"
BASE = {"place": 0.10, "place_x": 0.15, "stability": 0.50}
GUESSING = {"place": 0.05, "place_x": 0.10, "stability": 0.50}


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a simulated study."""

    seeds: int = 5
    scenes: int = 256
    photographs: int = 400
    methods: tuple[str, ...] = ("grpo",)
    variants: bool = False
    adaptation: bool = False
    yoked: bool = False
    """Whether GRPO with yoked rewards is a control."""
    joint: bool = False
    """Whether a mixture of both placing tasks is trained on as well."""


@dataclass(frozen=True, slots=True)
class World:
    """Success rates of answers of the right form, shares of such answers, and their variation.

    Rates of trained models have keys such as `place>stability`, which is followed by `:sft` where
    methods differ and by `@variant` where variants do; what is not listed equals the base's. Models
    on their own task have `learned`.
    """

    learned: Mapping[str, float] = field(default_factory=dict)
    """Rates by trained task on that task, followed by `:sft` or `@variant`; 0.85 otherwise."""
    others: Mapping[str, float] = field(default_factory=dict)
    base: Mapping[str, float] = field(default_factory=lambda: BASE)
    guesser: Mapping[str, float] = field(default_factory=lambda: GUESSING)
    rule: Mapping[str, float] = field(default_factory=dict)
    """Rates of the rules that are not physics; the guesser's where not listed."""
    blank: Mapping[str, float] = field(default_factory=dict)
    """Rates with blank images by task; the guesser's where not listed."""
    shuffled: Mapping[str, float] = field(default_factory=dict)
    """Rates of SFT on shuffled answers by its own task; the base's where not listed."""
    parsed: Mapping[str, float] = field(default_factory=dict)
    """Shares of parsed answers, by `place>stability` or `base>stability`; 1 otherwise."""
    photographs: Mapping[str, float] = field(default_factory=dict)
    """Rates on photographs by trained task, `base` and `guesser`; 0.5 otherwise."""
    adapted: Mapping[str, float] = field(default_factory=dict)
    """Accuracy after adaptation of `trained`, `shuffled` and `base`; 0.4 otherwise, 0.1 before."""
    probed: Mapping[str, float] = field(default_factory=dict)
    """Balanced accuracy of probes of `model`, `pixels`, `untrained`; 0.55 otherwise."""
    deviation: float = 0.03
    """Standard deviation of success rates over seeds."""
    shared: float = 0.4
    """Variance of a scene's difficulty that all models share, relative to a model's own of 1."""
    twins: float = 0.3
    """Variance of a pair's difficulty."""

    def trained_rate(self, task: str, to: str, method: str, variant: str) -> float:
        """Return the success rate of answers of the right form of a trained model."""
        is_own = to in task.split("+")
        if method == "sft_shuffled":
            return self.shuffled.get(to, self.base[to]) if is_own else self.base[to]
        name = task if task == to else f"{task}>{to}"
        table, default = (self.learned, 0.85) if is_own else (self.others, self.base[to])
        for key in (f"{name}:{method}@{variant}", f"{name}@{variant}", f"{name}:{method}", name):
            if key in table:
                return table[key]
        return default

    def parsed_share(self, who: str, to: str) -> float:
        """Return the share of answers of the right form, of models trained on a task or `base`."""
        return self.parsed.get(f"{who}>{to}", 1.0)

    def success(self, task: str, to: str, method: str, variant: str = "default") -> float:
        """Return the success rate of a trained model."""
        return self.trained_rate(task, to, method, variant) * self.parsed_share(task, to)

    def reference(self, task: str, to: str) -> float:
        """Return the success rate of the best reference of models trained on a task."""
        return max(
            self.base[to] * self.parsed_share("base", to),
            self.trained_rate(task, to, "sft_shuffled", "default") * self.parsed_share(task, to),
            self.blank.get(to, self.guesser[to]) * self.parsed_share(task, to),
            self.guesser[to],
            self.rule_rate(to),
            0.5 if to == "stability" else 0.0,
        )

    def rule_rate(self, to: str) -> float:
        """Return the success rate of the rules that are not physics."""
        return self.rule.get(to, self.guesser[to])

    def photo_rate(self, who: str) -> float:
        """Return the success rate on photographs."""
        return self.photographs.get(who, 0.5)

    def photo_reference(self) -> float:
        """Return the success rate of the best reference on photographs."""
        return max(FALLING, *(self.photo_rate(who) for who in ("base", "guesser")))


FALLING = 0.6
"""Share of photographs on which the tower falls."""
