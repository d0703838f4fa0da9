"""Ray actors and the training loop."""

from cluster.runtime.authentication import announce_token

announce_token()  # Ray reads it when it is first imported, which the other modules here do
