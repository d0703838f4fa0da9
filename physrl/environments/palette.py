"""Block colors by name: the photographs' four come first; red is the block to be moved."""

from physrl.types import Appearance, Vector

RED = "red"
OUTLINE = "outline"
"""Name instead of a color for a place of the red block, of which only the outline is drawn."""
COLORS: dict[str, Vector] = {
    RED: (0.80, 0.07, 0.09),
    "yellow": (0.88, 0.80, 0.16),
    "green": (0.12, 0.55, 0.20),
    "blue": (0.13, 0.30, 0.75),
    "purple": (0.50, 0.16, 0.58),
    "orange": (0.94, 0.50, 0.10),
    "cyan": (0.20, 0.70, 0.74),
}
HELD_OUT_COLORS: dict[str, Vector] = {
    "white": (0.93, 0.93, 0.92),
    "black": (0.07, 0.07, 0.08),
    "grey": (0.45, 0.45, 0.46),
    "lime": (0.62, 0.88, 0.20),
    "navy": (0.06, 0.10, 0.32),
    "teal": (0.05, 0.42, 0.42),
}
ALL_COLORS = {**COLORS, **HELD_OUT_COLORS}
TOWER_COLORS = tuple(name for name in COLORS if name != RED)
PALETTES: dict[str, tuple[str, ...]] = {
    "seen": TOWER_COLORS,
    "held_out": tuple(HELD_OUT_COLORS),
}
"""Color names of tower blocks, by `environment.colors`."""

PAINT: dict[str, Vector] = {
    RED: (0.54, 0.02, 0.06),
    "yellow": (0.83, 0.79, 0.23),
    "green": (0.095, 0.285, 0.14),
    "blue": (0.11, 0.18, 0.39),
    "purple": (0.34, 0.10, 0.40),
    "orange": (0.80, 0.40, 0.08),
    "cyan": (0.16, 0.55, 0.60),
    "white": (0.88, 0.87, 0.85),
    "black": (0.07, 0.07, 0.08),
    "grey": (0.42, 0.42, 0.43),
    "lime": (0.52, 0.76, 0.16),
    "navy": (0.05, 0.08, 0.26),
    "teal": (0.04, 0.36, 0.36),
}
"""The colors in matte paint: the first four as photographed, the others matched to them."""


def rgb(name: str, appearance: Appearance) -> Vector:
    """Return the RGB value of a color name in a scene."""
    for known, color in appearance.colors:
        if known == name:
            return color
    return ALL_COLORS[name]
