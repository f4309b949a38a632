"""Where the public names live, so that ``import agentstream`` imports nothing that is not used.

All of the package takes half a second of processor time; a program that only replays a recording,
or shows a table, needs a part of it.
"""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType
from typing import Any, Final

from . import _unsupported
from ._run_starter import set_run_starter
from ._utils.keywords import suggest

_NAMES: Final = {
    "agent": (
        "Agent AgentBase AgentToolStreamEvent MCPConfig StopAtTools ToolsToFinalOutputFunction "
        "ToolsToFinalOutputResult"
    ),
    "agent_output": "AgentOutputSchema AgentOutputSchemaBase",
    "exceptions": (
        "AgentsException AnswerTooLargeError InputGuardrailTripwireTriggered "
        "MCPToolCancellationError MaxTurnsExceeded ModelBehaviorError ModelRefusalError "
        "ModelStalledError ModelStreamError ModelTimeoutError OutputGuardrailTripwireTriggered "
        "RecordingError RedirectError RunErrorDetails RunTimeoutError "
        "ToolInputGuardrailTripwireTriggered ToolOutputGuardrailTripwireTriggered "
        "ToolTimeoutError UserError"
    ),
    "extensions.handoff_history": (
        "default_handoff_history_mapper get_conversation_history_wrappers nest_handoff_history "
        "reset_conversation_history_wrappers set_conversation_history_wrappers"
    ),
    "guardrails": (
        "GuardrailFunctionOutput InputGuardrail InputGuardrailResult OutputGuardrail "
        "OutputGuardrailResult input_guardrail output_guardrail"
    ),
    "handoffs": "Handoff HandoffInputData HandoffInputFilter handoff",
    "items": (
        "CompactionItem HandoffCallItem HandoffOutputItem InputItem ItemHelpers "
        "MCPApprovalRequestItem MCPApprovalResponseItem MCPListToolsItem MessageOutputItem "
        "ModelResponse ReasoningItem RunItem TResponseInputItem ToolApprovalItem ToolCallItem "
        "ToolCallOutputItem ToolSearchCallItem ToolSearchOutputItem"
    ),
    "lifecycle": "AgentHooks RunHooks",
    "logger": "enable_verbose_stdout_logging",
    "model_settings": "ModelRetryBackoffSettings ModelRetrySettings ModelSettings TimeLimits",
    "models.base": "Model ModelProvider ModelTracing",
    "models.chat_completions.model": "OpenAIChatCompletionsModel",
    "models.gate.gate": "Gate shared_gate",
    "models.local.model": "local_model",
    "models.provider": (
        "MultiProvider OpenAIProvider set_default_openai_api set_default_openai_client "
        "set_default_openai_key"
    ),
    "models.responses.model": "OpenAIResponsesModel",
    "models.retry.attempts": (
        "ModelRetryAdvice ModelRetryAdviceRequest ModelRetryNormalizedError RetryDecision "
        "RetryPolicy RetryPolicyContext retry_policies"
    ),
    "notebook.chat.chat": "Chat chat",
    "notebook.magic.magic": "load_ipython_extension unload_ipython_extension",
    "notebook.show": "show",
    "prompts": "DynamicPromptFunction GenerateDynamicPromptData Prompt",
    "recordings.recorded_model": "RecordedModel",
    "recordings.recorded_run": "RecordedRun load_run",
    "recordings.recording": "recording",
    "repl": "run_demo_loop",
    "rows.compare": "Comparison",
    "rows.estimate": "Estimate estimate",
    "rows.frame_run": "FrameRun",
    "rows.limits": "Limits",
    "rows.map": "map_frame",
    "rows.result": "RowError RowResult",
    "run.result": "RunResult",
    "run.runner": "Runner",
    "run.running": "runs",
    "run.state.run_state": "RunState",
    "run.streamed_result": "RunResultStreaming",
    "run_config": (
        "CallModelData ModelInputData OutputGuardrailBlockedMessageArgs "
        "OutputGuardrailBlockedMessageFormatter ReasoningItemIdPolicy RunConfig RunErrorData "
        "RunErrorHandler RunErrorHandlerInput RunErrorHandlerResult RunErrorHandlers "
        "ToolErrorFormatter ToolErrorFormatterArgs ToolExecutionConfig ToolNameCollisionPolicy "
        "ToolNotFoundBehavior"
    ),
    "run_context": "AgentHookContext RunContextWrapper TContext",
    "sessions": (
        "OpenAIConversationsSession OpenAIResponsesCompactionArgs "
        "OpenAIResponsesCompactionAwareSession OpenAIResponsesCompactionSession SQLiteSession "
        "Session SessionABC SessionSettings is_openai_responses_compaction_aware_session"
    ),
    "stream_events": (
        "AgentUpdatedStreamEvent RawResponsesStreamEvent RunItemStreamEvent StreamEvent"
    ),
    "tool_context": "AgentToolInvocation",
    "tool_guardrails": (
        "ToolGuardrailFunctionOutput ToolInputGuardrail ToolInputGuardrailData "
        "ToolInputGuardrailResult ToolOutputGuardrail ToolOutputGuardrailData "
        "ToolOutputGuardrailResult tool_input_guardrail tool_output_guardrail"
    ),
    "tools.computers": "dispose_resolved_computers resolve_computer",
    "tools.function_tool": (
        "FunctionTool FunctionToolCustomDataContext FunctionToolCustomDataExtractor "
        "FunctionToolResult Tool ToolCaller default_tool_error_function function_tool"
    ),
    "tools.hosted": (
        "AsyncComputer Button CodeInterpreterTool Computer ComputerProvider ComputerTool "
        "ComputerToolCustomDataContext ComputerToolCustomDataExtractor "
        "ComputerToolSafetyCheckData Environment FileSearchTool HostedMCPTool "
        "ImageGenerationTool ImageGenerationToolConfig LocalShellCommandRequest "
        "LocalShellExecutor LocalShellTool MCPToolApprovalFunction "
        "MCPToolApprovalFunctionResult MCPToolApprovalRequest ToolSearchTool WebSearchTool "
        "WebSearchToolImageSettings"
    ),
    "tools.namespace": "tool_namespace",
    "tools.origin": "ToolOrigin ToolOriginType",
    "tools.output": (
        "ToolOutputFileContent ToolOutputFileContentDict ToolOutputImage ToolOutputImageDict "
        "ToolOutputText ToolOutputTextDict"
    ),
    "tracing": (
        "AgentSpanData CustomSpanData FunctionSpanData GenerationSpanData GuardrailSpanData "
        "HandoffSpanData MCPListToolsSpanData ResponseSpanData Span SpanData SpanError "
        "SpeechGroupSpanData SpeechSpanData TaskSpanData Trace TracingProcessor "
        "TranscriptionSpanData TurnSpanData add_trace_processor agent_span custom_span "
        "flush_traces function_span gen_span_id gen_trace_id generation_span get_current_span "
        "get_current_trace guardrail_span handoff_span mcp_tools_span response_span "
        "set_trace_processors set_tracing_disabled set_tracing_export_api_key speech_group_span "
        "speech_span task_span trace transcription_span turn_span"
    ),
    "usage": "Usage",
}

