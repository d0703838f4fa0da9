import numpy as np
import pytest

from physrl.environments.outline import draw_outline
from physrl.types import Appearance, Block, Camera

# From 10 away straight ahead, 4 wide at z = 0; the near face of a cube is 9.5 away.
CAMERA = Camera(0.0, 0.5, 10.0, 0.5, float(2 * np.degrees(np.arctan(0.2))))
PLAIN = Appearance(light=(0.0, 4.0, 3.0))


def drawn(block: Block, camera: Camera = CAMERA) -> np.ndarray:
    white = np.full((200, 200, 3), 255, np.uint8)
    return draw_outline(white, block, camera, PLAIN)[..., 1] < 200


@pytest.mark.parametrize(
    ("block", "width", "height"),
    [
        (Block(0.0, 0.5, 0.0, 0.0, "outline"), 1.0, 1.0),
        (Block(0.0, 0.5, 0.0, 0.0, "outline", 0.5, (4.0, 2.0)), 2.0, 0.5),
    ],
)
def test_edges_are_where_the_block_would_be(block: Block, width: float, height: float) -> None:
    rows, columns = np.nonzero(drawn(block))
    scale = 200 / 4 * 10 / 9.5
    assert np.ptp(columns) == pytest.approx(width * scale, abs=4)
    assert np.ptp(rows) == pytest.approx(height * scale, abs=4)
    assert not drawn(block)[100, 95:105].any()  # the middle stays empty


def test_hidden_edges_are_left_out() -> None:
    # From straight ahead only the near face is seen; from above its top too: more lines.
    block = Block(0.0, 0.5, 0.0, 0.0, "outline")
    above = Camera(0.0, 6.0, 10.0, 0.5, CAMERA.fov_degrees)
    assert drawn(block).sum() < 0.75 * drawn(block, above).sum()
