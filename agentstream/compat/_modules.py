"""Which module of ours answers for which of the SDK's."""

from __future__ import annotations

from typing import Final

TWINS: Final[dict[str, tuple[str, ...]]] = {
    "agent": ("agent",),
    "agent_output": ("agent_output",),
    "computer": ("tools.hosted",),
    "decorators": ("decorators",),
    "exceptions": ("exceptions",),
    "extensions": ("extensions",),
    "extensions.handoff_filters": ("extensions.handoff_filters",),
    "extensions.handoff_prompt": ("extensions.handoff_prompt",),
    "extensions.memory": ("extensions.memory",),
    "extensions.memory.advanced_sqlite_session": ("sessions.advanced",),
    "extensions.memory.async_sqlite_session": ("sessions.async_sqlite",),
    "extensions.memory.encrypt_session": ("sessions.encrypted",),
    "extensions.memory.redis_session": ("sessions.redis",),
    "extensions.memory.sqlalchemy_session": ("sessions.sql",),
    "extensions.models": ("models.library_models",),
    "extensions.models.any_llm_model": ("models.library_models",),
    "extensions.models.any_llm_provider": ("models.library_models",),
    "extensions.models.litellm_model": ("models.library_models",),
    "extensions.models.litellm_provider": ("models.library_models",),
    "extensions.tool_output_trimmer": ("extensions.tool_output_trimmer",),
    "extensions.visualization": ("extensions.visualization",),
    "function_schema": ("tools.function_schema",),
    "guardrail": ("guardrails",),
    "handoffs": ("handoffs", "extensions.handoff_history"),
    "handoffs.history": ("extensions.handoff_history",),
    "items": ("items",),
    "lifecycle": ("lifecycle",),
    "logger": ("logger",),
    "mcp": ("mcp",),
    "mcp.manager": ("mcp",),
    "mcp.server": ("mcp", "mcp.approval"),
    "mcp.util": ("mcp", "mcp.transports"),
    "memory": ("sessions", "run_config"),
    "memory.openai_conversations_session": ("sessions", "compat.annotations"),
    "memory.openai_responses_compaction_session": ("sessions.compaction",),
    "memory.session": ("sessions",),
    "memory.session_settings": ("sessions", "compat.annotations"),
    "memory.sqlite_session": ("sessions",),
    "model_settings": ("model_settings",),
    "models": ("models.base", "models.default_models"),
    "models.default_models": ("models.default_models",),
    "models.interface": ("models.base",),
    "models.multi_provider": ("models.provider",),
    "models.openai_chatcompletions": ("models.chat_completions.model",),
    "models.openai_provider": ("models.provider",),
    "models.openai_responses": ("models.responses.model",),
    "prompts": ("prompts",),
    "repl": ("repl",),
    "result": ("run.result", "run.streamed_result", "tool_context"),
    "retry": ("models.retry.attempts",),
    "run": ("compat.annotations", "run.runner", "run_config", "run.agent_runner"),
    "run_config": ("run_config", "compat.annotations"),
    "run_context": ("run_context",),
    "run_error_handlers": ("run_config",),
    "run_state": ("run.state.run_state",),
    "stream_events": ("stream_events",),
    "strict_schema": ("strict_schema",),
    "testing": ("compat.testing",),
    "testing.model": ("compat.testing",),
    "tool": ("tools.function_tool", "tools.hosted", "tools.origin", "tools.output"),
    "tool_context": ("tool_context",),
    "tool_guardrails": ("tool_guardrails",),
    "tracing": ("tracing", "compat.annotations"),
    "tracing.create": ("tracing",),
    "tracing.processor_interface": ("tracing",),
    "tracing.span_data": ("tracing",),
    "tracing.spans": ("tracing",),
    "tracing.traces": ("tracing",),
    "usage": ("usage",),
    "version": ("",),
}
"""Module below ``agents`` to those below ``agentstream`` that have its names."""

TRACES: Final = "traces of runs"

LEFT_OUT: Final[dict[str, str]] = {
    "apply_diff": "shell and patch tools",
    "editor": "shell and patch tools",
    "extensions.experimental": "experimental extensions",
    "extensions.memory.dapr_session": "sessions of Dapr and MongoDB",
    "extensions.memory.mongodb_session": "sessions of Dapr and MongoDB",
    "extensions.sandbox": "sandboxes",
    "models.openai_agent_registration": "ways to register an agent with OpenAI",
    "realtime": "realtime and voice",
    "responses_websocket_session": "the WebSocket transport",
    "sandbox": "sandboxes",
    "testing.sandbox": "sandboxes",
    "tracing.config": TRACES,
    "tracing.model_tracing": TRACES,
    "tracing.processors": TRACES,
    "tracing.provider": TRACES,
    "tracing.scope": TRACES,
    "tracing.setup": TRACES,
    "tracing.util": TRACES,
    "voice": "realtime and voice",
}
"""Module below ``agents``, with all that is in it, to what it is a part of."""

LEFT_OUT_NAMES: Final[dict[str, str]] = {
    "TracingExporter": TRACES,
    "TraceProvider": TRACES,
    "TraceCtxManager": TRACES,
    "ResponsesWebSocketError": "the WebSocket transport",
    "ScriptedSandboxSession": "sandboxes",
    "scripted_sandbox_session": "sandboxes",
}
"""Name in a module that is answered for, to what it is a part of; `_unsupported` has the others."""


def part_of(module: str) -> str | None:
    """The part that is left to the SDK and has this module; None if there is no such part."""
    names = module.split(".")
    outer = [".".join(names[:length]) for length in range(1, len(names) + 1)]
    return next((LEFT_OUT[one] for one in outer if one in LEFT_OUT), None)
