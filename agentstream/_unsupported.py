"""Names that the OpenAI Agents SDK has and agentstream leaves out on purpose.

Importing one raises an ImportError that says so, rather than one that looks like a mistake.
"""

from __future__ import annotations

from typing import NoReturn

_PARTS = {
    "sandboxes": ("sandbox", "SandboxRunConfig"),
    "realtime and voice": ("realtime", "voice"),
    "a tracing provider of your own": ("set_trace_provider", "get_trace_provider"),
    "the WebSocket transport": (
        "OpenAIResponsesWSModel",
        "OpenAIResponsesWebSocketOptions",
        "ResponsesWebSocketSession",
        "responses_websocket_session",
        "set_default_openai_responses_transport",
    ),
    "shell and patch tools": (
        "ApplyPatchEditor",
        "ApplyPatchOperation",
        "ApplyPatchResult",
        "ApplyPatchTool",
        "ApplyPatchToolCustomDataContext",
        "ApplyPatchToolCustomDataExtractor",
        "ShellActionRequest",
        "ShellCallData",
        "ShellCallOutcome",
        "ShellCommandOutput",
        "ShellCommandRequest",
        "ShellExecutor",
        "ShellResult",
        "ShellTool",
        "ShellToolContainerAutoEnvironment",
        "ShellToolContainerNetworkPolicy",
        "ShellToolContainerNetworkPolicyAllowlist",
        "ShellToolContainerNetworkPolicyDisabled",
        "ShellToolContainerNetworkPolicyDomainSecret",
        "ShellToolContainerReferenceEnvironment",
        "ShellToolContainerSkill",
        "ShellToolEnvironment",
        "ShellToolHostedEnvironment",
        "ShellToolInlineSkill",
        "ShellToolInlineSkillSource",
        "ShellToolLocalEnvironment",
        "ShellToolLocalSkill",
        "ShellToolSkillReference",
        "apply_diff",
    ),
    "programmatic tool calling": (
        "CustomTool",
        "CustomToolCustomDataContext",
        "CustomToolCustomDataExtractor",
        "ProgrammaticToolCallingTool",
    ),
    "registering an agent with OpenAI": (
        "OpenAIAgentRegistrationConfig",
        "set_default_openai_agent_registration",
        "set_default_openai_harness",
    ),
}

_PART_OF = {name: part for part, names in _PARTS.items() for name in names}


def refuse(name: str, part: str) -> NoReturn:
    """Raise the ImportError for `name`, which belongs to `part`."""
    verb = "are" if part.endswith(("sandboxes", "tools", "voice")) else "is"
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
