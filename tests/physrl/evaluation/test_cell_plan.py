from pathlib import Path

import numpy as np
from PIL import Image

from physrl.evaluation.plan import plan_study
from tests.support.studies import small_study


def test_photographs_are_evaluated_as_stability(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / name)
    (tmp_path / "labels.csv").write_text("file,falls\na.png,1\nb.png,0\n")
    plan = plan_study(
        small_study("evaluation.test_sets=[iid, real]", f"evaluation.real_images={tmp_path}")
    )
    real = [cell for cell in plan.cells if cell.condition.test_set == "real"]
    assert {cell.condition.task for cell in real} == {"stability"}
    assert {cell.settings.scenes for cell in real} == {2}
    # The exact criterion does not apply to photographs.
    assert {cell.subject.kind for cell in real} == {"trained", "base", "guesser"}
