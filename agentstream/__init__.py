"""agentstream: watch agents think, in your notebook.

A public name is imported when it is first used: `homes` says from where.
"""

import sys
from typing import TYPE_CHECKING

from . import homes

if TYPE_CHECKING:
    from .agent import (
        Agent,
        AgentBase,
        AgentToolStreamEvent,
        MCPConfig,
        StopAtTools,
        ToolsToFinalOutputFunction,
        ToolsToFinalOutputResult,
    )
    from .agent_output import (
        AgentOutputSchema,
        AgentOutputSchemaBase,
    )
    from .computers import (
        dispose_resolved_computers,
        resolve_computer,
    )
    from .errors import (
        AgentsException,
        AnswerTooLargeError,
        InputGuardrailTripwireTriggered,
        MaxTurnsExceeded,
        MCPToolCancellationError,
        ModelBehaviorError,
        ModelRefusalError,
        ModelStalledError,
        ModelStreamError,
        ModelTimeoutError,
        OutputGuardrailTripwireTriggered,
        RecordingError,
        RedirectError,
        RunErrorDetails,
        RunTimeoutError,
        ToolInputGuardrailTripwireTriggered,
        ToolOutputGuardrailTripwireTriggered,
        ToolTimeoutError,
        UserError,
    )
    from .events import (
        AgentUpdatedStreamEvent,
        RawResponsesStreamEvent,
        RunItemStreamEvent,
        StreamEvent,
    )
    from .extensions.handoff_history import (
        default_handoff_history_mapper,
        get_conversation_history_wrappers,
        nest_handoff_history,
        reset_conversation_history_wrappers,
        set_conversation_history_wrappers,
    )
    from .guardrails import (
        GuardrailFunctionOutput,
        InputGuardrail,
        InputGuardrailResult,
        OutputGuardrail,
        OutputGuardrailResult,
        ToolGuardrailFunctionOutput,
        ToolInputGuardrail,
        ToolInputGuardrailData,
        ToolInputGuardrailResult,
        ToolOutputGuardrail,
        ToolOutputGuardrailData,
        ToolOutputGuardrailResult,
        input_guardrail,
        output_guardrail,
        tool_input_guardrail,
        tool_output_guardrail,
    )
    from .handoffs import (
        Handoff,
        HandoffInputData,
        HandoffInputFilter,
        handoff,
    )
    from .hosted_tools import (
        AsyncComputer,
        CodeInterpreterTool,
        Computer,
        ComputerProvider,
        ComputerTool,
        ComputerToolCustomDataContext,
        ComputerToolCustomDataExtractor,
        ComputerToolSafetyCheckData,
        FileSearchTool,
        HostedMCPTool,
        ImageGenerationTool,
        LocalShellCommandRequest,
        LocalShellExecutor,
        LocalShellTool,
        MCPToolApprovalFunction,
        MCPToolApprovalFunctionResult,
        MCPToolApprovalRequest,
        Tool,
        ToolSearchTool,
        WebSearchTool,
    )
    from .items import (
        CompactionItem,
        HandoffCallItem,
        HandoffOutputItem,
        InputItem,
        ItemHelpers,
        MCPApprovalRequestItem,
        MCPApprovalResponseItem,
        MCPListToolsItem,
        MessageOutputItem,
        ModelResponse,
        ReasoningItem,
        RunItem,
        ToolApprovalItem,
        ToolCallItem,
        ToolCallOutputItem,
        ToolSearchCallItem,
        ToolSearchOutputItem,
        TResponseInputItem,
    )
    from .limits import (
        TimeLimits,
    )
    from .model_settings import (
        ModelRetryBackoffSettings,
        ModelRetrySettings,
        ModelSettings,
    )
    from .models.base import (
        Model,
        ModelProvider,
        ModelTracing,
    )
    from .models.chat import (
        OpenAIChatCompletionsModel,
    )
    from .models.provider import (
        MultiProvider,
        OpenAIProvider,
        set_default_openai_api,
        set_default_openai_client,
        set_default_openai_key,
    )
    from .models.recorded.model import (
        RecordedModel,
    )
    from .models.responses import (
        OpenAIResponsesModel,
    )
    from .models.retry import (
        ModelRetryAdvice,
        ModelRetryAdviceRequest,
        ModelRetryNormalizedError,
        RetryDecision,
        RetryPolicy,
        RetryPolicyContext,
        retry_policies,
    )
    from .notebook.chat import (
        Chat,
        chat,
    )
    from .notebook.magic import (
        load_ipython_extension,
        unload_ipython_extension,
    )
    from .notebook.show import (
        show,
    )
    from .prompts import (
        DynamicPromptFunction,
        GenerateDynamicPromptData,
        Prompt,
    )
    from .recorded_run import (
        RecordedRun,
        load_run,
    )
    from .recording import (
        recording,
    )
    from .run.config import (
        CallModelData,
        ModelInputData,
        RunConfig,
        RunErrorData,
        RunErrorHandlerInput,
        RunErrorHandlerResult,
        RunErrorHandlers,
        ToolErrorFormatter,
        ToolErrorFormatterArgs,
        ToolExecutionConfig,
    )
    from .run.hooks import (
        AgentHooks,
        RunHooks,
    )
    from .run.repl import (
        run_demo_loop,
    )
    from .run.result import (
        RunResult,
        RunResultStreaming,
    )
    from .run.runner import (
        Runner,
    )
    from .run.running import (
        runs,
    )
    from .run.state import (
        RunState,
    )
    from .run_context import (
        AgentHookContext,
        RunContextWrapper,
        TContext,
    )
    from .sessions import (
        OpenAIConversationsSession,
        Session,
        SessionABC,
        SessionSettings,
        SQLiteSession,
    )
    from .tool_output import (
        ToolOutputFileContent,
        ToolOutputFileContentDict,
        ToolOutputImage,
        ToolOutputImageDict,
        ToolOutputText,
        ToolOutputTextDict,
    )
    from .tools import (
        FunctionTool,
        FunctionToolResult,
        default_tool_error_function,
        function_tool,
        tool_namespace,
    )
    from .tracing import (
        enable_verbose_stdout_logging,
        set_tracing_disabled,
        trace,
    )
    from .usage import (
        Usage,
    )

