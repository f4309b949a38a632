"""Tools: schemas, calls, failures, outputs, and what comes after them."""

import asyncio
import dataclasses
import enum
from typing import Annotated, Any, Literal

import pydantic
from typing_extensions import TypedDict

from agentstream.testing import call, refuse, say, turn

from .harness import BOTH, conforms, differs, plain, ran, run, streamed


class Level(enum.Enum):
    LOW = "low"
    HIGH = "high"


class Place(pydantic.BaseModel):
    city: str
    country: str = pydantic.Field(default="PT", description="ISO code")


@dataclasses.dataclass
class Span:
    start: int
    end: int = 5


class Options(TypedDict, total=False):
    unit: str


def schema(tool: Any) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.params_json_schema,
        "strict": tool.strict_json_schema,
    }


@conforms
async def test_a_schema_comes_from_annotations_and_a_google_docstring(sdk, server):
    @sdk.function_tool
    def weather(city: str, days: int = 3, units: Literal["C", "F"] = "C") -> str:
        """Forecast the weather.

        It is quite good.

        Args:
            city: Where.
            days: How many days
                ahead.
            units: The scale.

        Returns:
            The forecast.
        """
        return f"{city} {days} {units}"

    turns = [call("weather", city="Lisbon", days=2, units="F"), "Sunny."]
    agent = server.agent(sdk, tools=[weather])
    return [schema(weather), await ran(sdk, server, turns, agent, "Weather?")]


@conforms
async def test_a_schema_comes_from_a_numpy_docstring(sdk, server):
    @sdk.function_tool
    def weather(city: str, days: int) -> str:
        """Forecast the weather.

        Parameters
        ----------
        city : str
            Where.
        days : int
            How many days ahead.
        """
        return ""

    return schema(weather)


@conforms
async def test_a_schema_comes_from_a_sphinx_docstring(sdk, server):
    @sdk.function_tool
    def weather(city: str, days: int) -> str:
        """Forecast the weather.

        :param city: Where.
        :param days: How many days ahead.
        """
        return ""

    return schema(weather)


@conforms
async def test_a_tool_without_docstring_or_parameters_has_a_schema(sdk, server):
    @sdk.function_tool
    def ping():
        return "pong"

    return [
        schema(ping),
        await ran(sdk, server, [call("ping"), "."], server.agent(sdk, tools=[ping]), "P"),
    ]


@conforms
async def test_arguments_may_be_of_rich_types(sdk, server):
    seen = []

    @sdk.function_tool
    def plan(
        place: Place,
        span: Span,
        level: Level,
        tags: list[str],
        note: Annotated[str, "A note"] = "",
        limit: Annotated[int, pydantic.Field(ge=1, le=9)] = 3,
        maybe: str | None = None,
    ) -> str:
        """Plan."""
        seen.append([place, span, level, tags, note, limit, maybe])
        return "planned"

    arguments = {
        "place": {"city": "Lisbon", "country": "PT"},
        "span": {"start": 1, "end": 2},
        "level": "high",
        "tags": ["a"],
        "note": "n",
        "limit": 4,
        "maybe": None,
    }
    turns = [call("plan", arguments), "Done."]
    agent = server.agent(sdk, tools=[plan])
    return [schema(plan), await ran(sdk, server, turns, agent, "Plan"), plain(seen)]


@conforms
async def test_a_typed_dict_and_free_arguments_need_a_tool_that_is_not_strict(sdk, server):
    seen = []

    @sdk.function_tool(strict_mode=False)
    def save(options: Options, extra: dict[str, Any], *more: int, **named: str) -> str:
        """Save."""
        seen.append([options, extra, more, named])
        return "saved"

    turns = [
        call(
            "save",
            {"options": {"unit": "C"}, "extra": {"a": 1}, "more": [1, 2], "named": {"x": "y"}},
        ),
        "Done.",
    ]
    agent = server.agent(sdk, tools=[save])
    return [schema(save), await ran(sdk, server, turns, agent, "Save"), plain(seen)]


