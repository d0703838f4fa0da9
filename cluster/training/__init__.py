"""Training of one policy: the controller, its steps, the record of the run, SFT by itself."""
