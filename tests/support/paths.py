"""Paths of the checkout that tests read."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "jobs" / "configs"
DEMO = CONFIGS / "demo.yaml"
TINY_BASE = ROOT / "assets" / "tiny-base"
