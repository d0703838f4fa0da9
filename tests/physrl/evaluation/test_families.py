from physrl.evaluation.families import group_families
from tests.support.small_studies import two_task_plan


def test_families_are_subjects_that_differ_only_in_their_seed() -> None:
    families = group_families(two_task_plan().subjects)
    assert [family.name for family in families] == [
        "tiny place grpo", "tiny place sft", "tiny stability grpo", "tiny stability sft",
        "tiny (base)", "physics", "guesser", "constant", "nearest", "side", "height",
        "side_and_height", "exact_x", "aligner", "midway",
    ]  # fmt: skip
    assert [len(members) for members in families.values()] == [2, 2, 2, 2] + [1] * 11
