"""Function tools: making one, calling it, its failures, timeouts and outputs."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import dataclasses
import functools
import inspect
import json
import sys
import threading
import time
from typing import Any

import pytest
from openai.types.responses import ResponseFunctionToolCall
from pydantic import BaseModel, ValidationError

import agentstream
from agentstream import (
    FunctionTool,
    ItemHelpers,
    ModelBehaviorError,
    RunContextWrapper,
    ToolOutputFileContent,
    ToolOutputImage,
    ToolOutputText,
    ToolTimeoutError,
    UserError,
    WebSearchTool,
    decorators,
    default_tool_error_function,
    function_tool,
    tool_namespace,
)
from agentstream.tool_context import ToolContext
from agentstream.tools.function_tool import invoke_function_tool
from agentstream.tools.output import tool_output_param

FAILED = "An error occurred while running the tool. Please try again."


def context(tool: FunctionTool, arguments: str = "{}") -> ToolContext[Any]:
    """The context of a call of `tool`."""
    return ToolContext(
        context={"who": "me"}, tool_name=tool.name, tool_call_id="c1", tool_arguments=arguments
    )


async def run(tool: FunctionTool, arguments: str | dict[str, Any] = "{}") -> Any:
    """Call `tool` as a run does."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return await asyncio.wait_for(invoke_function_tool(tool, context(tool, text), text), 5)


@function_tool
def add(a: int, b: int = 2) -> int:
    """Add two numbers.

    Args:
        a: The first.
    """
    return a + b


# ---- making a tool


def test_name_description_and_schema_come_from_the_function() -> None:
    assert (add.name, add.description) == ("add", "Add two numbers.")
    assert add.params_json_schema["properties"]["a"]["description"] == "The first."
    assert add.params_json_schema["required"] == ["a", "b"]
    assert add.strict_json_schema


def test_the_decorator_works_with_and_without_arguments_and_as_a_function() -> None:
    def f() -> None:
        """Do it."""

    for tool in (function_tool(f), function_tool()(f), decorators.tool(f)):
        assert isinstance(tool, FunctionTool)
        assert (tool.name, tool.description) == ("f", "Do it.")


def test_name_and_description_can_be_overridden() -> None:
    tool = function_tool(name_override="other", description_override="Other.")(lambda x: x)
    assert (tool.name, tool.description) == ("other", "Other.")
    silent = function_tool(use_docstring_info=False)(hint)
    assert silent.description == ""
    assert "description" not in silent.params_json_schema["properties"]["a"]


def hint(a: int = 1) -> None:
    """A docstring.

    Args:
        a: not read
    """


def test_settings_are_kept() -> None:
    async def f(a: int) -> int:
        return a

    def yes(*_: Any) -> bool:
        return True

    settings: dict[str, Any] = {
        "is_enabled": yes,
        "needs_approval": True,
        "tool_input_guardrails": [],
        "tool_output_guardrails": [],
        "timeout_behavior": "raise_exception",
        "timeout_error_function": default_tool_error_function,
        "defer_loading": True,
        "custom_data_extractor": yes,
        "allowed_callers": ["direct"],
    }
    tool = function_tool(timeout=2, **settings)(f)
    assert {name: getattr(tool, name) for name in settings} == settings
    assert tool.timeout_seconds == 2.0


def test_fields_and_parameters_are_those_of_the_sdk() -> None:
    sdk = pytest.importorskip("agents")
    ours, theirs = (
        {name: p.kind for name, p in inspect.signature(kind).parameters.items()}
        for kind in (FunctionTool, sdk.FunctionTool)
    )
    public = {name: kind for name, kind in theirs.items() if not name.startswith("_")}
    assert {name: kind for name, kind in ours.items() if not name.startswith("_")} == public
    assert list(inspect.signature(function_tool).parameters) == list(
        inspect.signature(sdk.function_tool).parameters
    )


