"""The gateway: the only process that holds the key of the model, and the only way from a sandbox to it."""
