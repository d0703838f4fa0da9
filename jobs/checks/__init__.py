"""Checks that find a user's mistakes before anything slow starts."""
