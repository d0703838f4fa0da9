"""Scenes: geometry, sampling, simulation and rendering."""
