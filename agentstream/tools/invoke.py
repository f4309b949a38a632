"""One call of a function tool: the arguments checked, the function run, its failure answered."""

from __future__ import annotations

import asyncio
import inspect
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from pydantic import TypeAdapter, ValidationError

from .._utils.json import encodable_json
from .._utils.redaction import redact
from .._utils.tracebacks import user_frames
from ..exceptions import AgentsException, ModelBehaviorError, ToolTimeoutError
from ..run_context import RunContextWrapper
from .function_schema import FuncSchema
from .output import MAX_CHARACTERS, RAISE_IT
from .worker_thread import BoundedOutput, collect, in_thread

if TYPE_CHECKING:
    from ..tool_context import ToolContext

ToolErrorFunction: TypeAlias = Callable[[RunContextWrapper[Any], Exception], Awaitable[str] | str]
"""Makes the model's answer from a tool's error."""


def default_tool_error_function(ctx: RunContextWrapper[Any], error: Exception) -> str:
    """The default message to the model for a failed tool, without the reason.

    Parameters
    ----------
    ctx : RunContextWrapper
        The context of the call.
    error : Exception
        What the tool raised. Its text may contain data that the model must not see; to send it
        anyway, set the tool's `failure_error_function`.

    Returns
    -------
    str

    Examples
    --------
    >>> default_tool_error_function(None, ValueError("secret"))
    'An error occurred while running the tool. Please try again.'
    """
    return "An error occurred while running the tool. Please try again."


def default_tool_timeout_error_message(*, tool_name: str, timeout_seconds: float) -> str:
    """What the model gets for a tool that took too long."""
    return f"Tool '{tool_name}' timed out after {timeout_seconds:g} seconds."


class ToolFailure(str):
    """The answer for a failed call: text, whatever output the tool declares.

    Attributes
    ----------
    why : str
        What went wrong, for those who watch the run; the model may get less.
    error : Exception or None
        What the tool raised, where nobody chose the answer, so that the run may word it.
    traceback : str or None
        The lines of the tool's author that led there.
    """

    why: str
    error: Exception | None = None
    traceback: str | None = None

    def reworded(self, text: str) -> ToolFailure:
        """The same failure, with `text` for the model."""
        failure = ToolFailure(text)
        failure.why, failure.traceback = self.why, self.traceback
        return failure

    @classmethod
    def of(cls, answer: Any, error: Exception, *, by_default: bool = False) -> Any:
        """The answer to a call that `error` ended; what is no text stays what it is."""
        if not isinstance(answer, str):
            return answer
        failure = cls(answer)
        failure.error = error if by_default else None
        frames = user_frames(error)
        failure.traceback = None if frames is None else redact(frames)
        if isinstance(error, (_ToolRaisedExit, AgentsException)):
            failure.why = str(error)
        else:  # Like str(error) with its type, but it never fails.
            failure.why = "".join(traceback.format_exception_only(error)).strip()
        return failure


class FailedContent(list[Any]):
    """The answer for a failed call in content parts, as it has an image.

    Attributes
    ----------
    why : str
        What went wrong, for those who watch the run.
    """

    def __init__(self, parts: list[Any], why: str) -> None:
        super().__init__(parts)
        self.why = why


@dataclass
class FunctionInvoker:
    """`FunctionTool.on_invoke_tool` of a Python function."""

    func: Callable[..., Any]
    schema: FuncSchema
    failure_error_function: ToolErrorFunction | None
    output_adapter: TypeAdapter[Any] | None
    by_default: bool = False
    """Whether the author left `failure_error_function` as it is."""
    adapter: TypeAdapter[Any] | None = None
    """Checks the arguments, where the function takes them from its context."""

    async def __call__(self, ctx: ToolContext[Any], arguments: str) -> Any:
        """Call the function; an error becomes the answer that its author chose."""
        try:
            return await _without_exit(self.call(ctx, arguments))
        except Exception as error:  # noqa: BLE001 - its author says what becomes of it
            return await self.answer(ctx, error)

    async def answer(self, ctx: ToolContext[Any], error: Exception) -> Any:
        """What the model gets for `error`; or `error`, raised, as the author chose."""
        function = self.failure_error_function
        answer = None if function is None else await _answer(function, ctx, error)
        if answer is None:  # nothing to tell the model
            raise error
        return ToolFailure.of(answer, error, by_default=self.by_default)

    async def call(self, ctx: ToolContext[Any], arguments: str) -> Any:
        """Call the function with the model's arguments; errors are raised."""
        name = getattr(ctx, "tool_name", None) or self.schema.name
        positional, keywords = self.schema.to_call_args(self.parse(name, arguments))
        if self.schema.takes_context:
            positional.insert(0, ctx)
        collected = BoundedOutput(_longest_output(ctx))
        if is_async(self.func):
            output = await self.func(*positional, **keywords)
        else:
            output = await in_thread(self.func, positional, keywords, collected)
            if inspect.isawaitable(output):
                output = await output
        if inspect.isasyncgen(output):
            output = await collect(output, collected)
        warn = getattr(ctx, "warning_observer", None)
        if collected.is_full and warn is not None:
            warn(f"gave more than {_longest_output(ctx):,} characters, and was stopped; {RAISE_IT}")
        if self.output_adapter is not None:
            output = self.output_adapter.validate_python(output)
        return output

    def parse(self, name: str, arguments: str) -> Any:
        """The model's arguments, checked."""
        try:
            # No arguments at all: some models send an empty text for a tool without parameters,
            # or blanks.
            return self.schema.params_pydantic_model.model_validate_json(
                encodable_json(arguments.strip() or "{}")
            )
        except ValidationError as error:
            what = "; ".join(
                "expected a JSON object"
                if e["type"] == "model_type"
                else f"{'.'.join(str(part) for part in e['loc']) or 'arguments'}: {e['msg']}"
                for e in error.errors(include_url=False, include_input=False)
            )
            raise ModelBehaviorError(f"Invalid JSON input for tool {name}: {what}") from error


