"""`python -m jobs.gpu_check`, which `ray job submit` and the chart run."""

import sys

from jobs.cli import main

main(["gpu-check", *sys.argv[1:]])
