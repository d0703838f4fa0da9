"""The study: which models are trained, on what each is measured, and what it is held against."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from physrl.config.algorithm import ALGORITHMS, SFTConfig
from physrl.config.base import Section
from physrl.config.baseline import PPOConfig
from physrl.config.environment import GeneratorName
from physrl.config.load import Tree, merge, parse_override, read_yaml, validated
from physrl.config.location import Location
from physrl.config.run import ExpandedPath
from physrl.config.task import TASKS, TaskName
from physrl.errors import ConfigError

JOINT = "+"
"""Between the tasks of a mixture."""

TestSet = Literal[GeneratorName, "real"]
"""Named sets of held-out scenes, and photographs of real towers."""
Decoding = Literal["greedy", "sampled"]
Pictures = Literal["shown", "blank"]
"""Blank pictures are a control: what is answered right without seeing."""
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_]*$")]
"""Part of a trial's name."""


def _known_tasks(mixture: str) -> str:
    for task in mixture.split(JOINT):
        if task not in TASKS:
            raise ValueError(
                f"is '{mixture}': '{task}' is no task; choose from {', '.join(TASKS)}, several "
                f"joined by {JOINT}"
            )
    return mixture


Training = Annotated[str, AfterValidator(_known_tasks)]
"""A task, or a mixture: `place+stability`."""


def algorithm_type(name: str, tree: Tree) -> str:
    """Which algorithm a method of the grid is.

    Raises:
        ValueError: it is none.
    """
    table = tree.get("algorithm")
    kind = str(table.get("type", name) if isinstance(table, dict) else name)
    if kind not in ALGORITHMS:
        raise ValueError(
            f"has method '{name}', which is no algorithm: choose from {', '.join(ALGORITHMS)}, or "
            f"set methods.{name}.algorithm.type"
        )
    return kind


class VariantConfig(Section):
    """A named change of the runs, and for which of them it is made."""

    overrides: Tree = Field({})
    """Keys of a run's configuration."""
    tasks: tuple[Training, ...] | None = None
    """Only for these; null: for all of the grid."""
    methods: tuple[Name, ...] | None = None
    """Only for these; null: for all of the grid."""
    models: tuple[Name, ...] | None = None
    """Only for these; null: for all of the grid."""
    seeds: tuple[int, ...] | None = None
    """Only for these; null: for all of the grid."""


class GridConfig(Section):
    """Every task by every method, model, seed and variant is a trial: a run of its own."""

    tasks: tuple[Training, ...] = ("stability", "stabilize", "place_x", "place")
    """What is trained on: tasks, and mixtures such as `place+stability`."""
    methods: dict[Name, Tree] = Field({"grpo": {}, "gspo": {}, "sft": {}})
    """How: each a name and changes of the run. The name is an algorithm's, or the changes have
    algorithm.type. Steps, scenes and updates are the base's for all methods."""
    models: dict[Name, Tree] = Field({"base": {}})
    """Which models: each a name and changes of the run."""
    seeds: tuple[Annotated[int, Field(ge=0, le=2**31 - 1)], ...] = (0,)
    """Of scenes, sampling and new weights."""
    variants: dict[Name, VariantConfig] = Field({"default": VariantConfig()})
    """Named changes beside: ranks, lengths, reasoning, curriculum, randomization."""
    match: Literal["scenes", "samples"] = "scenes"
    """What SFT has as many of as reinforcement: scenes, or sequences (a scene for each completion
    of the base's)."""

    @model_validator(mode="after")
    def _holds_something(self) -> "GridConfig":
        for axis in ("tasks", "methods", "models", "seeds", "variants"):
            values = getattr(self, axis)
            if not values:
                raise ValueError(f"has no {axis}: the grid is empty; name at least one")
            if len(set(values)) < len(values):
                raise ValueError(f"names one of its {axis} twice: {', '.join(map(str, values))}")
        for name, tree in self.methods.items():
            algorithm_type(name, tree)
        return self

    @model_validator(mode="after")
    def _variants_of_the_grid(self) -> "GridConfig":
        for name, variant in self.variants.items():
            for axis in ("tasks", "methods", "models", "seeds"):
                for value in getattr(variant, axis) or ():
                    if value not in getattr(self, axis):
                        raise ValueError(
                            f"variant '{name}' is for {axis} {value}, which the grid has not: "
                            f"choose from {', '.join(map(str, getattr(self, axis)))}"
                        )
        return self


class PromptingConfig(Section):
    """One way of asking."""

    shots: int = Field(0, ge=0, le=16)
    """Solved examples of the task that are shown before the question."""
    decoding: Decoding = "greedy"
    """The likeliest answer, or one drawn at the run's temperature."""
    test_sets: tuple[TestSet, ...] | None = None
    """Only on these; null: on all."""