def is_async(func: Callable[..., Any]) -> bool:
    """Whether the function, or the callable object, is async."""
    return inspect.iscoroutinefunction(func) or inspect.iscoroutinefunction(type(func).__call__)


def _longest_output(ctx: Any) -> int | None:
    """How many characters of an output the run of `ctx` tells its model."""
    execution = getattr(getattr(ctx, "run_config", None), "tool_execution", None)
    return getattr(execution, "max_output_characters", MAX_CHARACTERS)


class _ToolRaisedExit(RuntimeError):
    """A function raised what ends a task or the program, and nobody had ended its call."""


async def _without_exit(call: Awaitable[Any]) -> Any:
    """Await a call; a CancelledError or SystemExit of the function's own is a mere failure.

    Raised on, the one would look as if somebody had cancelled the run; the other would end the
    event loop, in a notebook the kernel. Argument parsers call ``sys.exit``.
    """
    try:
        return await call
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise _ToolRaisedExit(f"The tool raised CancelledError({error})") from error
    except SystemExit as error:
        raise _ToolRaisedExit(f"The tool raised SystemExit({error})") from error


async def _answer(
    function: ToolErrorFunction, ctx: RunContextWrapper[Any], error: Exception
) -> Any:
    answer = function(ctx, error)
    return await answer if inspect.isawaitable(answer) else answer


class Callee(Protocol):
    """What of a `FunctionTool` a call of it needs."""

    name: str
    timeout_seconds: float | None
    _is_agent_tool: bool

    @property
    def on_invoke_tool(self) -> Callable[[ToolContext[Any], str], Awaitable[Any]]:
        """Takes the context and the arguments as JSON text."""
        ...

    @property
    def timeout_error_function(self) -> ToolErrorFunction | None:
        """Makes what the model gets when the call takes too long."""
        ...

    @property
    def timeout_behavior(self) -> str:
        """What a call that takes too long does."""
        ...


async def _invoke(tool: Callee, context: ToolContext[Any], arguments: str) -> Any:
    try:
        return await _without_exit(tool.on_invoke_tool(context, arguments))
    except _ToolRaisedExit as error:
        return await failure_answer(tool, context, error)


async def failure_answer(tool: Callee, context: ToolContext[Any], error: Exception) -> Any:
    """What the model gets for an error of a tool, as its author chose; or that error, raised."""
    invoker = tool.on_invoke_tool
    if isinstance(invoker, FunctionInvoker):
        return await invoker.answer(context, error)
    return ToolFailure.of(default_tool_error_function(context, error), error)


def _run_limit(tool: Callee, context: Any) -> float | None:
    """The time that the run allows a tool which has no timeout of its own, in seconds."""
    if tool._is_agent_tool:
        return None  # its run has limits of its own
    limits = getattr(getattr(context, "run_config", None), "limits", None)
    seconds: float | None = getattr(limits, "tool", None)
    return seconds


async def invoke_function_tool(
    function_tool: Callee, context: ToolContext[Any], arguments: str
) -> Any:
    """Call a tool, within its timeout.

    Raises
    ------
    ToolTimeoutError
        The tool took too long, and its `timeout_behavior` is ``"raise_exception"``.

    Notes
    -----
    The tool is cancelled at its timeout and may clean up; what it returns then is its output.
    """
    seconds = function_tool.timeout_seconds or _run_limit(function_tool, context)
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
        return ToolFailure.of(message, late)
    answer = await _answer(function_tool.timeout_error_function, context, late)
    return ToolFailure.of(answer, late)
