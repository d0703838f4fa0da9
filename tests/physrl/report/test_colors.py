from physrl.report.colors import policy_colors


def test_a_policys_color_does_not_depend_on_the_others() -> None:
    alone = policy_colors(["grpo"])["grpo"]
    together = policy_colors(["base", "other", "grpo", "sft"])
    assert alone == together["grpo"]
    assert len(set(together.values())) == 4
