from physrl.algorithms.budget import spend


def test_a_run_adds_up_what_its_steps_counted() -> None:
    step = {"step/scenes": 2.0, "step/samples": 8.0, "step/tokens": 90.0, "step/updates": 1.0}
    first = spend({}, step)
    second = spend(first | {"loss": 1.0}, step | {"step/tokens": 10.0})
    assert second == {
        "budget/scenes": 4,
        "budget/samples": 16,
        "budget/tokens": 100,
        "budget/updates": 2,
    }
