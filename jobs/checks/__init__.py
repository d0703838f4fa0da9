"""Finds a user's mistakes before anything slow starts."""
