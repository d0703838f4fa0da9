"""Configuration of a study: its trials, measurements and controls."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from physrl.config.algorithm import SFTConfig
from physrl.config.base import Section
from physrl.config.baseline import PPOConfig
from physrl.config.environment import TestSet
from physrl.config.load import (
    Tree,
    find_mistakes,
    merge,
    parse_override,
    read_yaml,
    validated,
)
from physrl.config.location import LocalPath, Location
from physrl.config.methods import WARM_START, algorithm_type, find_method
from physrl.config.run import RunConfig
from physrl.config.task import TASKS, TaskName
from physrl.errors import ConfigError

JOINT = "+"
"""Separator of the tasks in a mixture."""

Decoding = Literal["greedy", "sampled", "constrained"]
"""Decoding of answers: greedy, sampled, or greedy among the answers of the task's form alone."""
ExampleKind = Literal["solved", "form"]
"""Examples before a question: solved scenes, or the form of answers alone."""
ImageMode = Literal["shown", "blank"]
"""Images shown with the questions; blank ones are a control, for answers without sight."""
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_]*$")]
"""Text that may be part of a trial's name."""


def _known_tasks(mixture: str) -> str:
    for task in mixture.split(JOINT):
        if task not in TASKS:
            raise ValueError(
                f"is '{mixture}': '{task}' is not a task; choose from {', '.join(TASKS)}, several "
                f"joined by {JOINT}"
            )
    return mixture


Training = Annotated[str, AfterValidator(_known_tasks)]
"""A task, or a mixture: `place+stability`."""


class VariantConfig(Section):
    """Named overrides of trials, and the trials that they apply to."""

    overrides: Tree = Field({})
    """Overrides of the run's configuration."""
    tasks: tuple[Training, ...] | None = None
    """Tasks that it applies to; null: all of the grid."""
    methods: tuple[Name, ...] | None = None
    """Methods that it applies to; null: all of the grid."""
    models: tuple[Name, ...] | None = None
    """Models that it applies to; null: all of the grid."""
    seeds: tuple[int, ...] | None = None
    """Seeds that it applies to; null: all of the grid."""


Rate = Annotated[float, Field(gt=0)]


class SelectionConfig(Section):
    """Choice of each method's learning rate by validation, with the same effort for each."""

    rates: dict[Name, tuple[Rate, ...]]
    """Learning rates to try, as many for each method. Methods that differ from `grpo` or `sft` only
    in their rewards, targets or budget take that one's rate unless they are listed."""
    tasks: tuple[Training, ...] | None = None
    """Tasks to try them on: the rate with the highest mean accuracy is chosen, for each method and
    model. Null: all of the grid but mixtures."""
    seed: int = Field(1000, ge=0, le=2**31 - 1)
    """Random seed of the runs, which are not trials."""
    scenes: int = Field(256, ge=2)
    """Validation scenes on which a run is measured after its last step."""

    @field_validator("rates")
    @classmethod
    def _same_effort(cls, rates: dict[str, tuple[float, ...]]) -> dict[str, tuple[float, ...]]:
        counts = {name: len(set(each)) for name, each in rates.items()}
        if not counts or set(counts.values()) != {max(counts.values())} or 1 in counts.values():
            listed = ", ".join(f"{count} for {name}" for name, count in counts.items())
            raise ValueError(
                f"lists {listed or 'none'}: list as many different rates for each method, two or "
                "more"
            )
        return rates


