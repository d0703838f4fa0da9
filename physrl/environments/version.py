"""Which scenes and pictures an index means."""

GENERATOR_VERSION = 2
"""Raised by hand whenever the scene or the picture of the same seed, task, split, index and
settings changes: a dataset of another version is then refused instead of mixed with new scenes."""