class StudyEvaluationConfig(Section):
    """What every model is measured on: tasks by test sets by ways of asking."""

    tasks: tuple[TaskName, ...] = TASKS.built_in
    """The questions."""
    test_sets: tuple[TestSet, ...] = ("iid",)
    """Held-out scenes like those of the base, or different in one respect; `real`: photographs,
    which are asked about as `stability`."""
    prompting: tuple[PromptingConfig, ...] = (PromptingConfig(),)
    """Ways of asking."""
    scenes: int = Field(256, ge=2)
    """Of each set, the same for every model."""
    seed: int = Field(0, ge=0, le=2**31 - 1)
    """Of the sets, whatever the seeds of the runs."""
    real_images: ExpandedPath | None = None
    """The photographs: a folder with labels.csv, or a Parquet file."""

    @field_validator("tasks", "test_sets", "prompting")
    @classmethod
    def _each_once(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        if not values or any(value in values[:place] for place, value in enumerate(values)):
            raise ValueError("is empty or names one twice: name at least one, and each once")
        return values

    @model_validator(mode="after")
    def _has_photographs(self) -> "StudyEvaluationConfig":
        if "real" in self.test_sets and self.real_images is None:
            raise ValueError(
                "has test set 'real' but no real_images: name the photographs' folder, or leave "
                "'real' out"
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
    """A few steps of SFT from every trained model, and from the base, on each other task."""

    tasks: tuple[TaskName, ...] = TASKS.built_in
    """What is adapted to."""
    steps: tuple[Annotated[int, Field(ge=0)], ...] = (0, 1, 2, 4, 8, 16, 32)
    """After how many steps it is measured."""
    algorithm: SFTConfig = SFTConfig()
    """How; its `steps` are the last of the above."""
    scenes: int = Field(128, ge=2)
    """Held-out scenes of each measurement."""

    @field_validator("steps")
    @classmethod
    def _rises(cls, steps: tuple[int, ...]) -> tuple[int, ...]:
        if len(steps) < 2 or steps[0] != 0 or list(steps) != sorted(set(steps)):
            raise ValueError(f"is {list(steps)}: begin with 0 and rise, such as [0, 1, 2, 4]")
        return steps


Target = Literal["margin", "stability", "offset_x", "offset_y", "height", "blocks"]
"""What a probe reads: the tower's static margin (block widths), whether it stands, the ideal
offset, the height of the tower (block widths), how many blocks there are."""


class ProbesConfig(Section):
    """Linear probes on every layer's activations."""

    tasks: tuple[TaskName, ...] = ("stability", "place")
    """About whose scenes the models are asked."""
    targets: tuple[Target, ...] = ("margin", "stability", "offset_x", "height", "blocks")
    """What is read; targets that do not vary in a task's scenes are left out."""
    scenes: int = Field(512, ge=40, multiple_of=2)
    """Of the base's test set, in pairs."""
    folds: int = Field(5, ge=2)
    """Of the cross-validation, which keeps pairs together."""


class ControlsConfig(Section):
    """What the trained models are held against."""

    base: bool = True
    """The models before training."""
    shuffled_labels: bool = True
    """SFT on other scenes' answers: a trial for each task, model and seed."""
    blank_pictures: bool = True
    """Every model once more without seeing, zero-shot and greedy on `iid`."""
    guesser: bool = True
    """Answers drawn from those to other scenes."""
    physics: bool = True
    """The exact criterion's answers: the ceiling."""


class StudyConfig(Section):
    """A sweep: its trials, the cells that hang off each, and where they are kept."""

    name: str = Field("study", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """The study's; several may share a store, and the cells in it."""
    base: Tree = Field({})
    """The run that all trials are changes of: a table, or the path of a run's file."""
    grid: GridConfig = GridConfig()
    """The trials."""
    evaluation: StudyEvaluationConfig = StudyEvaluationConfig()
    """On what each is measured."""
    adaptation: AdaptationConfig | None = AdaptationConfig()
    """How fast each learns the other tasks; null: not measured."""
    probes: ProbesConfig | None = ProbesConfig()
    """What can be read off each; null: not measured."""
    controls: ControlsConfig = ControlsConfig()
    """What they are held against."""
    baseline: PPOConfig | None = None
    """A policy without language for every task and seed of the grid; null: none."""
    store: Location = Field("runs/store", validate_default=True)
    """Where what was computed is kept: a folder or s3://bucket/prefix."""
    max_cells: int = Field(2000, ge=1)
    """A larger study is refused."""


def load_study_config(path: Path | None, overrides: Sequence[str] = ()) -> StudyConfig:
    """The validated study of a file and `key.path=value` overrides.

    `base` may name a run's file, from the study's own folder; overrides lie on what it holds.

    Raises:
        ConfigError: a file cannot be read, or a key or value is wrong; the first mistake, in one
            line.
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
    return validated(StudyConfig, merged)
