"""Brings the learner's weights to the inference servers."""
