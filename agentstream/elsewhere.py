"""Names that the OpenAI Agents SDK has and agentstream leaves out on purpose.

Importing one raises an ImportError that says so, rather than one that looks like a mistake.
"""

from __future__ import annotations

from typing import NoReturn

_PARTS = {
    "sandboxes": ("sandbox", "SandboxRunConfig"),
    "realtime and voice": ("realtime", "voice", "speech_span", "speech_group_span"),
    "hosted tracing": (
        "add_trace_processor",
        "agent_span",
        "custom_span",
        "flush_traces",
        "function_span",
        "gen_span_id",
        "gen_trace_id",
        "generation_span",
        "get_current_span",
        "get_current_trace",
        "guardrail_span",
        "handoff_span",
        "set_trace_processors",
        "set_trace_provider",
        "set_tracing_export_api_key",
        "TracingProcessor",
    ),
    "WebSocket transport": (
        "OpenAIResponsesWSModel",
        "ResponsesWebSocketSession",
        "responses_websocket_session",
        "set_default_openai_responses_transport",
    ),
    "shell and patch tools": ("ApplyPatchTool", "ShellTool", "apply_diff"),
    "programmatic tool calling": ("ProgrammaticToolCallingTool", "CustomTool"),
    "prompt-cache harnesses": ("set_default_openai_harness",),
}

_PART_OF = {name: part for part, names in _PARTS.items() for name in names}


def refuse(name: str, part: str) -> NoReturn:
    """Raise the ImportError for `name`, which belongs to `part`."""
    verb = "are" if part.endswith("s") or " and " in part else "is"
    raise ImportError(
        f"agentstream has no {name!r}: {part} {verb} left to the OpenAI Agents SDK. "
        "Install it with `pip install openai-agents` and import it from `agents`."
    )


def is_left_out(name: str) -> bool:
    """Whether the SDK has the name and agentstream has not."""
    return name in _PART_OF


def __getattr__(name: str) -> NoReturn:
    if name in _PART_OF:
        refuse(name, _PART_OF[name])
    raise AttributeError(f"module 'agentstream' has no attribute {name!r}")
