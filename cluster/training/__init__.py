"""Trains one policy: the controller, its record and its timing; SFT by itself."""
