"""Small made-up results that the report's tests share."""

from collections.abc import Callable

import pytest

from physrl.evaluation.results import Answered, Decoding, EvaluationTask, PolicyResult, TaskResult


def make_place_answer(index: int, success: bool) -> Answered:
    return Answered(
        scene_id=f"place/test/iid/0/{index}",
        completion="<answer>100 200</answer>",
        answer="100 200",
        ideal="150 200",
        success=success,
        status="settled",
        reward=1.25 if success else -0.25,
        offset=(1.0, 2.0),
        ideal_offset=(1.5, 2.0),
        said_falls=None,
        falls=None,
    )


def make_verdict_answer(scene_id: str, said: bool | None, falls: bool) -> Answered:
    answer = "" if said is None else "Yes" if said else "No"
    return Answered(
        scene_id=scene_id,
        completion=f"<answer>{answer}</answer>",
        answer=answer,
        ideal="Yes" if falls else "No",
        success=said is falls,
        status="unparseable" if said is None else "settled",
        reward=float(said is falls),
        offset=None,
        ideal_offset=None,
        said_falls=said,
        falls=falls,
    )


def make_task_result(
    task: EvaluationTask, decoding: Decoding, successes: int, total: int
) -> TaskResult:
    def answer(index: int) -> Answered:
        if task == "place":
            return make_place_answer(index, index < successes)
        falls = index % 2 == 0
        return make_verdict_answer(f"{task}/test/0/{index}", falls == (index < successes), falls)

    return TaskResult(task, decoding, tuple(answer(index) for index in range(total)))


def make_policy_result(policy: str, successes: int) -> PolicyResult:
    return PolicyResult(
        policy,
        (
            make_task_result("place", "greedy", successes, 10),
            make_task_result("place", "sampled", successes, 20),
            make_task_result("stability", "greedy", 5, 10),
            make_task_result("real", "greedy", 3, 6),
        ),
    )


@pytest.fixture(scope="session")
def policies() -> tuple[PolicyResult, ...]:
    return (
        make_policy_result("base", 1),
        make_policy_result("grpo", 8),
        make_policy_result("sft", 9),
    )


@pytest.fixture(scope="session")
def place_answer() -> Callable[[int, bool], Answered]:
    return make_place_answer


@pytest.fixture(scope="session")
def verdict_answer() -> Callable[[str, bool | None, bool], Answered]:
    return make_verdict_answer
