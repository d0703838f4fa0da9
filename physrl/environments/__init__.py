"""Scenes: geometry, sampling, simulation and pictures."""