def test_a_strict_schema_is_made_strict_and_the_one_given_is_not_changed() -> None:
    async def call(ctx: ToolContext[Any], arguments: str) -> str:
        return arguments

    given = {"type": "object", "properties": {"a": {"type": "string"}}}
    tool = FunctionTool("t", "d", given, call)
    assert tool.params_json_schema["additionalProperties"] is False
    assert given == {"type": "object", "properties": {"a": {"type": "string"}}}
    assert FunctionTool("t", "d", given, call, False).params_json_schema is given


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"timeout": 0}, ValueError, "greater than 0"),
        ({"timeout": float("nan")}, ValueError, "finite"),
        ({"timeout": "3"}, TypeError, "positive number"),
        ({"timeout": True}, TypeError, "positive number"),
        ({"timeout_behavior": "explode"}, ValueError, "error_as_result, raise_exception"),
        ({"timeout_error_function": 5}, TypeError, "callable"),
        ({"allowed_callers": []}, UserError, "non-empty list"),
        ({"allowed_callers": ["nobody"]}, UserError, "'nobody'"),
        ({"output_type": int}, UserError, "Pydantic"),
        ({"output_type": dict}, UserError, "Pydantic"),
        ({"output_json_schema": {"type": "string"}}, UserError, "object schema"),
        ({"output_type": int, "output_json_schema": {}}, UserError, "cannot both"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_refused_as_the_sdk_refuses_it(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    async def f(a: int) -> int:
        return a

    with pytest.raises(error, match=message):
        function_tool(**options)(f)
    sdk = pytest.importorskip("agents")
    with pytest.raises(Exception, match=message) as theirs:
        sdk.function_tool(**options)(f)
    assert theirs.type.__name__ == error.__name__


@pytest.mark.parametrize(
    ("thing", "way_out"),
    [
        (functools.partial(int, "3"), "wrapper function"),
        (add, "already"),
        (5, "Decorate a function"),
        (classmethod(lambda cls: cls), "instance.method"),
    ],
)
def test_what_is_no_function_is_refused_with_the_way_out(thing: Any, way_out: str) -> None:
    with pytest.raises(UserError, match=way_out):
        function_tool(thing)


def test_a_timeout_needs_an_async_function() -> None:
    with pytest.raises(ValueError, match="only supported for async"):
        function_tool(timeout=1)(lambda: None)


# ---- calling it


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        ('{"a": 1}', 3),
        ('{"a": 1, "b": 5}', 6),
        (' {"a": 1.0} ', 3),
        ('{"a": "7"}', 9),
        ('{"a": 1, "unknown": 2}', 3),
        ('{"a": 1, "a": 5}', 7),
        ('{"a": "x"}', FAILED),
        ('{"a": null}', FAILED),
        ("{", FAILED),
        ("", FAILED),
        ("null", FAILED),
        ("[]", FAILED),
    ],
)
async def test_arguments_are_checked_as_in_the_sdk(arguments: str, output: Any) -> None:
    assert await run(add, arguments) == output
    sdk = pytest.importorskip("agents.tool")
    theirs = sdk.function_tool(add.on_invoke_tool.func)  # type: ignore[attr-defined]
    from agents.tool_context import ToolContext as TheirContext

    ctx = TheirContext(context=None, tool_name="add", tool_call_id="c", tool_arguments=arguments)
    assert await theirs.on_invoke_tool(ctx, arguments) == output


async def test_no_arguments_may_be_an_empty_text() -> None:
    assert await run(function_tool(lambda: "done"), "") == "done"


async def test_a_sync_function_runs_in_a_thread_with_the_context_variables() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")

    @function_tool
    def where() -> tuple[bool, str]:
        return threading.current_thread() is threading.main_thread(), variable.get()

    variable.set("kept")
    assert await run(where) == (False, "kept")


async def test_a_sync_function_does_not_block_the_loop() -> None:
    ready, go = threading.Event(), threading.Event()

    @function_tool
    def wait() -> bool:
        ready.set()
        return go.wait(5)

    call = asyncio.create_task(run(wait))
    while not ready.is_set():
        await asyncio.sleep(0)
    go.set()
    assert await call is True


