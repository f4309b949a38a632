"""Ready-made pieces for agents that hand off, under the SDK's import paths.

Its modules are public.
"""

__all__ = [
    "handoff_filters",
    "handoff_prompt",
    "memory",
    "tool_output_trimmer",
    "visualization",
]
