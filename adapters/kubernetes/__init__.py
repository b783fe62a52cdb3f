"""Sandboxes as pods: `engine.ports.Sandbox` over the Kubernetes API."""
