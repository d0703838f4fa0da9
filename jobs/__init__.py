"""The command line, and the jobs that it or `ray job submit` runs."""
