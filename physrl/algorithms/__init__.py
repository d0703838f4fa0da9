"""Advantages, losses and the update that uses them."""