__version__ = "0.1.0"

__all__ = [
    "Agent",
    "AgentBase",
    "AgentHookContext",
    "AgentHooks",
    "AgentOutputSchema",
    "AgentOutputSchemaBase",
    "AgentToolStreamEvent",
    "AgentUpdatedStreamEvent",
    "AgentsException",
    "AnswerTooLargeError",
    "AsyncComputer",
    "CallModelData",
    "Chat",
    "CodeInterpreterTool",
    "CompactionItem",
    "Computer",
    "ComputerProvider",
    "ComputerTool",
    "ComputerToolCustomDataContext",
    "ComputerToolCustomDataExtractor",
    "ComputerToolSafetyCheckData",
    "DynamicPromptFunction",
    "FileSearchTool",
    "FunctionTool",
    "FunctionToolResult",
    "GenerateDynamicPromptData",
    "GuardrailFunctionOutput",
    "Handoff",
    "HandoffCallItem",
    "HandoffInputData",
    "HandoffInputFilter",
    "HandoffOutputItem",
    "HostedMCPTool",
    "ImageGenerationTool",
    "InputGuardrail",
    "InputGuardrailResult",
    "InputGuardrailTripwireTriggered",
    "InputItem",
    "ItemHelpers",
    "LocalShellCommandRequest",
    "LocalShellExecutor",
    "LocalShellTool",
    "MCPApprovalRequestItem",
    "MCPApprovalResponseItem",
    "MCPConfig",
    "MCPListToolsItem",
    "MCPToolApprovalFunction",
    "MCPToolApprovalFunctionResult",
    "MCPToolApprovalRequest",
    "MCPToolCancellationError",
    "MaxTurnsExceeded",
    "MessageOutputItem",
    "Model",
    "ModelBehaviorError",
    "ModelInputData",
    "ModelProvider",
    "ModelRefusalError",
    "ModelResponse",
    "ModelRetryAdvice",
    "ModelRetryAdviceRequest",
    "ModelRetryBackoffSettings",
    "ModelRetryNormalizedError",
    "ModelRetrySettings",
    "ModelSettings",
    "ModelStalledError",
    "ModelStreamError",
    "ModelTimeoutError",
    "ModelTracing",
    "MultiProvider",
    "OpenAIChatCompletionsModel",
    "OpenAIConversationsSession",
    "OpenAIProvider",
    "OpenAIResponsesModel",
    "OutputGuardrail",
    "OutputGuardrailResult",
    "OutputGuardrailTripwireTriggered",
    "Prompt",
    "RawResponsesStreamEvent",
    "ReasoningItem",
    "RecordedModel",
    "RecordedRun",
    "RecordingError",
    "RedirectError",
    "RetryDecision",
    "RetryPolicy",
    "RetryPolicyContext",
    "RunConfig",
    "RunContextWrapper",
    "RunErrorData",
    "RunErrorDetails",
    "RunErrorHandlerInput",
    "RunErrorHandlerResult",
    "RunErrorHandlers",
    "RunHooks",
    "RunItem",
    "RunItemStreamEvent",
    "RunResult",
    "RunResultStreaming",
    "RunState",
    "RunTimeoutError",
    "Runner",
    "SQLiteSession",
    "Session",
    "SessionABC",
    "SessionSettings",
    "StopAtTools",
    "StreamEvent",
    "TContext",
    "TResponseInputItem",
    "TimeLimits",
    "Tool",
    "ToolApprovalItem",
    "ToolCallItem",
    "ToolCallOutputItem",
    "ToolErrorFormatter",
    "ToolErrorFormatterArgs",
    "ToolExecutionConfig",
    "ToolGuardrailFunctionOutput",
    "ToolInputGuardrail",
    "ToolInputGuardrailData",
    "ToolInputGuardrailResult",
    "ToolInputGuardrailTripwireTriggered",
    "ToolOutputFileContent",
    "ToolOutputFileContentDict",
    "ToolOutputGuardrail",
    "ToolOutputGuardrailData",
    "ToolOutputGuardrailResult",
    "ToolOutputGuardrailTripwireTriggered",
    "ToolOutputImage",
    "ToolOutputImageDict",
    "ToolOutputText",
    "ToolOutputTextDict",
    "ToolSearchCallItem",
    "ToolSearchOutputItem",
    "ToolSearchTool",
    "ToolTimeoutError",
    "ToolsToFinalOutputFunction",
    "ToolsToFinalOutputResult",
    "Usage",
    "UserError",
    "WebSearchTool",
    "__version__",
    "chat",
    "default_handoff_history_mapper",
    "default_tool_error_function",
    "dispose_resolved_computers",
    "enable_verbose_stdout_logging",
    "function_tool",
    "get_conversation_history_wrappers",
    "handoff",
    "input_guardrail",
    "load_ipython_extension",
    "load_run",
    "nest_handoff_history",
    "output_guardrail",
    "recording",
    "reset_conversation_history_wrappers",
    "resolve_computer",
    "retry_policies",
    "run_demo_loop",
    "runs",
    "set_conversation_history_wrappers",
    "set_default_openai_api",
    "set_default_openai_client",
    "set_default_openai_key",
    "set_tracing_disabled",
    "show",
    "tool_input_guardrail",
    "tool_namespace",
    "tool_output_guardrail",
    "trace",
    "unload_ipython_extension",
]

sys.modules[__name__].__class__ = homes.Package
