"""Estimates memory, disk and GPU hours of runs and studies."""
