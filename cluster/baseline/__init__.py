"""Baselines: policies without language, trained by PPO of RLlib."""
