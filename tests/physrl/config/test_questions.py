"""Configurations of runs about images of the user's own."""

from typing import Any

import pytest

from physrl.config.load import dump_yaml, parse_config, validate
from physrl.config.questions import QuestionsConfig
from physrl.errors import ConfigError

DATA = {"data": {"path": "/data/own"}}


def test_a_table_fills_in_task_reward_and_evaluation() -> None:
    config = validate(DATA)
    assert config.questions == QuestionsConfig(path="/data/own")
    assert config.dataset is None
    assert (config.task, config.reward.type) == ("questions", "exact")
    assert config.evaluation.tasks == ("questions",)
    assert parse_config(dump_yaml(config), "config.yaml") == config


def test_a_place_is_a_collected_dataset() -> None:
    config = validate({"data": "/data/place"})
    assert (config.questions, config.dataset, config.task) == (None, "/data/place", "place")


def test_other_tasks_may_be_measured_too() -> None:
    tasks = ("questions", "stability")
    assert validate(DATA | {"evaluation": {"tasks": tasks}}).evaluation.tasks == tasks


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"task": "place"}, "task is place"),
        ({"data": None, "task": "questions"}, "task names questions"),
        ({"data": None, "evaluation": {"tasks": ["questions"]}}, r"evaluation\.tasks names"),
        ({"data": {"path": "/data/own", "imgae": "x"}}, r"data\.imgae.*data\.image"),
        ({"data": {}}, r"data\.path is missing"),
        ({"data": {"path": "http://host/own"}}, r"^data\.path is 'http://host/own'"),
        ({"data": {"path": "/own", "test": 1.0}}, r"^data\.test is 1\.0"),
        ({"data": {"path": "/own", "test": ""}}, r"^data\.test is ''"),
        ({"data": {"path": "/own", "validation": [1]}}, r"^data\.validation"),
        ({"data": {"path": "/own", "answer": ""}}, r"^data\.answer"),
        ({"data": 3}, r"^data is 3"),
        ({"data": "ftp://host"}, r"^data is 'ftp://host'"),
        ({"reward": {"type": "simulated"}}, r"reward\.type is simulated.*reward\.type=exact"),
        ({"reward": {"type": "authors"}}, r"reward\.type is authors.*reward\.type=exact"),
        ({"data": None, "reward": {"type": "exact"}}, r"reward\.type is exact.*place"),
        ({"auxiliary": {"mode": "inline"}}, r"auxiliary\.mode"),
        ({"curriculum": "adaptive"}, "curriculum is adaptive"),
        ({"mixture": ["questions", "place"]}, "mixture"),
        ({"algorithm": {"type": "sft", "targets": "shuffled"}}, r"algorithm\.targets"),
        ({"warm_start": {"targets": "outcomes"}}, r"warm_start\.targets"),
        ({"evaluation": {"test_sets": ["tall"]}}, r"evaluation\.test_sets"),
        ({"evaluation": {"data": {"questions": "/data"}}}, r"evaluation\.data"),
    ],
)
def test_what_does_not_fit_questions_is_refused(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named) as refused:
        validate(DATA | changes)
    assert "\n" not in str(refused.value)
