"""Output for people: the console, progress bars, units and contact sheets."""
