import pytest

from jobs.checks.lengths import check_answers, check_conversation
from physrl.config import load_config
from physrl.errors import UserError


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("model.max_images=2", r"model\.max_images=3"),
        ("model.max_prompt_tokens=200", r"model\.max_prompt_tokens is 200.*=2\d\d"),
    ],
)
def test_the_last_prompt_of_several_attempts(override: str, named: str) -> None:
    config = load_config(None, [override])
    check_conversation("place", config)
    with pytest.raises(UserError, match=named):
        check_conversation("place_closed_loop", config)


@pytest.mark.parametrize("table", ["algorithm", "warm_start"])
def test_ideal_answers(table: str) -> None:
    overrides = ["task=place", "model.max_completion_tokens=9"]
    check_answers(load_config(None, overrides))  # RL samples its answers
    overrides += [f"{table}={{type: sft, steps: 1}}", "auxiliary={mode: inline}"]
    with pytest.raises(UserError, match=r"model\.max_completion_tokens is 9") as caught:
        check_answers(load_config(None, overrides))
    remedy = str(caught.value).rpartition("set ")[2]
    check_answers(load_config(None, [*overrides, remedy]))
    assert int(remedy.rpartition("=")[2]) < 40
