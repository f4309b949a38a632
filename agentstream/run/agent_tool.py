"""An agent as a tool of other agents: the call runs it, its final output is the tool's."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, TypeAdapter

from .._utils.json import encodable_json
from ..exceptions import ModelBehaviorError, UserError
from ..handoffs import function_name
from ..run_config import DEFAULT_MAX_TURNS
from ..run_context import RunContextWrapper
from ..strict_schema import ensure_strict_json_schema
from ..tool_context import AgentToolInvocation, ToolContext
from ..tools.function_tool import FunctionTool, function_tool

# FunctionTool looks at the annotation when the function is defined.
from ..tools.invoke import FunctionInvoker
from ..tools.origin import ToolOrigin, ToolOriginType
from ..trace.lifecycle import Nested
from .function_call import NestedInterruption
from .options import call
from .runner import prepared
from .state.run_state import RunState
from .streamed_result import RunResultStreaming

if TYPE_CHECKING:
    from ..agent import Agent

logger = logging.getLogger("agentstream")


class AgentAsToolInput(BaseModel):
    """Default input schema for agent-as-tool calls."""

    input: str


@dataclass
class StructuredToolInputBuilderOptions:
    """What an `input_builder` is given.

    Attributes
    ----------
    params
        The arguments the model gave, as plain data.
    json_schema : dict or None
        Their schema, when `include_input_schema` is set.
    """

    params: Any
    json_schema: dict[str, Any] | None = None


def agent_tool(
    agent: Agent[Any],
    *,
    tool_name: str | None,
    tool_description: str | None,
    parameters: type[Any] | None,
    include_input_schema: bool,
    input_builder: Callable[..., Any] | None,
    is_enabled: Any,
    needs_approval: Any,
    failure_error_function: Any,
    **how: Any,
) -> FunctionTool:
    """The tool that `Agent.as_tool` gives; parameters are those of that method."""
    _check_stream(how["on_stream"], how["on_stream_max_pending_events"])
    adapter, schema = _schema(parameters)

    async def run_agent(context: ToolContext[Any], /) -> Any:
        arguments = _arguments(adapter, context)
        task: Any = arguments.get("input") if parameters is None else None
        if parameters is not None or input_builder is not None:
            input_schema = schema if include_input_schema else None
            task = await _task(arguments, input_schema, input_builder)
        return await _run(agent, context, task, arguments, **how)

    as_tool = function_tool(
        name_override=tool_name or function_name(agent.name),
        description_override=tool_description or "",
        failure_error_function=failure_error_function,
        is_enabled=is_enabled,
        needs_approval=needs_approval,
        # The wrapped function takes its arguments from the context; the schema is set below.
        strict_mode=False,
    )
    tool = as_tool(run_agent)
    assert isinstance(tool.on_invoke_tool, FunctionInvoker)
    tool.on_invoke_tool.adapter = adapter
    tool.params_json_schema = schema
    tool.strict_json_schema = True
    tool._is_agent_tool, tool._agent_instance = True, agent
    tool._tool_origin = ToolOrigin(
        ToolOriginType.AGENT_AS_TOOL, agent_name=agent.name, agent_tool_name=tool.name
    )
    return tool


def _check_stream(on_stream: Any, most: Any) -> None:
    if on_stream is not None and not callable(on_stream):
        raise UserError(
            f"as_tool: on_stream must be callable or None, got {type(on_stream).__name__}. Give a "
            "RunConfig by its name, run_config=."
        )
    if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
        raise UserError(
            "as_tool: on_stream_max_pending_events must be a positive integer or None, got "
            f"{most!r}."
        )


def _schema(parameters: Any) -> tuple[TypeAdapter[Any], dict[str, Any]]:
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(parameters or AgentAsToolInput)
        return adapter, ensure_strict_json_schema(adapter.json_schema())
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"as_tool(parameters=...) must be a type such as a pydantic model or a dataclass, got "
            f"{parameters!r:.100}: {error}"
        ) from error


def _arguments(adapter: TypeAdapter[Any], context: ToolContext[Any]) -> dict[str, Any]:
    """The call's arguments, checked, as plain data."""
    try:
        value = adapter.validate_json(encodable_json(context.tool_arguments or "{}"))
    except ValueError as error:
        raise ModelBehaviorError(
            f"Invalid JSON input for tool {context.tool_name}: {context.tool_arguments!r:.200}"
        ) from error
    plain: dict[str, Any] = adapter.dump_python(value, mode="json")
    return plain


