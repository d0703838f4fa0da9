import pytest

from jobs.evaluate import short_name


@pytest.mark.parametrize(
    ("policy", "name"),
    [
        ("runs/demo/checkpoints/step-00000060/model", "demo_step-00000060"),
        ("/far/runs/demo/checkpoints/step-00000060", "demo_step-00000060"),
        ("assets/tiny-base", "assets_tiny-base"),
        ("Qwen/Qwen2.5-VL-3B-Instruct", "Qwen_Qwen2.5-VL-3B-Instruct"),
        ("../x", "x"),
    ],
)
def test_a_policys_short_name(policy: str, name: str) -> None:
    assert short_name(policy) == name
