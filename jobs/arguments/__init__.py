"""Command-line arguments: shared options, and the runs and policies that arguments name."""
