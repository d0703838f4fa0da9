"""Estimates of the memory that a run needs, from its configuration and its model's size."""
