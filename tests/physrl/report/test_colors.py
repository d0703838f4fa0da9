from physrl.report.colors import policy_colors


def test_a_policys_color_does_not_depend_on_the_others() -> None:
    alone = policy_colors(["grpo"])["grpo"]
    together = policy_colors(["base", "other", "grpo", "sft"])
    assert alone == together["grpo"]
    assert len(set(together.values())) == 4


def test_eight_other_policies_have_colors_of_their_own() -> None:
    colors = policy_colors(["base", "warm", "grpo", "sft", *"abcdefgh"])
    assert len(set(colors.values())) == 12
