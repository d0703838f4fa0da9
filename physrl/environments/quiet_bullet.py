"""PyBullet, imported without the build line that it prints."""

import os

# The line is printed from C and bypasses sys.stderr: only the file descriptor can be silenced.
_stderr = os.dup(2)
_null = os.open(os.devnull, os.O_WRONLY)
os.dup2(_null, 2)
try:
    import pybullet
finally:
    os.dup2(_stderr, 2)
    os.close(_stderr)
    os.close(_null)

__all__ = ["pybullet"]
