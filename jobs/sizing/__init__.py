"""Estimates of whether a run fits, and of the GPU hours of studies."""
