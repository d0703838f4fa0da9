"""Runs a study: trials on Ray Tune, cells, probes, adaptation."""