class GridConfig(Section):
    """Trials: a training run for each combination of task, method, model, seed and variant."""

    tasks: tuple[Training, ...] = ("stability", "stabilize", "place_x", "place")
    """Tasks to train on, and mixtures such as `place+stability`."""
    methods: dict[Name, Tree] = Field({"grpo": {}, "gspo": {}, "sft": {}})
    """Methods: a name and overrides of the run each. The name is an algorithm type, a named method
    (docs/study.md), or any other whose overrides set algorithm.type. A method inherits the keys of
    `base.algorithm` that its type has; steps, scenes and updates are those of `base`."""
    models: dict[Name, Tree] = Field({"base": {}})
    """Models: a name and overrides of the run each."""
    seeds: tuple[Annotated[int, Field(ge=0, le=2**31 - 1)], ...] = (0,)
    """Random seeds of the runs."""
    variants: dict[Name, VariantConfig] = Field({"default": VariantConfig()})
    """Variants: named overrides, for instance of rank, length, reasoning, curriculum or
    randomization."""
    selection: SelectionConfig | None = None
    """Choice of learning rates before the trials; null: each method has that of its configuration.
    """

    @model_validator(mode="after")
    def _check_axes(self) -> "GridConfig":
        for axis in ("tasks", "methods", "models", "seeds", "variants"):
            values = getattr(self, axis)
            if not values:
                raise ValueError(f"has no {axis}: the grid is empty; name at least one")
            if len(set(values)) < len(values):
                raise ValueError(f"names one of its {axis} twice: {', '.join(map(str, values))}")
        for name in self.methods:
            algorithm_type(name, self.methods)
        return self

    @model_validator(mode="after")
    def _check_selection(self) -> "GridConfig":
        if self.selection is None:
            return self
        rates = self.selection.rates
        if self.selection.seed in self.seeds:
            raise ValueError(
                f"has selection.seed {self.selection.seed}, which is a seed of its trials too: set "
                "another one"
            )
        for name in rates:
            if name not in self.methods:
                raise ValueError(
                    f"selects rates for '{name}', which is not a method of the grid: choose from "
                    f"{', '.join(self.methods)}"
                )
        for name in self.methods:
            if name != WARM_START and name not in rates and find_method(name).parent not in rates:
                raise ValueError(
                    f"selects no rate for method '{name}': list as many in "
                    f"selection.rates.{name} as for the others"
                )
        return self

    @model_validator(mode="after")
    def _check_variants(self) -> "GridConfig":
        for name, variant in self.variants.items():
            for axis in ("tasks", "methods", "models", "seeds"):
                for value in getattr(variant, axis) or ():
                    if value not in getattr(self, axis):
                        raise ValueError(
                            f"variant '{name}' is for {axis} {value}, which is not in the grid: "
                            f"choose from {', '.join(map(str, getattr(self, axis)))}"
                        )
        return self


class PromptingConfig(Section):
    """A prompting condition."""

    shots: int = Field(0, ge=0, le=16)
    """Examples before the question (few-shot prompting)."""
    examples: ExampleKind = "solved"
    """Examples: `solved` scenes, or `form` alone: blank images with answers to scenes that are not
    shown."""
    decoding: Decoding = "greedy"
    """Decoding: greedy; sampled at the run's temperature; or constrained, which is greedy among the
    completions of the task's grammar, so that every answer has its form."""
    test_sets: tuple[TestSet, ...] | None = None
    """Test sets that it applies to; null: all."""

    @model_validator(mode="after")
    def _check_examples(self) -> "PromptingConfig":
        if self.examples == "form" and self.shots == 0:
            raise ValueError("has examples of form but shots 0: set shots=4, or examples=solved")
        return self


