"""Questions on their way through a rollout: the stages are those of scenes."""

from contextlib import closing
from pathlib import Path

import pytest

from physrl.data.rollouts import read_rollouts, write_rollouts
from physrl.evaluation.answers import group_answers
from physrl.loop import ReferenceLoop
from physrl.protocols import RolloutRequest
from physrl.question_source import QuestionSource, run_source
from physrl.rollout import training_request
from physrl.types import Completion, Generation, Question, Reply
from physrl.world import World
from tests.support.own_images import make_rows, own_config, write_rows, write_squares

ROWS = 20


@pytest.fixture
def source(tmp_path: Path) -> QuestionSource:
    config = own_config(write_rows(tmp_path / "rows.parquet", make_rows(ROWS)))
    made = run_source(config, config.task, "train")
    assert isinstance(made, QuestionSource)
    return made


def test_training_asks_every_row_once_an_epoch_in_another_order(source: QuestionSource) -> None:
    count = source.rows.count("train")
    assert count == ROWS - 4
    epochs = [[source.locate(index)[1] for index in range(k * count, (k + 1) * count)]
              for k in range(3)]  # fmt: skip
    assert all(sorted(rows) == list(range(count)) for rows in epochs)
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    ids = {source.scene_id(index) for index in range(3 * count)}
    assert len(ids) == 3 * count  # so that a row is answered anew in each epoch


def test_a_question_depends_on_seed_and_index_alone(source: QuestionSource) -> None:
    (first, prompt), (again, same) = source.ask(7), source.ask(7)
    assert first == again
    assert prompt.turns[0].text == same.turns[0].text
    assert prompt.scene_id == first.scene_id == source.scene_id(7)
    assert prompt.text.startswith(first.text)
    assert "<answer>" in prompt.text
    other = QuestionSource(source.data, source.seed + 1, "train", reasoning=True)
    assert [other.locate(i) for i in range(9)] != [source.locate(i) for i in range(9)]
    assert "<think>" in other.ask(0)[1].text


def test_held_out_rows_are_asked_in_order_whatever_the_seed(source: QuestionSource) -> None:
    for split in ("validation", "test"):
        found = [QuestionSource(source.data, seed, split, False) for seed in (0, 5)]
        rows = [[each.ask(index)[0] for index in range(2)] for each in found]
        assert rows[0] == rows[1]
        assert [question.row for question in rows[0]] == [0, 1]


def complete(*texts: str) -> Generation:
    return Generation((1,), tuple(Completion(text, (2,), (-0.5,), False, 3) for text in texts))


def test_a_group_is_rewarded_logged_and_evaluated(source: QuestionSource, tmp_path: Path) -> None:
    config = own_config(source.data.path)
    request = training_request(config, 0, source, range(4))
    assert isinstance(request, RolloutRequest)
    with closing(World()) as world:
        state = world.prepare(request, 2)
        asked = state.record.scene
        assert isinstance(asked, Question)
        right, wrong = f"<answer> {asked.answer}.0</answer>", "<answer>none</answer>"
        done = world.act(request, state, [complete(right, wrong, "no answer")])
    assert done.prompts == ()
    rollouts = done.record.rollouts
    assert [each.reward.total for each in rollouts] == [1.0, 0.0, -0.5]
    assert [each.last.outcome.status for each in rollouts] == ["answered"] * 2 + ["unparseable"]
    assert rollouts[1].last.action == Reply("none")
    answers = group_answers(done.record)
    assert [each.success for each in answers] == [True, False, False]
    assert {each.ideal for each in answers} == {asked.answer}
    write_rollouts(tmp_path / "step.parquet", [done.record], [1.0, 0.0, -1.0], 1)
    table = read_rollouts(tmp_path / "step.parquet").to_pydict()
    assert table["action_text"] == [f"{asked.answer}.0", "none", None]
    assert table["scene_id"] == [asked.scene_id] * 3
    assert table["image"][0]["bytes"].startswith(b"\x89PNG")


def test_any_answer_of_a_list_is_right_and_the_first_is_shown(tmp_path: Path) -> None:
    rows = make_rows(20, answer=["two", "2"])
    config = own_config(write_rows(tmp_path / "rows.parquet", rows))
    source = run_source(config, config.task, "train")
    request = training_request(config, 0, source, range(1))
    texts = [f"<answer>{text}</answer>" for text in ("2.0", "Two", "22")]
    with closing(World()) as world:
        (shown,) = world.demonstrate(source, [0])
        done = world.act(request, world.prepare(request, 0), [complete(*texts)])
    assert shown.target == "<answer>two</answer>"
    assert [each.last.outcome.success for each in done.record.rollouts] == [True, True, False]


def test_demonstrations_are_reference_answers(source: QuestionSource) -> None:
    with closing(World()) as world:
        shown = world.demonstrate(source, range(3))
    expected = [source.ask(index)[0].answer for index in range(3)]
    assert [each.target for each in shown] == [f"<answer>{answer}</answer>" for answer in expected]


def test_the_reference_loop_trains_by_sft(tmp_path: Path) -> None:
    table = {"type": "sft", "steps": 8, "prompts_per_step": 16, "lr": 1e-3, "max_grad_norm": 1.0}
    loop = ReferenceLoop(own_config(write_squares(tmp_path), algorithm=table))
    losses = [loop.step(step)["loss"] for step in range(8)]
    assert losses[-1] < losses[0]


def test_the_reference_loop_trains_by_grpo(tmp_path: Path) -> None:
    # The base answers every such question by Yes as often as by No.
    rows = make_rows(20, question="Is the red block left of the blue block?", answer=True)
    loop = ReferenceLoop(own_config(write_rows(tmp_path / "rows.parquet", rows)))
    metrics = loop.step(0)
    assert 0 < metrics["task/questions/accuracy"] < 1
    assert metrics["grad_norm"] > 0
    assert loop.generator.policy_version == 1