@conforms(apis=BOTH)
async def test_what_is_said_of_variable_arguments_holds_for_each_of_them(sdk, server):
    seen = []

    @sdk.function_tool
    def rate(*scores: Annotated[int, pydantic.Field(ge=1), pydantic.Field(le=9)]) -> str:
        """Rate.

        Args:
            scores: From 1 to 9.
        """
        seen.append(scores)
        return "rated"

    @sdk.function_tool
    def group(*teams: Annotated[list[str], pydantic.Field(min_length=2), "Two at least"]) -> str:
        """Group."""
        seen.append(teams)
        return "grouped"

    @sdk.function_tool(strict_mode=False)
    def weigh(**grams: Annotated[float, pydantic.Field(gt=0)]) -> str:
        """Weigh."""
        seen.append(grams)
        return "weighed"

    calls = [
        call("rate", scores=[1, 9]),
        call("rate", scores=[0]),
        call("rate"),
        call("group", teams=[["a", "b"], ["c", "d"]]),
        call("group", teams=[["a"]]),
        call("weigh", grams={"flour": 500}),
        call("weigh", grams={"flour": 0}),
    ]
    agent = server.agent(sdk, tools=[rate, group, weigh])
    shown = await ran(sdk, server, [*calls, "Done."], agent, "Go")
    return [shown, seen, [schema(tool) for tool in agent.tools]]


@conforms
async def test_name_description_and_docstring_can_be_overridden(sdk, server):
    @sdk.function_tool(
        name_override="lookup",
        description_override="Find it.",
        use_docstring_info=False,
        strict_mode=False,
    )
    def very_long_name(key: str) -> str:
        """Ignored.

        Args:
            key: Ignored.
        """
        return key

    return [
        schema(very_long_name),
        await ran(
            sdk,
            server,
            [call("lookup", key="k"), "."],
            server.agent(sdk, tools=[very_long_name]),
            "L",
        ),
    ]


@conforms
async def test_a_sync_tool_runs_in_a_thread_and_an_async_one_in_the_loop(sdk, server):
    import threading

    where = {}

    @sdk.function_tool
    def sync_tool() -> str:
        """Sync."""
        where["sync"] = threading.current_thread() is threading.main_thread()
        return "s"

    @sdk.function_tool
    async def async_tool() -> str:
        """Async."""
        where["async"] = threading.current_thread() is threading.main_thread()
        return "a"

    agent = server.agent(sdk, tools=[sync_tool, async_tool])
    turns = [turn(call("sync_tool"), call("async_tool")), "Done."]
    return [await ran(sdk, server, turns, agent, "Go"), where]


@conforms(apis=BOTH)
async def test_calls_of_a_turn_run_at_once_and_answer_in_order(sdk, server):
    meeting = asyncio.Barrier(3)
    log = []

    @sdk.function_tool
    async def meet(name: str, rank: int) -> str:
        """Wait for the others."""
        async with asyncio.timeout(10):
            await meeting.wait()
        for _ in range(rank):
            await asyncio.sleep(0)
        log.append(name)
        return f"{name} met"

    agent = server.agent(sdk, tools=[meet])
    server.play(
        [
            turn(
                call("meet", name="a", rank=60),
                call("meet", name="b", rank=30),
                call("meet", name="c", rank=0),
            ),
            "All met.",
        ]
    )
    return [await run(sdk, agent, "Meet"), log]


@conforms
async def test_calls_of_a_turn_are_told_in_order_when_streamed(sdk, server):
    @sdk.function_tool
    async def wait(seconds: float) -> str:
        """Wait."""
        await asyncio.sleep(seconds)
        return f"{seconds}"

    server.play([turn(call("wait", seconds=0.15), call("wait", seconds=0.01)), "Done."])
    return await streamed(sdk, server.agent(sdk, tools=[wait]), "Wait")


