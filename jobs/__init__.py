"""What people and `ray job submit` run; the command line."""
