"""Evaluation of questions about a user's own images: cells, files, reports."""

from pathlib import Path

from jobs.report import run as report
from physrl.config.reward import ExactRewardConfig
from physrl.evaluation.answers import question_answer
from physrl.evaluation.measurements import Measurements
from physrl.evaluation.requests import cell_sampling
from physrl.evaluation.run_cells import policy_subject, run_cells
from physrl.evaluation.specs import Condition
from physrl.types import Attempt, Completion, Outcome, Prompt, Question, Reply, Reward, Rollout
from tests.support.measurements import make_measurement
from tests.support.own_images import make_rows, own_config, write_rows


def test_cells_are_known_by_the_rows(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.parquet", make_rows(20))
    config = own_config(path, evaluation={"tasks": ["questions", "stability"]})
    subject = policy_subject("base", config.model)
    cells = run_cells(config, subject, ())
    asked = [(cell.condition.task, cell.condition.decoding) for cell in cells]
    assert sorted(asked) == [
        (task, decoding)
        for task in ("questions", "stability")
        for decoding in ("greedy", "sampled")
    ]
    assert [cell.settings.data is None for cell in cells] == [False, False, True, True]
    for cell in cells[:2]:
        sampling = cell_sampling(cell)
        assert (sampling.choices, sampling.max_tokens) == ((), 12)
    write_rows(path, make_rows(20, answer="other"))
    keys = [cell.key for cell in run_cells(config, subject, ())]
    assert [key == cell.key for key, cell in zip(keys, cells, strict=True)] == [False] * 2 + [
        True
    ] * 2


def answered(row: int, text: str, *, success: bool) -> Rollout:
    prompt = Prompt.ask(f"questions/test/0/{row}", "How many?")
    completion = Completion(f"<answer>{text}</answer>", (1,), (-1.0,), False, 0)
    outcome = Outcome("answered", success=success)
    attempt = Attempt(prompt, (1,), completion, Reply(text), outcome)
    return Rollout((attempt,), Reward(float(success)))


def test_answers_are_stored_and_reported(tmp_path: Path) -> None:
    question = Question("test", 0, 0, "How many?", "3")
    answers = [
        question_answer(question, answered(0, text, success=text == "3")) for text in ("3", "4")
    ]
    assert [(each.answer, each.ideal, each.success) for each in answers] == [
        ("3", "3", True),
        ("4", "3", False),
    ]
    store = Measurements(tmp_path)
    measured = {
        policy: make_measurement(
            policy, kept, Condition("questions"), data="0" * 64, reward=ExactRewardConfig()
        )
        for policy, kept in (("base", answers), ("grpo", answers[:1] * 2))
    }
    for each in measured.values():
        store.save(each)
        found = store.find(each.cell)
        assert found is not None
        assert found.result == each.result
    report([tmp_path])
    page = (tmp_path / "report" / "index.html").read_text()
    assert "base answered 50% of your questions correctly" in page
