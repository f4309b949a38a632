"""Ready-made pieces for agents that hand off, under the SDK's import paths."""
