"""Distributed training and evaluation on Ray."""

from cluster.runtime.authentication import set_local_token

set_local_token()  # before the first import of Ray, which reads it