async def test_an_async_function_runs_on_the_loop() -> None:
    @function_tool
    async def where() -> bool:
        return threading.current_thread() is threading.main_thread()

    assert await run(where) is True


async def test_what_a_sync_function_returns_to_be_awaited_is_awaited() -> None:
    def decorate(f: Any) -> Any:
        @functools.wraps(f)
        def inner(*args: Any, **kwargs: Any) -> Any:
            return f(*args, **kwargs)

        return inner

    @function_tool
    @decorate
    async def late(a: int) -> int:
        return a

    assert await run(late, {"a": 4}) == 4


class Counter:
    """Counts."""

    def __init__(self) -> None:
        self.count = 0

    def by(self, n: int) -> int:
        """Count by n."""
        self.count += n
        return self.count

    async def later(self, n: int) -> int:
        return self.by(n)

    def __call__(self, n: int) -> int:
        """Count when called."""
        return self.by(n)


class AsyncCallable:
    """Async when called."""

    async def __call__(self, n: int) -> int:
        return n


async def test_methods_and_callable_objects_are_tools() -> None:
    counter = Counter()
    assert await run(function_tool(counter.by), {"n": 2}) == 2
    assert await run(function_tool(counter.later), {"n": 2}) == 4
    called = function_tool(counter)
    assert (called.name, called.description) == ("Counter", "Count when called.")
    assert await run(called, {"n": 1}) == 5
    asynchronous = function_tool(timeout=5)(AsyncCallable())
    assert asynchronous.description == "Async when called."
    assert await run(asynchronous, {"n": 1}) == 1


async def test_a_static_method_may_be_decorated_in_its_class() -> None:
    class Holder:
        @function_tool
        @staticmethod
        def static(a: int) -> int:
            return a

    assert await run(Holder.static, {"a": 3}) == 3


async def test_the_first_parameter_receives_the_context() -> None:
    @function_tool
    def who(ctx: RunContextWrapper[dict[str, str]], a: int) -> str:
        return ctx.context["who"] + str(a)

    @function_tool
    async def which(ctx: ToolContext[Any]) -> tuple[str, str, str]:
        return ctx.tool_name, ctx.tool_call_id, ctx.tool_arguments

    assert list(who.params_json_schema["properties"]) == ["a"]
    assert await run(who, {"a": 1}) == "me1"
    assert await run(which) == ("which", "c1", "{}")


async def test_all_kinds_of_parameters_arrive() -> None:
    @function_tool(strict_mode=False)
    def every(ctx: RunContextWrapper[Any], a: int, /, b: int = 2, *c: int, d: int = 4, **e: int):  # type: ignore[no-untyped-def]
        return a, b, c, d, e

    arguments = {"a": 1, "c": [5, 6], "e": {"f": 7, "a": 8}}
    assert await run(every, arguments) == (1, 2, (5, 6), 4, {"f": 7, "a": 8})
    assert await run(every, {"a": 1}) == (1, 2, (), 4, {})


async def test_arguments_are_the_types_that_the_function_declares() -> None:
    class City(BaseModel):
        name: str

    @function_tool
    def names(cities: list[City]) -> list[str]:
        assert all(isinstance(city, City) for city in cities)
        return [city.name for city in cities]

    assert await run(names, {"cities": [{"name": "Lisbon"}]}) == ["Lisbon"]


async def test_a_copy_of_a_tool_works_and_has_its_own_name() -> None:
    assert await run(copy.copy(add), {"a": 1}) == 3
    other = dataclasses.replace(add, name="other")
    assert (other.name, await run(other, {"a": 1})) == ("other", 3)


# ---- failures


def boom() -> None:
    raise ValueError("boom")


async def test_a_failure_is_an_answer_that_keeps_the_error_from_the_model() -> None:
    assert await run(function_tool(boom)) == FAILED
    sdk = pytest.importorskip("agents")
    error = ValueError("boom")
    ours = default_tool_error_function(context(add), error)
    assert ours == sdk.default_tool_error_function(None, error)