@conforms
async def test_the_context_of_a_tool_names_the_call(sdk, server):
    from importlib import import_module

    tool_context = import_module(f"{sdk.__name__}.tool_context").ToolContext
    seen = []

    @sdk.function_tool
    def look(context: tool_context, place: str) -> str:
        """Look."""
        seen.append(
            [
                context.tool_name,
                context.tool_call_id,
                context.tool_arguments,
                context.context,
                context.usage.requests,
                context.agent.name if context.agent else None,
            ]
        )
        return place

    turns = [call("look", place="sea"), "Seen."]
    shown = await ran(sdk, server, turns, server.agent(sdk, tools=[look]), "Look", context=7)
    return [shown, seen, schema(look)]


@conforms(apis=BOTH)
async def test_a_failing_tool_tells_the_model(sdk, server):
    @sdk.function_tool
    def divide(a: int, b: int) -> float:
        """Divide."""
        return a / b

    turns = [call("divide", a=1, b=0), "It failed."]
    return await ran(sdk, server, turns, server.agent(sdk, tools=[divide]), "1/0?")


@conforms
async def test_the_words_for_a_failure_may_be_ones_own(sdk, server):
    def words(context, error):
        return f"Please try other numbers: {type(error).__name__}"

    @sdk.function_tool(failure_error_function=words)
    def divide(a: int, b: int) -> float:
        """Divide."""
        return a / b

    turns = [call("divide", a=1, b=0), "It failed."]
    return await ran(sdk, server, turns, server.agent(sdk, tools=[divide]), "1/0?")


FORMATTED = {
    "text": lambda data: f"{data.tool_name}: {type(data.error).__name__}",
    "empty text": lambda data: "",
    "nothing": lambda data: None,
    "no text": lambda data: 42,
    "an error": lambda data: 1 / 0,
}


@conforms(apis=BOTH)
async def test_the_run_may_word_what_a_failed_tool_tells_the_model(sdk, server):
    seen = []

    @sdk.function_tool
    def divide(a: int, b: int) -> float:
        """Divide."""
        return a / b

    @sdk.function_tool(failure_error_function=lambda context, error: "Chosen by its author.")
    def worded() -> str:
        """Fail."""
        raise ValueError("secret")

    @sdk.function_tool(failure_error_function=sdk.default_tool_error_function)
    def chosen() -> str:
        """Fail."""
        raise ValueError("secret")

    def words(make):
        async def formatter(data):
            seen.append(
                [
                    *(data.kind, data.tool_type, data.tool_name, data.call_id),
                    *(data.default_message, type(data.error).__name__, data.run_context.context),
                ]
            )
            return make(data)

        return sdk.RunConfig(tool_error_formatter=formatter)

    agent = server.agent(sdk, tools=[divide, worded, chosen])
    calls = turn(call("divide", a=1, b=0), call("divide", '{"a": '), call("worded"), call("chosen"))
    shown = {}
    for kind, make in FORMATTED.items():
        config = words(make)
        shown[kind] = await ran(
            sdk, server, [calls, "Done."], agent, "1/0?", context=7, run_config=config
        )
    return [shown, sorted(seen, key=repr)]


@conforms
async def test_the_run_may_word_that_a_tool_is_not_there_and_its_words_may_fail(sdk, server):
    shown = {}
    for kind, make in FORMATTED.items():
        config = sdk.RunConfig(
            tool_error_formatter=make, tool_not_found_behavior="return_error_to_model"
        )
        turns = [call("gone"), "Done."]
        shown[kind] = await ran(sdk, server, turns, server.agent(sdk), "Go", run_config=config)
    return shown


@conforms
async def test_a_failure_may_end_the_run(sdk, server):
    @sdk.function_tool(failure_error_function=None)
    def divide(a: int, b: int) -> float:
        """Divide."""
        return a / b

    return await ran(
        sdk, server, [call("divide", a=1, b=0)], server.agent(sdk, tools=[divide]), "?"
    )


