"""Claude Code: its stream and control protocol, the supervisor in its sandbox, and the gateway to the model."""
