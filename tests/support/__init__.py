"""Paths, configurations and reporters that several tests share."""
