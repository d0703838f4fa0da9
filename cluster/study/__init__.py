"""Studies: trials on Ray Tune, cells, probes, adaptation."""
