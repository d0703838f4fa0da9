"""Trains: one actor a DeepSpeed rank, their group, and recovery from lost ranks."""