class StudyEvaluationConfig(Section):
    """Measurements of each model: tasks by test sets by prompting conditions."""

    tasks: tuple[TaskName, ...] = TASKS.built_in
    """Tasks to measure; by default all built-in ones."""
    test_sets: tuple[TestSet, ...] = ("iid",)
    """Test sets: held-out scenes like those of `base` (`iid`) or different in one respect; `real`:
    photographs, with the question of `stability`."""
    prompting: tuple[PromptingConfig, ...] = (PromptingConfig(),)
    """Prompting conditions."""
    min_p: float = Field(0.0, ge=0, lt=1)
    """Smallest probability of a token of sampled answers, as a share of the likeliest one's."""
    scenes: int = Field(256, ge=2)
    """Scenes of each test set, the same ones for every model."""
    seed: int = Field(0, ge=0, le=2**31 - 1)
    """Random seed of the test sets, independent of the seeds of the trials."""
    real_images: LocalPath | None = None
    """Photographs: a folder with labels.csv, a Parquet file, or images of others
    (docs/datasets.md)."""

    @field_validator("tasks", "test_sets", "prompting")
    @classmethod
    def _each_once(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        if not values or any(value in values[:place] for place, value in enumerate(values)):
            raise ValueError("is empty or names one twice: name at least one, and each once")
        return values

    @model_validator(mode="after")
    def _check_test_sets(self) -> "StudyEvaluationConfig":
        if "real" in self.test_sets and self.real_images is None:
            raise ValueError(
                "has test set 'real' but no real_images: set real_images to the photographs' "
                "folder, or remove 'real'"
            )
        for prompting in self.prompting:
            for test_set in prompting.test_sets or ():
                if test_set not in self.test_sets:
                    raise ValueError(
                        f"has prompting on test set '{test_set}', which is not among test_sets: "
                        f"choose from {', '.join(self.test_sets)}"
                    )
        return self


class AdaptationConfig(Section):
    """Adaptation speed: a few steps of SFT on each task, from each trained model and the base."""

    tasks: tuple[TaskName, ...] = TASKS.built_in
    """Tasks to adapt to; by default all built-in ones."""
    steps: tuple[Annotated[int, Field(ge=0)], ...] = (0, 1, 2, 4, 8, 16, 32)
    """Steps after which it is measured."""
    algorithm: SFTConfig = SFTConfig()
    """Hyperparameters of SFT; its `steps` are the last of the above."""
    scenes: int = Field(128, ge=2)
    """Held-out scenes in each measurement."""

    @field_validator("steps")
    @classmethod
    def _rises(cls, steps: tuple[int, ...]) -> tuple[int, ...]:
        if len(steps) < 2 or steps[0] != 0 or list(steps) != sorted(set(steps)):
            raise ValueError(f"is {list(steps)}: begin with 0 and rise, such as [0, 1, 2, 4]")
        return steps


Target = Literal["margin", "stability", "offset_x", "offset_y", "height", "blocks"]
"""Targets of a probe: the tower's static margin, its stability, the ideal offset, the tower's
height and its number of blocks. Lengths are in block widths."""


class ProbesConfig(Section):
    """Linear probes on every layer's activations."""

    tasks: tuple[TaskName, ...] = ("stability", "place")
    """Tasks whose scenes are probed."""
    targets: tuple[Target, ...] = ("margin", "stability", "offset_x", "height", "blocks")
    """Targets; those that do not vary in a task's scenes are left out."""
    scenes: int = Field(512, ge=40, multiple_of=2)
    """Scenes of the test set of `base`, in pairs."""
    folds: int = Field(5, ge=2)
    """Folds of the cross-validation, which keeps pairs together."""
    interventions: int = Field(64, ge=0, multiple_of=2)
    """Scenes, in pairs, on which the states of each language layer are exchanged between twins and
    steered along a probe's direction, which is fitted to the other scenes: at most half of them. 0:
    none."""


class ControlsConfig(Section):
    """Controls with which trained models are compared."""

    base: bool = True
    """Measure the models before training."""
    shuffled_labels: bool = True
    """Train by SFT on other scenes' answers: a trial of method `sft_shuffled` for each task, model
    and seed."""
    blank_images: bool = True
    """Measure each model with blank images too, zero-shot and greedy on `iid`."""
    guesser: bool = True
    """Measure a guesser, whose answers are ideal ones of other scenes."""
    rules: bool = True
    """Measure rules without physics, such as the best constant answer or alignment."""
    physics: bool = True
    """Measure the exact criterion's answers, the ceiling."""


class StudyConfig(Section):
    """Top level of a study's configuration (`physrl sweep`)."""

    name: str = Field("study", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Name of the study; several may share a store and its cells."""
    base: Tree = Field({})
    """Configuration of a run that all trials override: a table, or the path of a run's file."""
    grid: GridConfig = GridConfig()
    """Trials."""
    form_warm_up: SFTConfig | None = None
    """SFT on every task with answers to other scenes, which teaches the form of answers and nothing
    about images: all models, and the base, begin from it, and transfer is judged without examples.
    Null: none."""
    evaluation: StudyEvaluationConfig = StudyEvaluationConfig()
    """Measurements of each model."""
    adaptation: AdaptationConfig | None = AdaptationConfig()
    """Adaptation to each task; null: not measured."""
    probes: ProbesConfig | None = ProbesConfig()
    """Linear probes of the activations; null: none."""
    controls: ControlsConfig = ControlsConfig()
    """Controls."""
    baseline: PPOConfig | None = None
    """PPO policy without language, trained for each task and seed of the grid; null: none."""
    store: Location = Field("runs/store", validate_default=True)
    """Location of all results, a folder or s3://bucket/prefix."""
    max_cells: int = Field(2000, ge=1)
    """Most cells (measurements); a larger study is refused."""

    @model_validator(mode="after")
    def _check_form_warm_up(self) -> "StudyConfig":
        form = self.form_warm_up
        if form is not None and (form.steps == 0 or form.targets != "ideal"):
            raise ValueError(
                f"form_warm_up has steps {form.steps} and targets {form.targets}, but it trains on "
                "answers to other scenes: set steps, leave targets out, or set form_warm_up=null"
            )
        return self


def load_study_config(path: Path | None, overrides: Sequence[str] = ()) -> StudyConfig:
    """Load and validate the study of a file and `key.path=value` overrides.

    `base` may name a run's file, relative to the study's folder; overrides apply to its content.

    Raises:
        ConfigError: a file cannot be read, or a key or value is wrong; all mistakes, in one line.
    """
    tree = read_yaml(path) if path is not None else {}
    folder = path.parent if path is not None else Path()
    given: Tree = {}
    for override in overrides:
        given = merge(given, parse_override(override), by_type=False)
    if isinstance(given.get("base"), str):
        given["base"] = read_yaml(Path(given["base"]))
    if isinstance(tree.get("base"), str):
        tree["base"] = read_yaml(folder / tree["base"])
    merged = merge(tree, given)
    if not isinstance(merged.get("base", {}), dict):
        raise ConfigError(f"base is {merged['base']!r}: name a run's file, or write its keys here")
    try:
        return validated(StudyConfig, merged)
    except ConfigError as error:
        others = find_mistakes(RunConfig, merged.get("base", {}), "base.")
        raise ConfigError("; and ".join([str(error), *others])) from None
