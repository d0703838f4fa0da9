"""Resolves command-line arguments that name other runs and policies."""