async def test_a_failure_function_makes_the_answer_sync_or_async() -> None:
    seen = []

    def sync(ctx: RunContextWrapper[Any], error: Exception) -> str:
        seen.append((ctx, error))
        return f"sync {error}"

    async def asynchronous(ctx: RunContextWrapper[Any], error: Exception) -> str:
        return f"async {error}"

    assert await run(function_tool(failure_error_function=sync)(boom)) == "sync boom"
    assert await run(function_tool(failure_error_function=asynchronous)(boom)) == "async boom"
    [(ctx, error)] = seen
    assert isinstance(ctx, ToolContext)
    assert isinstance(error, ValueError)


async def test_without_a_failure_function_the_error_is_raised() -> None:
    with pytest.raises(ValueError, match="boom"):
        await run(function_tool(failure_error_function=None)(boom))


async def test_invalid_arguments_are_the_models_error_and_say_what_is_wrong() -> None:
    tool = function_tool(failure_error_function=None)(add.on_invoke_tool.func)  # type: ignore[attr-defined]
    with pytest.raises(ModelBehaviorError, match=r"^Invalid JSON input for tool add: a: "):
        await run(tool, {"a": "x"})
    with pytest.raises(ModelBehaviorError, match="^Invalid JSON input for tool add: .*EOF"):
        await run(tool, "{")

    def tell(ctx: Any, error: Exception) -> str:
        return f"{type(error).__name__}: {error}"

    told = function_tool(failure_error_function=tell)(lambda a: a)
    assert (await run(told, "{")).startswith("ModelBehaviorError: Invalid JSON input")


async def test_an_error_of_the_failure_function_is_raised() -> None:
    def fail(ctx: Any, error: Exception) -> str:
        raise RuntimeError("handler")

    with pytest.raises(RuntimeError, match="handler"):
        await run(function_tool(failure_error_function=fail)(boom))


async def test_stop_iteration_in_a_thread_is_a_failure_and_no_hang() -> None:
    def stop() -> None:
        raise StopIteration("here")

    assert await run(function_tool(stop)) == FAILED
    with pytest.raises(RuntimeError, match="StopIteration"):
        await run(function_tool(failure_error_function=None)(stop))


async def test_a_failure_function_that_says_nothing_leaves_the_error() -> None:
    with pytest.raises(ValueError, match="boom"):
        await run(function_tool(failure_error_function=lambda ctx, error: None)(boom))  # type: ignore[arg-type, return-value]


