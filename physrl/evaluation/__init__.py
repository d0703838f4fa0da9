"""Evaluation of policies: measurements, studies and their statistics."""
