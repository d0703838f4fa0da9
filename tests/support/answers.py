"""Answers and results of made-up policies."""

from dataclasses import replace
from typing import Any

from physrl.config.study import Decoding
from physrl.evaluation.results import Answer, CellResult, PolicyResult
from physrl.evaluation.specs import Condition


def make_answer(index: int = 0, success: bool = True, **changes: Any) -> Answer:
    """Make an answer to `place` that is off by half a block width."""
    answer = Answer(
        scene_id=f"place/test/iid/0/{index}",
        completion="<answer>100 200</answer>",
        answer="100 200",
        ideal="150 200",
        success=bool(success),
        status="settled",
        reward=1.25 if success else -0.25,
        offset=(1.0, 2.0),
        ideal_offset=(1.5, 2.0),
        predicted_falls=None,
        falls=None,
        probability=0.5,
        margin=0.25,
        blocks=3,
        height=3.0,
        side="left",
        generator="iid",
    )
    return replace(answer, **changes)


def make_verdict_answer(scene_id: str, verdict: bool | None, falls: bool) -> Answer:
    """Make an answer to `stability`; `verdict` is None for an unparseable one."""
    answer = {None: "", True: "Yes", False: "No"}[verdict]
    return Answer(
        scene_id=scene_id,
        completion=f"<answer>{answer}</answer>",
        answer=answer,
        ideal="Yes" if falls else "No",
        success=verdict is falls,
        status="unparseable" if verdict is None else "settled",
        reward=float(verdict is falls),
        offset=None,
        ideal_offset=None,
        predicted_falls=verdict,
        falls=falls,
        probability=0.5,
        margin=-0.25 if falls else 0.25,
        blocks=3,
        height=3.0,
        side="right",
        generator="iid",
    )


def make_policy_result(policy: str, successes: int) -> PolicyResult:
    """Make results on three tasks; `successes` are those on `place`, of 10 and of 20 answers."""
    return PolicyResult(
        policy,
        (
            _make_task_result("place", "greedy", successes, 10),
            _make_task_result("place", "sampled", successes, 20),
            _make_task_result("stability", "greedy", 5, 10),
            _make_task_result("real", "greedy", 3, 6),
        ),
    )


def _make_task_result(task: str, decoding: Decoding, successes: int, total: int) -> CellResult:
    def answer(index: int) -> Answer:
        if task == "place":
            return make_answer(index, index < successes)
        falls = index % 2 == 0
        return make_verdict_answer(f"{task}/test/0/{index}", falls == (index < successes), falls)

    condition = (
        Condition("stability", "real", decoding=decoding)
        if task == "real"
        else Condition(task, decoding=decoding)  # type: ignore[arg-type]
    )
    return CellResult(condition, tuple(map(answer, range(total))))
