"""Datasets, rollout files, photographs and collation."""
