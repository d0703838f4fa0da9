import io

from rich.console import Console

from physrl.evaluation.results import CellResult, PolicyResult
from physrl.evaluation.specs import Condition
from physrl.report.table import UNPARSEABLE, headings, make_tables, plain_rows
from tests.support.answers import make_answer, make_policy_result


def test_rows_go_by_task_then_decoding_then_policy(policies: tuple[PolicyResult, ...]) -> None:
    groups = [row[:3] for row in plain_rows(policies)]
    assert groups[3:7] == [
        ("place", "greedy", "base"),
        ("place", "greedy", "grpo"),
        ("place", "greedy", "sft"),
        ("place", "sampled", "base"),
    ]
    tasks = [group[0] for group in groups]
    assert tasks == ["stability"] * 3 + ["place"] * 6 + ["real"] * 3


def test_cells_by_hand(policies: tuple[PolicyResult, ...]) -> None:
    # Wilson's interval of 8 of 10 is 0.4902 to 0.9433.
    assert plain_rows(policies)[4] == (
        "place", "greedy", "grpo", "8 of 10", "80.0%", "49.0 to 94.3%"
    )  # fmt: skip


def test_terminal_table_fits_eighty_columns(policies: tuple[PolicyResult, ...]) -> None:
    stream = io.StringIO()
    tables = make_tables(policies, "mine")
    for table in tables:
        Console(file=stream, width=80).print(table)
    text = stream.getvalue()
    assert len(tables) == 2
    assert all(title in text for title in ("mine: iid", "mine: real"))
    assert all(cell in text for row in plain_rows(policies) for cell in row)
    assert "…" not in text


def test_long_names_are_wrapped_and_intervals_are_not() -> None:
    policy = make_policy_result("a-policy-of-a-long-name_step-00000060", 8)
    stream = io.StringIO()
    for table in make_tables([policy], "mine"):
        Console(file=stream, width=80).print(table)
    text = stream.getvalue()
    assert "49.0 to 94.3%" in text
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_column_that_is_always_zero_is_omitted(policies: tuple[PolicyResult, ...]) -> None:
    assert UNPARSEABLE not in headings(policies)
    lost = CellResult(Condition("place"), (make_answer(0, False, status="unparseable"),))
    assert headings([PolicyResult("base", (lost,))])[-1] == UNPARSEABLE
    assert plain_rows([PolicyResult("base", (lost,))])[0][-1] == "1"
