"""Datasets, rollout files, photographs, collation."""
