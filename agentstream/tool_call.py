"""One call of a function tool: the arguments checked, the function run, its failure answered."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import TypeAdapter, ValidationError

from .errors import ModelBehaviorError, ToolTimeoutError
from .function_schema import FuncSchema
from .run_context import RunContextWrapper

if TYPE_CHECKING:
    from .tool_context import ToolContext
    from .tools import FunctionTool

ToolErrorFunction: TypeAlias = Callable[[RunContextWrapper[Any], Exception], Awaitable[str] | str]
"""Makes the model's answer from a tool's error."""


def default_tool_error_function(ctx: RunContextWrapper[Any], error: Exception) -> str:
    """What the model is told of a tool's error: that it failed, not how.

    The error may hold what the model must not see. To tell it more, give a tool a
    `failure_error_function` of your own.
    """
    return "An error occurred while running the tool. Please try again."


def default_tool_timeout_error_message(*, tool_name: str, timeout_seconds: float) -> str:
    """What the model is told of a tool that took too long."""
    return f"Tool '{tool_name}' timed out after {timeout_seconds:g} seconds."


class ToolFailure(str):
    """The answer for a failed call: text, whatever output the tool declares."""

    __slots__ = ()


@dataclass
class FunctionInvoker:
    """`FunctionTool.on_invoke_tool` of a Python function."""

    func: Callable[..., Any]
    schema: FuncSchema
    failure_error_function: ToolErrorFunction | None
    output_adapter: TypeAdapter[Any] | None

    async def __call__(self, ctx: ToolContext[Any], arguments: str) -> Any:
        """Call the function; an error becomes the answer that its author chose."""
        try:
            return await _not_cancelled(self.call(ctx, arguments))
        except Exception as error:
            if self.failure_error_function is None:
                raise
            answer = await _answer(self.failure_error_function, ctx, error)
            if answer is None:  # nothing to tell the model
                raise
            return ToolFailure(answer) if isinstance(answer, str) else answer

    async def call(self, ctx: ToolContext[Any], arguments: str) -> Any:
        """Call the function with the model's arguments; errors are raised."""
        name = getattr(ctx, "tool_name", None) or self.schema.name
        positional, keywords = self.schema.to_call_args(self.parse(name, arguments))
        if self.schema.takes_context:
            positional.insert(0, ctx)
        if is_async(self.func):
            output = await self.func(*positional, **keywords)
        else:
            # to_thread copies the context variables.
            output = await asyncio.to_thread(_call_sync, self.func, positional, keywords)
            if inspect.isawaitable(output):
                output = await output
        if self.output_adapter is not None:
            output = self.output_adapter.validate_python(output)
        return output

    def parse(self, name: str, arguments: str) -> Any:
        """The model's arguments, checked."""
        try:
            # No arguments at all: some models send an empty text for a tool without parameters.
            return self.schema.params_pydantic_model.model_validate_json(arguments or "{}")
        except ValidationError as error:
            what = "; ".join(
                f"{'.'.join(str(part) for part in e['loc']) or 'arguments'}: {e['msg']}"
                for e in error.errors(include_url=False, include_input=False)
            )
            raise ModelBehaviorError(f"Invalid JSON input for tool {name}: {what}") from error


def is_async(func: Callable[..., Any]) -> bool:
    """Whether the function, or the callable object, is async."""
    return inspect.iscoroutinefunction(func) or inspect.iscoroutinefunction(type(func).__call__)


def _call_sync(func: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> Any:
    try:
        return func(*args, **kwargs)
    except StopIteration as error:
        # A future cannot carry it (the call would never return), as in PEP 479.
        raise RuntimeError(f"The tool raised StopIteration({error.value!r})") from error


class _CancelledInside(RuntimeError):
    """A function raised CancelledError, and nobody had cancelled its call."""


async def _not_cancelled(call: Awaitable[Any]) -> Any:
    """Await a call; a CancelledError of the function's own is a failure like any other.

    Raised on, it would look as if somebody had cancelled the run.
    """
    try:
        return await call
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise _CancelledInside(f"The tool raised CancelledError({error})") from error


async def _answer(
    function: ToolErrorFunction, ctx: RunContextWrapper[Any], error: Exception
) -> Any:
    answer = function(ctx, error)
    return await answer if inspect.isawaitable(answer) else answer


async def _invoke(tool: FunctionTool, context: ToolContext[Any], arguments: str) -> Any:
    try:
        return await _not_cancelled(tool.on_invoke_tool(context, arguments))
    except _CancelledInside as error:
        if isinstance(tool.on_invoke_tool, FunctionInvoker):
            raise  # its author wants errors raised
        return ToolFailure(default_tool_error_function(context, error))


async def invoke_function_tool(
    function_tool: FunctionTool, context: ToolContext[Any], arguments: str
) -> Any:
    """Call a tool, within its timeout.

    Parameters
    ----------
    function_tool : FunctionTool
        The tool.
    context : ToolContext
        The context of this call.
    arguments : str
        The model's arguments, as JSON text.

    Raises
    ------
    ToolTimeoutError
        The tool took too long, and its `timeout_behavior` is ``"raise_exception"``.

    Notes
    -----
    The tool is cancelled at its timeout and may clean up; what it returns then is its output.
    """
    seconds = function_tool.timeout_seconds
    if seconds is None:
        return await _invoke(function_tool, context, arguments)
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await _invoke(function_tool, context, arguments)
    except TimeoutError as error:
        if not limit.expired():
            raise  # the tool's own
        late = ToolTimeoutError(function_tool.name, seconds)
        if function_tool.timeout_behavior == "raise_exception":
            raise late from error
    if function_tool.timeout_error_function is None:
        message = default_tool_timeout_error_message(
            tool_name=function_tool.name, timeout_seconds=seconds
        )
        return ToolFailure(message)
    answer = await _answer(function_tool.timeout_error_function, context, late)
    return ToolFailure(answer) if isinstance(answer, str) else answer