async def cancelled_inside() -> None:
    """A function that awaits what somebody else cancelled."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.cancel("by somebody")
    await future


async def test_a_cancelled_error_of_the_functions_own_is_a_failure() -> None:
    assert await run(function_tool(cancelled_inside)) == FAILED
    assert await run(function_tool(timeout=5)(cancelled_inside)) == FAILED
    with pytest.raises(RuntimeError, match=r"CancelledError\(by somebody\)"):
        await run(function_tool(failure_error_function=None)(cancelled_inside))

    async def call(ctx: ToolContext[Any], arguments: str) -> None:
        await cancelled_inside()

    assert await run(FunctionTool("t", "d", {}, call)) == FAILED


async def test_an_interrupt_is_no_failure() -> None:
    async def interrupted() -> None:
        raise KeyboardInterrupt

    tool = function_tool(interrupted)
    with pytest.raises(KeyboardInterrupt):
        await tool.on_invoke_tool(context(tool), "{}")


async def test_a_function_that_would_end_the_program_has_failed() -> None:
    async def leave() -> None:
        sys.exit("wrong arguments")

    assert await run(function_tool(leave)) == FAILED
    with pytest.raises(RuntimeError, match=r"SystemExit\(wrong arguments\)"):
        await run(function_tool(failure_error_function=None)(leave))


async def test_cancelling_a_call_cancels_the_function() -> None:
    log: list[str] = []

    @function_tool
    async def sleep() -> None:
        log.append("started")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            log.append("cancelled")
            raise

    call = asyncio.create_task(run(sleep))
    while not log:
        await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert log == ["started", "cancelled"]


# ---- timeouts


async def slow() -> None:
    await asyncio.sleep(60)


LATE = "Tool 'slow' timed out after 0.01 seconds."


async def test_a_late_tool_tells_the_model() -> None:
    assert await run(function_tool(timeout=0.01)(slow)) == LATE
    quiet = function_tool(timeout=0.01, failure_error_function=None)(slow)
    assert await run(quiet) == LATE


async def test_a_late_tool_may_stop_the_run() -> None:
    tool = function_tool(timeout=0.01, timeout_behavior="raise_exception")(slow)
    with pytest.raises(ToolTimeoutError, match=r"'slow' timed out after 0\.01 seconds") as caught:
        await run(tool)
    assert (caught.value.tool_name, caught.value.timeout_seconds) == ("slow", 0.01)


async def test_a_timeout_function_makes_the_answer() -> None:
    async def tell(ctx: Any, error: Exception) -> str:
        assert isinstance(error, ToolTimeoutError)
        return f"{ctx.tool_name} after {error.timeout_seconds}"

    assert await run(function_tool(timeout=0.01, timeout_error_function=tell)(slow)) == (
        "slow after 0.01"
    )


async def test_a_tool_within_its_time_returns_its_output() -> None:
    async def quick() -> int:
        return 3

    assert await run(function_tool(timeout=5)(quick)) == 3


async def test_a_timeout_error_of_the_tools_own_is_a_failure() -> None:
    async def own() -> None:
        raise TimeoutError("own")

    behavior: Any = "raise_exception"
    assert await run(function_tool(timeout=5, timeout_behavior=behavior)(own)) == FAILED
    with pytest.raises(TimeoutError, match="own"):
        await run(function_tool(timeout=5, failure_error_function=None)(own))


async def test_a_tool_that_cleans_up_at_its_timeout_may_return() -> None:
    async def tidy() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "tidied"
        return "unreachable"

    assert await run(function_tool(timeout=0.01)(tidy)) == "tidied"


async def test_a_tool_without_a_function_has_a_timeout_as_well() -> None:
    async def call(ctx: ToolContext[Any], arguments: str) -> None:
        await asyncio.sleep(60)

    tool = FunctionTool("slow", "d", {}, call, timeout_seconds=0.01)
    started = time.monotonic()
    assert await run(tool) == LATE
    assert time.monotonic() - started < 5


# ---- declared outputs


class Answer(BaseModel):
    value: int


async def test_a_declared_output_is_checked() -> None:
    good = function_tool(output_type=Answer)(lambda: {"value": 1})
    assert await run(good) == Answer(value=1)
    assert good.output_json_schema is not None
    assert good.output_json_schema["additionalProperties"] is False
    bad = function_tool(output_type=Answer, failure_error_function=None)(lambda: {"value": "x"})
    with pytest.raises(ValidationError):
        await run(bad)


# ---- namespaces


async def test_a_namespace_groups_copies_of_tools() -> None:
    [member] = tool_namespace(name=" crm ", description=" CRM ", tools=[add])
    assert (member.qualified_name, add.qualified_name) == ("crm.add", "add")
    assert await run(member, {"a": 1}) == 3


@pytest.mark.parametrize(
    ("name", "description", "tools", "message"),
    [
        (" ", "d", [add], "non-empty namespace name"),
        ("n", None, [add], "non-empty description"),
        ("n", "d", [WebSearchTool()], "FunctionTool"),
        ("add", "d", [add], "ambiguous"),
    ],
)
def test_a_namespace_needs_name_description_and_function_tools(
    name: str, description: Any, tools: Any, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        tool_namespace(name=name, description=description, tools=tools)


# ---- outputs for the model


IMAGE = {"type": "image", "image_url": "data:x"}
OUTPUTS: list[Any] = [
    "text",
    "",
    None,
    True,
    1.5,
    float("nan"),
    {"a": 1},
    [1, "a", None],
    [],
    b"bytes",
    Answer(value=1),
    [Answer(value=1)],
    {"type": "text", "text": "hi"},
    {"type": "text", "text": "hi", "extra": 1},
    {"type": "text"},
    {"type": "text", "text": 5},
    {"type": ["text"]},
    IMAGE,
    {"type": "image"},
    {**IMAGE, "detail": "wrong"},
    {"type": "image", "file_id": "f", "detail": "low"},
    {"type": "file", "file_data": "aGk=", "filename": "n"},
    {"type": "file", "file_url": "u"},
    {"type": "file"},
    [{"type": "text", "text": "hi"}, IMAGE],
    [{"type": "text", "text": "hi"}, {"a": 1}],
    {"type": "input_text", "text": "a"},
]


def output_item(helpers: Any, output: Any, **options: Any) -> Any:
    call = ResponseFunctionToolCall(
        type="function_call", call_id="c1", name="t", arguments="{}", id="fc_1"
    )
    return helpers.tool_call_output_item(call, output, **options)


@pytest.mark.parametrize("output", OUTPUTS, ids=str)
def test_an_output_reaches_the_model_as_in_the_sdk(output: Any) -> None:
    sdk = pytest.importorskip("agents")
    assert output_item(ItemHelpers, output) == output_item(sdk.ItemHelpers, output)


@pytest.mark.parametrize(
    "make",
    [
        lambda m: m.ToolOutputText(text="t"),
        lambda m: m.ToolOutputImage(image_url="u"),
        lambda m: m.ToolOutputImage(file_id="f", detail="high"),
        lambda m: m.ToolOutputFileContent(file_data="d", filename="n"),
        lambda m: m.ToolOutputFileContent(file_id="d"),
        lambda m: [m.ToolOutputText(text="t"), m.ToolOutputImage(image_url="u")],
        lambda m: (m.ToolOutputText(text="t"),),
        lambda m: [m.ToolOutputText(text="t"), {"type": "text", "text": "d"}],
        lambda m: [m.ToolOutputText(text="t"), "x"],
    ],
)
def test_text_images_and_files_reach_the_model_as_in_the_sdk(make: Any) -> None:
    sdk = pytest.importorskip("agents")
    ours = output_item(ItemHelpers, make(agentstream))
    assert ours == output_item(sdk.ItemHelpers, make(sdk))


def test_parts_become_content_and_anything_else_text() -> None:
    parts = [ToolOutputText(text="see"), ToolOutputImage(image_url="u")]
    assert tool_output_param(parts) == [
        {"type": "input_text", "text": "see"},
        {"type": "input_image", "image_url": "u"},
    ]
    assert tool_output_param({"a": 1}) == "{'a': 1}"


def test_images_and_files_need_a_source() -> None:
    with pytest.raises(ValidationError, match="image_url or file_id"):
        ToolOutputImage()
    with pytest.raises(ValidationError, match="file_data, file_url, or file_id"):
        ToolOutputFileContent(filename="n")


OBJECT = {"type": "object"}


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ({"value": 1}, '{"value":1}'),
        ('{"value": 1}', '{"value":1}'),
        (Answer(value=1), '{"value":1}'),
        ({"k": "ü"}, None),
    ],
)
def test_a_declared_output_reaches_the_model_as_json(output: Any, text: str | None) -> None:
    sdk = pytest.importorskip("agents")
    theirs = output_item(sdk.ItemHelpers, output, output_json_schema=OBJECT)["output"]
    assert tool_output_param(output, json_schema=OBJECT) == theirs
    assert text in (None, theirs)


def test_an_output_that_is_not_as_declared_is_the_users_error() -> None:
    from pydantic import TypeAdapter

    with pytest.raises(UserError, match="does not match its declared output schema"):
        tool_output_param({"value": "x"}, type_adapter=TypeAdapter(Answer))
    with pytest.raises(UserError, match="requires a JSON object"):
        tool_output_param(5, json_schema=OBJECT)
