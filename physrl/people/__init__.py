"""Experiments with people: a study's scenes as static pages, and answers that come back."""
