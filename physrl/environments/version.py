"""Version of the scene generator and the renderers."""

GENERATOR_VERSION = 7
"""Increase this by hand whenever the scene or the image for the same seed, task, split, index and
settings changes: datasets of another version are then refused instead of mixed with new scenes."""