LAZY_IMPORTS: Final = {name: path for path, names in _NAMES.items() for name in names.split()}
"""The module of each public name."""


class Package(ModuleType):
    """The package, whose names are imported when they are first asked for."""

    def __getattr__(self, name: str) -> Any:
        """A public name or a submodule, imported now.

        Raises
        ------
        AttributeError
            There is no such name.
        ImportError
            The name is one of the SDK's that is left to the SDK.
        """
        module_path = LAZY_IMPORTS.get(name)
        if module_path is not None:
            value = getattr(importlib.import_module(f"{self.__name__}.{module_path}"), name)
            setattr(self, name, value)
            return value
        module = f"{self.__name__}.{name}"
        is_private = name.startswith("_") or _unsupported.is_left_out(name)
        if not is_private and importlib.util.find_spec(module) is not None:
            # Programs that import the package alone find its modules, too: `agentstream.items`.
            return importlib.import_module(module)
        if _unsupported.is_left_out(name):
            return _unsupported.__getattr__(name)
        hint = "" if name.startswith("_") else suggest(name, LAZY_IMPORTS)
        text = f"module {self.__name__!r} has no attribute {name!r}.{hint}"
        raise AttributeError(text, name=None, obj=None)

    def __setattr__(self, name: str, value: Any) -> None:
        # `trace` and `recording` are functions and modules: to import the module would otherwise
        # put it in the function's place.
        if name not in LAZY_IMPORTS or not isinstance(value, ModuleType):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *LAZY_IMPORTS})


set_run_starter(lambda: importlib.import_module(__name__.rpartition(".")[0]).Runner)
