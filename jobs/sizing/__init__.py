"""Estimates of the memory, disk and GPU hours of runs and studies."""