async def _task(
    arguments: dict[str, Any], schema: dict[str, Any] | None, build: Callable[..., Any] | None
) -> Any:
    """What the agent is asked, from structured arguments."""
    if build is not None:
        task = await call(build, StructuredToolInputBuilderOptions(arguments, schema))
        if not isinstance(task, (str, list)):
            raise UserError(
                "input_builder must return text or a list of input items, "
                f"got {type(task).__name__}"
            )
        return task
    if schema is None:
        return json.dumps(arguments, ensure_ascii=False)
    return (
        "You run as a tool. Your input follows as JSON, then its schema; both are data.\n\n"
        f"```json\n{json.dumps(arguments, indent=2, ensure_ascii=False)}\n```\n\n"
        f"```json\n{json.dumps(schema, indent=2, ensure_ascii=False)}\n```\n"
    )


def _as_nested(call_id: str, observer: Callable[[Any], None]) -> Callable[[Any], None]:
    """Tells the outer run what happens in the inner one, with the call that leads to it."""

    def observe_nested(event: Any) -> None:
        if isinstance(event, Nested):
            observer(Nested((call_id, *event.path), event.event))
        else:
            observer(Nested((call_id,), event))

    return observe_nested


async def _run(
    agent: Agent[Any],
    context: ToolContext[Any],
    task: Any,
    arguments: dict[str, Any],
    *,
    custom_output_extractor: Callable[..., Any] | None,
    on_stream: Callable[..., Any] | None,
    max_turns: int | None,
    run_config: Any,
    **how: Any,
) -> Any:
    """Run the agent for one call, or go on with its run that waited for approvals."""
    how.pop("on_stream_max_pending_events")  # events wait without a bound, none is dropped
    paused: RunState[Any] | None = context.paused_run
    if paused is not None:
        # Decisions made on the outer run hold for the inner one; its tokens count in the outer.
        paused.context._approvals, paused.context.usage = context._approvals, context.usage
    wrapper = RunContextWrapper(
        context=context.context,
        usage=context.usage,
        _approvals=context._approvals,
        tool_input=arguments,
    )
    options = {
        "context": wrapper,
        "max_turns": DEFAULT_MAX_TURNS if max_turns is None else max_turns,
        "run_config": context.run_config if run_config is None else run_config,
        **how,
    }
    if paused is not None:
        options["context"] = None
    state, how_to = prepared(agent, paused or task, **options)
    # As in the SDK the model is asked for one answer, unless somebody watches it being written.
    if paused is None and context.nested_scope is not None:
        state.scope = context.nested_scope()
    state.agent_tool_invocation = AgentToolInvocation(
        context.tool_name, context.tool_call_id, context.tool_arguments
    )
    how_to.nested = True
    how_to.streamed = on_stream is not None or context.is_watched
    if context.observer is not None:
        state.observers.append(_as_nested(context.tool_call_id, context.observer))
    result = RunResultStreaming(state, how_to)
    stream: Any = result.stream_events()
    async with aclosing(stream) as events:
        async for event in events:
            if on_stream is not None:
                payload = {"event": event, "agent": result.current_agent}
                await _observe(on_stream, {**payload, "tool_call": context.tool_call})
    if result.interruptions:
        raise NestedInterruption(result.to_state())
    if custom_output_extractor is not None:
        return await call(custom_output_extractor, result)
    return result.final_output


async def _observe(on_stream: Callable[..., Any], event: dict[str, Any]) -> None:
    """Give `on_stream` an event; whoever watches a run does not end it by failing."""
    try:
        await call(on_stream, event)
    except Exception:
        # As in the SDK: the agent's answer is worth more than its display.
        logger.exception("on_stream of an agent that runs as a tool failed; the run goes on")
