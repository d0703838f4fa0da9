"""Shows progress on the console."""