@conforms(apis=BOTH)
async def test_arguments_that_are_no_json_or_of_the_wrong_type_are_told_to_the_model(sdk, server):
    @sdk.function_tool
    def square(number: int) -> int:
        """Square."""
        return number * number

    turns = [call("square", '{"number": '), call("square", number="four"), "I cannot."]
    shown = await ran(sdk, server, turns, server.agent(sdk, tools=[square]), "Square")
    for one in shown.values():  # the words are each project's own, that there are some counts
        for key in ("new_items", "to_input_list", "events"):
            one.pop(key, None)
    for request in server.requests:
        for entry in request.body.get("input") or request.body.get("messages"):
            for key in ("output", "content"):
                if "error" in str(entry.get(key)):
                    entry[key] = "(an error)"
    return shown


@conforms
async def test_outputs_of_any_type_become_text(sdk, server):
    values = {
        "number": 42,
        "nothing": None,
        "list": [1, "a"],
        "dict": {"b": 1},
        "model": Place(city="Lisbon"),
        "dataclass": Span(1),
        "enum": Level.LOW,
        "text": "plain",
        "empty": "",
        "bytes": b"x",
    }

    @sdk.function_tool
    def give(key: str) -> Any:
        """Give."""
        return values[key]

    turns = [turn(*(call("give", key=key) for key in values)), "Done."]
    return await ran(sdk, server, turns, server.agent(sdk, tools=[give]), "Give")


@conforms
async def test_outputs_may_be_images_and_files(sdk, server):
    outputs = {
        "text": sdk.ToolOutputText(text="t"),
        "image": sdk.ToolOutputImage(image_url="data:image/png;base64,QUJD", detail="low"),
        "image of a file": sdk.ToolOutputImage(file_id="file_1"),
        "file": sdk.ToolOutputFileContent(file_data="QUJD", filename="a.txt"),
        "several": [
            sdk.ToolOutputText(text="a"),
            sdk.ToolOutputImage(image_url="https://example.org/a.png"),
        ],
        "dict": {"type": "image", "image_url": "https://example.org/b.png"},
        "dicts": [{"type": "text", "text": "a"}, {"type": "file", "file_id": "file_2"}],
        "not quite": [{"type": "text"}, {"type": "unknown"}],
    }

    @sdk.function_tool
    def give(key: str) -> Any:
        """Give."""
        return outputs[key]

    turns = [turn(*(call("give", key=key) for key in outputs)), "Done."]
    return await ran(sdk, server, turns, server.agent(sdk, tools=[give]), "Give")


@conforms
async def test_a_tool_may_be_hidden(sdk, server):
    @sdk.function_tool(is_enabled=False)
    def never() -> str:
        """Never."""
        return ""

    @sdk.function_tool(is_enabled=lambda context, agent: context.context == "admin")
    def erase() -> str:
        """Erase."""
        return ""

    async def later(context, agent):
        return agent.name == "Assistant"

    @sdk.function_tool(is_enabled=later)
    def look() -> str:
        """Look."""
        return ""

    agent = server.agent(sdk, tools=[never, erase, look])
    return [
        await ran(sdk, server, ["Hello."], agent, "Hi", context="admin"),
        await ran(sdk, server, ["Hello."], agent, "Hi", context="guest"),
    ]


@conforms
async def test_a_tool_that_is_too_slow_tells_the_model(sdk, server):
    @sdk.function_tool(timeout=0.05)
    async def slow() -> str:
        """Take long."""
        await asyncio.sleep(5)
        return "done"

    return await ran(sdk, server, [call("slow"), "Too slow."], server.agent(sdk, tools=[slow]), "?")


