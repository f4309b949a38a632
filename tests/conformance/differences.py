"""Where agentstream is another than the SDK on purpose, and why. Each has its test."""

from __future__ import annotations

DIFFERENCES: dict[str, str] = {
    "break stops the run": (
        "In the SDK the run goes on in the background after `break` out of stream_events(): tools "
        "start, tokens are paid. Here leaving the loop closes the stream and starts no further "
        "tool, as a user who leaves expects."
    ),
    "run_sync inside a running loop": (
        "The SDK raises. A notebook cell always runs inside a loop, so here run_sync works there, "
        "on that same loop."
    ),
    "an empty structured reply ends": (
        "The SDK asks again, up to max_turns, when a structured output was wanted and the model "
        "answered nothing. Here that is a ModelBehaviorError at once."
    ),
}
