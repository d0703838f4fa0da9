"""A check of a machine or cluster for training on GPUs, the first thing to run on a new one.

run -> checks in order -> rows: pass, fail or skip, what was found, what to do -> table, JSON

Each check is a function that returns what it found; a check that raises is a row that failed.
"""

RANDOM = "random"
"""Value of `model.path` for a random model."""