@conforms
async def test_a_tool_that_is_too_slow_may_end_the_run(sdk, server):
    @sdk.function_tool(timeout=0.05, timeout_behavior="raise_exception")
    async def slow() -> str:
        """Take long."""
        await asyncio.sleep(5)
        return "done"

    return await ran(sdk, server, [call("slow")], server.agent(sdk, tools=[slow]), "?")


@conforms
async def test_a_function_tool_can_be_built_by_hand(sdk, server):
    async def invoke(context, arguments):
        return f"got {arguments} as {context.tool_name}"

    tool = sdk.FunctionTool(
        name="by_hand",
        description="Made by hand.",
        params_json_schema={"type": "object", "properties": {"x": {"type": "integer"}}},
        on_invoke_tool=invoke,
    )
    turns = [call("by_hand", x=1), "Done."]
    return [schema(tool), await ran(sdk, server, turns, server.agent(sdk, tools=[tool]), "Go")]


@conforms
async def test_the_first_tool_may_end_the_run(sdk, server):
    @sdk.function_tool
    def give(x: int) -> int:
        """Give."""
        return x * 2

    agent = server.agent(sdk, tools=[give], tool_use_behavior="stop_on_first_tool")
    return await ran(sdk, server, [turn(call("give", x=2), call("give", x=3))], agent, "Go")


@conforms
async def test_tools_of_certain_names_may_end_the_run(sdk, server):
    @sdk.function_tool
    def look() -> str:
        """Look."""
        return "seen"

    @sdk.function_tool
    def finish() -> str:
        """Finish."""
        return "finished"

    agent = server.agent(
        sdk,
        tools=[look, finish],
        tool_use_behavior=sdk.StopAtTools(stop_at_tool_names=["finish"]),
    )
    return await ran(sdk, server, [call("look"), turn(call("look"), call("finish"))], agent, "Go")


@conforms
async def test_a_function_may_decide_whether_tools_end_the_run(sdk, server):
    @sdk.function_tool
    def give(x: int) -> int:
        """Give."""
        return x

    async def decide(context, results):
        total = sum(result.output for result in results)
        return sdk.ToolsToFinalOutputResult(is_final_output=total > 5, final_output=f"sum {total}")

    agent = server.agent(sdk, tools=[give], tool_use_behavior=decide)
    turns = [call("give", x=1), turn(call("give", x=3), call("give", x=4))]
    return await ran(sdk, server, turns, agent, "Go")


@conforms(apis=BOTH)
async def test_a_forced_tool_choice_is_reset_after_the_tool_was_used(sdk, server):
    @sdk.function_tool
    def look() -> str:
        """Look."""
        return "seen"

    for choice in ("required", "look", "auto", "none"):
        agent = server.agent(
            sdk, tools=[look], model_settings=sdk.ModelSettings(tool_choice=choice)
        )
        await ran(sdk, server, [call("look"), "Seen."], agent, "Look")
    return [request.body.get("tool_choice") for request in server.requests]


@conforms
async def test_a_forced_tool_choice_may_be_kept(sdk, server):
    @sdk.function_tool
    def look() -> str:
        """Look."""
        return "seen"

    agent = server.agent(
        sdk,
        tools=[look],
        model_settings=sdk.ModelSettings(tool_choice="required"),
        reset_tool_choice=False,
    )
    return await ran(sdk, server, [call("look"), call("look"), "Seen."], agent, "Look")


@conforms
async def test_text_beside_a_call_does_not_end_the_run(sdk, server):
    @sdk.function_tool
    def look() -> str:
        """Look."""
        return "seen"

    turns = [turn(say("I am done, I think."), call("look")), turn(call("look"), "Wait."), "Done."]
    return await ran(sdk, server, turns, server.agent(sdk, tools=[look]), "Look")


