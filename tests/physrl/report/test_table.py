import io

from rich.console import Console

from physrl.evaluation.results import PolicyResult
from physrl.report.table import make_table, plain_rows


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
        "place", "greedy", "grpo", "8 of 10", "80.0%", "49.0% to 94.3%", "0"
    )  # fmt: skip


def test_terminal_table_fits_eighty_columns(policies: tuple[PolicyResult, ...]) -> None:
    stream = io.StringIO()
    Console(file=stream, width=80).print(make_table(policies, "held-out scenes"))
    text = stream.getvalue()
    assert all(cell in text for row in plain_rows(policies) for cell in row)
    assert "…" not in text
