"""Trains a policy without language with RLlib's PPO."""