@conforms
async def test_a_refusal_beside_a_call_does_not_end_the_run(sdk, server):
    @sdk.function_tool
    def look() -> str:
        """Look."""
        return "seen"

    turns = [turn(refuse("I would rather not."), call("look")), "Done."]
    return await ran(sdk, server, turns, server.agent(sdk, tools=[look]), "Look")


@conforms
async def test_tools_of_a_namespace_are_grouped(sdk, server):
    @sdk.function_tool
    def lookup(key: str) -> str:
        """Look a customer up."""
        return f"customer {key}"

    tools = sdk.tool_namespace(name="crm", description="Customers", tools=[lookup])
    turns = [call("lookup", key="7").with_fields(namespace="crm"), "Found."]
    return await ran(sdk, server, turns, server.agent(sdk, tools=tools), "Customer 7?")


@differs(
    "misuse is a UserError",
    theirs=["PydanticSchemaGenerationError", False],
    ours=["UserError", True],
)
async def test_a_function_without_a_schema_is_refused_when_the_tool_is_made(sdk, server):
    class Opaque:
        pass

    def bad(thing: Opaque) -> str:
        """Do."""
        return ""

    try:
        sdk.function_tool(bad)
    except Exception as error:
        return [type(error).__name__, isinstance(error, sdk.AgentsException)]


@conforms
async def test_default_values_and_the_position_of_the_context_are_kept(sdk, server):
    seen = []

    @sdk.function_tool
    def place(context: sdk.RunContextWrapper[Any], a: int, b: int = 2, *, c: str = "c") -> str:
        """Place."""
        seen.append([a, b, c])
        return "ok"

    turns = [turn(call("place", a=1, b=5, c="x"), call("place", a=1)), "Done."]
    return [
        schema(place),
        await ran(sdk, server, turns, server.agent(sdk, tools=[place]), "Go"),
        sorted(seen),  # both calls run at once, each in a thread
    ]


async def told(sdk, server, tool: Any) -> Any:
    """What the model was told of a call of `tool`; the run's error where it has ended."""
    server.play([call(tool.name), "Done."])
    try:
        await sdk.Runner.run(server.agent(sdk, tools=[tool]), "Go")
    except Exception as error:
        return type(error).__name__
    return server.requests[-1].body["input"][-1]["output"]


@differs("what a generator yields is its output", theirs=False, ours=True)
async def test_a_tool_may_be_a_generator(sdk, server):
    @sdk.function_tool
    def words() -> Any:
        """Say two words."""
        yield "one "
        yield "two"

    return await told(sdk, server, words) == "one two"


@differs(
    "a frame is told by its head and summary, a figure is seen",
    theirs=["str", "str"],
    ours=["input_text", "input_text", "input_image"],
)
async def test_a_tool_may_return_a_frame_and_a_figure(sdk, server):
    from matplotlib.figure import Figure
    from pandas import DataFrame

    @sdk.function_tool
    def frame() -> Any:
        """Load the data."""
        return DataFrame({"a": range(3)})

    @sdk.function_tool
    def figure() -> Any:
        """Draw the data."""
        return Figure()

    found = []
    for tool in (frame, figure):
        output = await told(sdk, server, tool)
        found += ["str"] if isinstance(output, str) else [part["type"] for part in output]
    return found


@differs("a huge output is cut for the model", theirs=[False, True], ours=[True, False])
async def test_a_huge_output_is_bounded(sdk, server):
    @sdk.function_tool
    def read() -> str:
        """Read it all."""
        return "x" * 1_500_000

    text = await told(sdk, server, read)
    return ["500,000 characters are left out" in text, len(text) == 1_500_000]


@differs(
    "a result without a text has failed",
    theirs="UserError",
    ours="An error occurred while running the tool. Please try again.",
)
async def test_a_result_has_no_text(sdk, server):
    class Mute:
        def __str__(self) -> str:
            raise ValueError("no text")

    @sdk.function_tool
    def mute() -> Any:
        """Say nothing."""
        return Mute()

    return await told(sdk, server, mute)
