"""`map_frame`: an agent over the rows of a frame."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import Any, Literal

import pandas as pd
import pytest
from pydantic import BaseModel

from agentstream import (
    Agent,
    FrameRun,
    Gate,
    Limits,
    OpenAIResponsesModel,
    RowError,
    RunConfig,
    UserError,
    function_tool,
    handoff,
    map_frame,
)
from agentstream._utils.redaction import remember
from agentstream.testing import (
    RateLimits,
    ScriptedModel,
    VirtualService,
    answer,
    call,
    fail,
    hand_off,
    http_error,
    run_in_virtual_time,
    turn,
)


class Place(BaseModel):
    city: str
    zip: int | None = None


class Verdict(BaseModel):
    label: Literal["good", "bad"]
    score: int
    sure: bool
    tags: list[str]
    place: Place | None = None


def echo(request: Any) -> Any:
    return f"<{request.user_text}>"


def critic(turns: Any = echo, **settings: Any) -> Agent[Any]:
    return Agent(name="Critic", model=ScriptedModel(turns), **settings)


def frame_of(*texts: Any) -> pd.DataFrame:
    return pd.DataFrame({"review": list(texts)}, index=[f"r{i}" for i in range(len(texts))])


# -- the prompt ------------------------------------------------------------------------------------


def test_a_format_string_over_the_columns_is_the_prompt() -> None:
    frame = pd.DataFrame({"city": ["Oslo", "Rome"], "year": [1990, 2020]}, index=[7, 3])
    out = map_frame(critic(), frame, "{city} in {year:04d}").wait()
    assert list(out.index) == [7, 3]
    assert list(out["final_output"]) == ["<Oslo in 1990>", "<Rome in 2020>"]


def test_a_function_of_the_row_is_the_prompt() -> None:
    out = map_frame(critic(), frame_of("a", "b"), lambda row: row["review"].upper()).wait()
    assert list(out["final_output"]) == ["<A>", "<B>"]


def test_a_column_of_prompts_or_input_items_is_the_prompt() -> None:
    items = [{"role": "user", "content": "Hello"}]
    frame = pd.DataFrame({"ask": ["Hi", items]})
    assert list(map_frame(critic(), frame, "ask").wait()["final_output"]) == ["<Hi>", "<Hello>"]
    out = map_frame(critic(), frame, pd.Series(["x", "y"])).wait()
    assert list(out["final_output"]) == ["<x>", "<y>"]


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("Classify: {reviw}", "did you mean {review}"),
        ("Classify it", "names no column"),
        ('{"a": {review}}', "no column"),
        ("{review", "Write {{ and }}"),
        (["just one"], "1 prompts for 2 rows"),
        (3, "format string"),
    ],
)
def test_a_prompt_that_does_not_fit_is_told_before_anything_is_asked(
    prompt: Any, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        map_frame(critic(), frame_of("a", "b"), prompt)


def test_a_row_without_a_value_is_not_asked_and_says_so() -> None:
    agent = critic()
    out = map_frame(agent, frame_of("a", None, float("nan"), "b"), "{review}").wait()
    assert list(out["status"]) == ["done", "failed", "failed", "done"]
    assert "no value for review" in out["error"].iloc[1]
    assert out["attempts"].iloc[1] == 0
    assert out["source"].isna().tolist() == [False, True, True, False]
    assert len(agent.model.requests) == 2


def test_a_function_that_raises_fails_its_row_only() -> None:
    out = map_frame(critic(), frame_of("1", "x"), lambda row: f"{int(row['review'])}").wait()
    assert list(out["status"]) == ["done", "failed"]
    assert out["error_type"].iloc[1] == "ValueError"


# -- the output ------------------------------------------------------------------------------------


def test_what_a_prompt_fails_with_is_cut_and_without_secrets_as_any_failure() -> None:
    key = "sk-of-a-prompt-2d81c0"
    remember(key, under="api_key")

    def prompt(row: Any) -> str:
        raise ValueError(f"{key} {'x' * 5_000}")

    out = map_frame(Agent(name="A"), pd.DataFrame({"a": [1]}), prompt).wait()
    assert out["error"][0].startswith("*** x")
    assert len(out["error"][0]) == 2_003


def test_each_field_of_the_output_type_is_a_typed_column() -> None:
    said = {"label": "good", "score": 5, "sure": True, "tags": ["x", "y"], "place": None}
    with_place = {**said, "place": {"city": "Oslo", "zip": 150}}
    model = ScriptedModel([answer(said), answer(with_place), "no JSON"], loop=True)
    agent = Agent(name="Critic", model=model, output_type=Verdict)
    out = map_frame(agent, frame_of("a", "b", "c"), "{review}", tries=1, concurrency=1).wait()
    assert list(out.columns[:6]) == ["label", "score", "sure", "tags", "place.city", "place.zip"]
    assert [str(kind) for kind in out.dtypes[:6]] == [
        "string",
        "Int64",
        "boolean",
        "object",
        "string",
        "Int64",
    ]
    assert list(out["score"].dropna()) == [5, 5]
    assert out["place.city"].isna().tolist() == [True, False, True]
    assert out["tags"].iloc[0] == ["x", "y"]
    assert list(out["status"]) == ["done", "done", "failed"]
    assert out["error_type"].iloc[2] == "ModelBehaviorError"


def test_a_field_named_as_a_column_of_ours_has_a_name_of_its_own() -> None:
    class Order(BaseModel):
        status: str

    agent = critic([answer({"status": "sent"})], output_type=Order)
    out = map_frame(agent, frame_of("a"), "{review}").wait()
    assert out["final_output.status"].iloc[0] == "sent"
    assert out["status"].iloc[0] == "done"


def test_tokens_attempts_and_source_are_columns() -> None:
    model = ScriptedModel(
        [turn("Hi", usage={"input_tokens": 100, "output_tokens": 10, "cached_tokens": 40})],
        loop=True,
        model="gpt-5-mini",
    )
    out = map_frame(Agent(name="G", model=model), frame_of("a"), "{review}").wait()
    row = out.iloc[0]
    assert (row["input_tokens"], row["cached_tokens"], row["output_tokens"]) == (100, 40, 10)
    assert (row["attempts"], row["source"], row["status"]) == (1, "asked", "done")
    assert row["cost_usd"] > 0
    assert 0 < row["seconds"] < 60


def test_equal_rows_are_asked_once() -> None:
    agent = critic()
    out = map_frame(agent, frame_of("a", "b", "a", "a"), "{review}").wait()
    assert list(out["final_output"]) == ["<a>", "<b>", "<a>", "<a>"]
    assert list(out["source"]) == ["asked", "asked", "equal row", "equal row"]
    assert len(agent.model.requests) == 2


def test_an_empty_frame_gives_an_empty_frame() -> None:
    out = map_frame(critic(), frame_of(), "{review}").wait()
    assert len(out) == 0
    assert "final_output" in out


def test_an_index_with_equal_labels_and_many_levels_stays() -> None:
    index = pd.MultiIndex.from_tuples([("a", 1), ("a", 1), ("b", 2)])
    frame = pd.DataFrame({"review": ["x", "y", "z"]}, index=index)
    out = map_frame(critic(), frame, "{review}").wait()
    assert out.index.equals(index)
    assert list(out["final_output"]) == ["<x>", "<y>", "<z>"]


# -- failures --------------------------------------------------------------------------------------


def sometimes(request: Any) -> Any:
    return http_error(400, "Bad review") if "bad" in request.user_text else echo(request)


def test_a_rows_failure_is_a_value_in_its_row_and_ends_nothing() -> None:
    run = map_frame(critic(sometimes), frame_of("a", "bad", "b"), "{review}")
    out = run.wait()
    assert list(out["status"]) == ["done", "failed", "done"]
    assert "Bad review" in out["error"].iloc[1]
    assert out["error_type"].iloc[1] == "BadRequestError"
    assert list(run.failed.index) == ["r1"]


def test_on_error_raise_ends_the_rest() -> None:
    frame = frame_of("bad", *map(str, range(50)))
    run = map_frame(critic(sometimes), frame, "{review}", on_error="raise", concurrency=1)
    with pytest.raises(RowError, match="'r0' failed: BadRequestError"):
        run.wait()
    assert list(run.frame["status"].unique()) == ["failed", "waiting"]


def test_retry_asks_again_only_what_failed() -> None:
    seen: list[str] = []

    def flaky(request: Any) -> Any:
        seen.append(request.user_text)
        return http_error(400) if request.user_text == "b" and len(seen) < 4 else echo(request)

    run = map_frame(critic(flaky), frame_of("a", "b", "c"), "{review}")
    assert list(run.wait()["status"]) == ["done", "failed", "done"]
    out = run.retry().wait()
    assert list(out["status"]) == ["done"] * 3
    assert list(out["attempts"]) == [1, 2, 1]
    assert sorted(seen) == ["a", "b", "b", "c"]
    assert sorted((row.index, row.status) for row in run) == [
        (at, "done") for at in run.frame.index
    ]


def test_the_first_twenty_rows_that_fail_alike_stop_the_rest() -> None:
    def always(request: Any) -> Any:
        return http_error(400, f"No model {request.user_text!r} for request 12{request.number}")

    agent = critic(always)
    run = map_frame(agent, frame_of(*map(str, range(500))), "{review}", concurrency=4)
    with pytest.raises(RowError, match="first 20 rows failed alike"):
        run.wait()
    assert len(agent.model.requests) < 30


def test_a_key_that_is_refused_stops_all_with_one_error() -> None:
    agent = critic([http_error(401, code="invalid_api_key")] * 100)
    run = map_frame(agent, frame_of(*map(str, range(100))), "{review}", concurrency=4)
    with pytest.raises(RowError, match="No row can be asked: AuthenticationError"):
        run.wait()
    assert len(agent.model.requests) < 10


def test_what_may_pass_is_tried_again_unless_a_tool_has_run() -> None:
    ran: list[str] = []

    @function_tool
    def charge(name: str) -> str:
        ran.append(name)
        return "charged"

    quiet = critic([fail("server_error"), "fine"])
    out = map_frame(quiet, frame_of("a"), "{review}").wait()
    assert (out["status"].iloc[0], out["attempts"].iloc[0]) == ("done", 2)
    costly = critic([call("charge", name="x"), fail("server_error"), "fine"], tools=[charge])
    out = map_frame(costly, frame_of("a"), "{review}").wait()
    assert (out["status"].iloc[0], out["attempts"].iloc[0]) == ("failed", 1)
    assert ran == ["x"]


def test_an_approval_is_an_error_in_its_row_with_the_call() -> None:
    @function_tool(needs_approval=True)
    def send(to: str) -> str:
        return "sent"

    agent = critic([call("send", to="you")], tools=[send])
    out = map_frame(agent, frame_of("a"), "{review}").wait()
    assert out["status"].iloc[0] == "failed"
    assert 'send({"to":"you"})' in out["error"].iloc[0].replace(": ", ":").replace('" ', '"')


def test_the_whole_agent_runs_for_each_row() -> None:
    @function_tool
    async def look_up(word: str) -> str:
        return f"about {word}"

    expert = Agent(name="Expert", model=ScriptedModel(lambda request: "expert says so"))

    def turns(request: Any) -> Any:
        return hand_off("Expert") if request.tool_outputs else call("look_up", word="x")

    agent = critic(turns, tools=[look_up], handoffs=[handoff(expert)])
    out = map_frame(agent, frame_of(*map(str, range(10))), "{review}").wait()
    assert set(out["final_output"]) == {"expert says so"}


# -- while it runs ---------------------------------------------------------------------------------


async def test_it_goes_on_in_the_background_and_gives_each_row_as_it_ends() -> None:
    run = map_frame(critic(), frame_of("a", "b", "a"), "{review}")
    assert isinstance(run, FrameRun)
    rows = [row async for row in run]
    assert sorted((row.index, row.values[0], row.source) for row in rows) == [
        ("r0", "<a>", "asked"),
        ("r1", "<b>", "asked"),
        ("r2", "<a>", "equal row"),
    ]
    assert run.is_complete
    assert run.progress.done == 3
    assert "3 done" in repr(run)


def test_rows_can_be_read_without_async() -> None:
    assert len(list(map_frame(critic(), frame_of("a", "b"), "{review}"))) == 2


async def test_the_frame_shows_what_there_is() -> None:
    gates = {text: asyncio.Event() for text in "ab"}

    async def slow(request: Any) -> Any:
        await gates[request.user_text].wait()
        return echo(request)

    run = map_frame(critic(slow), frame_of("a", "b"), "{review}")
    gates["b"].set()
    async for _ in run:
        break
    assert list(run.frame["status"]) == ["waiting", "done"]
    gates["a"].set()
    assert list((await run)["status"]) == ["done", "done"]


async def test_stop_keeps_what_is_done_and_retry_goes_on() -> None:
    block = asyncio.Event()

    async def turns(request: Any) -> Any:
        if int(request.user_text) >= 5:
            await block.wait()
        return echo(request)

    run = map_frame(critic(turns), frame_of(*map(str, range(30))), "{review}", concurrency=4)
    async for _ in run:
        if run.progress.done == 5:
            break
    run.stop()
    out = await run
    assert list(out["status"]).count("done") == 5
    block.set()
    assert set((await run.retry())["status"]) == {"done"}


async def test_a_wait_that_is_cancelled_stops_the_rows() -> None:
    async def never(request: Any) -> Any:
        await asyncio.Event().wait()

    run = map_frame(critic(never), frame_of("a", "b"), "{review}")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(run, 0.2)
    assert run.is_complete
    assert set(run.frame["status"]) == {"waiting"}


def test_runs_are_kept_on_request_only() -> None:
    run = map_frame(critic(), frame_of("a"), "{review}", keep="runs")
    run.wait()
    assert run.runs["r0"].final_output == "<a>"
    assert run.runs["r0"].timeline() is not None
    other = map_frame(critic(), frame_of("a"), "{review}")
    other.wait()
    with pytest.raises(UserError, match="keep='runs'"):
        _ = other.runs


# -- limits ----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "limited",
    [{"requests": 600, "burst": 20}, {"tokens": 60_000}],
    ids=["requests", "tokens"],
)
def test_no_row_is_lost_to_a_rate_limit_and_the_limit_is_used(limited: dict[str, float]) -> None:
    usage = {"input_tokens": 80, "output_tokens": 20}

    async def main() -> tuple[pd.DataFrame, RateLimits, float]:
        loop = asyncio.get_running_loop()
        limits = RateLimits(**limited, charge=lambda body: 100, clock=loop.time)  # type: ignore[arg-type]
        service = VirtualService([turn("Hi", usage=usage)], limits, loop=True)
        agent = Agent(name="G", model=OpenAIResponsesModel("any", service.client()))
        frame = frame_of(*map(str, range(600)))
        out = await map_frame(agent, frame, "{review}", limits=Gate(clock=loop.time))
        return out, limits, loop.time()

    out, limits, seconds = run_in_virtual_time(main())
    assert set(out["status"]) == {"done"}
    assert limits.refused <= 6  # 1 % of the requests
    assert 600 / (seconds - 0.5) * 60 >= 0.95 * 600


@pytest.mark.slow
@pytest.mark.parametrize("headers", ["lie", "vanish", "azure"])
def test_no_row_is_lost_whatever_the_headers_say(headers: str) -> None:
    async def main() -> tuple[pd.DataFrame, RateLimits]:
        loop = asyncio.get_running_loop()
        style: Any = "azure" if headers == "azure" else "openai"
        limits = RateLimits(
            requests=600,
            burst=20,
            headers=style,
            reported_factor=5 if headers == "lie" else 1,
            clock=loop.time,
        )

        def turns(request: Any) -> Any:
            if headers == "vanish" and request.number == 50:
                limits.headers = "none"
            return "Hi"

        service = VirtualService(turns, limits)
        agent = Agent(name="G", model=OpenAIResponsesModel("any", service.client()))
        frame = frame_of(*map(str, range(300)))
        return await map_frame(agent, frame, "{review}", limits=Gate(clock=loop.time)), limits

    out, limits = run_in_virtual_time(main())
    assert set(out["status"]) == {"done"}
    assert limits.refused <= 60


@pytest.mark.slow
def test_two_kernels_and_two_models_at_once_lose_no_row_and_each_uses_its_limit() -> None:
    async def main() -> tuple[list[pd.DataFrame], list[RateLimits], float]:
        loop = asyncio.get_running_loop()
        limits = [RateLimits(requests=600, burst=20, clock=loop.time) for _ in range(2)]
        services = [VirtualService(["Hi"], each, loop=True) for each in limits]
        runs = []
        for kernel in range(2):  # a gate each: they know nothing of each other
            gate = Gate(clock=loop.time)
            for name, service in zip(("small", "large"), services, strict=True):
                agent = Agent(name="G", model=OpenAIResponsesModel(name, service.client()))
                frame = frame_of(*(f"{kernel} {number}" for number in range(200)))
                runs.append(map_frame(agent, frame, "{review}", limits=gate))
        return list(await asyncio.gather(*runs)), limits, loop.time()

    frames, limits, seconds = run_in_virtual_time(main())
    assert all(set(frame["status"]) == {"done"} for frame in frames)
    assert [each.allowed for each in limits] == [400, 400]
    assert sum(each.refused for each in limits) <= 40
    assert seconds < 400 / 600 * 60 / 0.8


def test_a_budget_of_tokens_starts_no_row_that_would_go_beyond() -> None:
    usage = {"input_tokens": 80, "output_tokens": 20}
    agent = critic(lambda request: turn("Hi", usage=usage))
    frame = frame_of(*map(str, range(100)))
    run = map_frame(agent, frame, "{review}", limits=Limits(tokens=1050))
    with pytest.raises(RowError, match="budget is used up: 1,000 tokens"):
        run.wait()
    assert list(run.frame["status"]).count("done") == 10


def test_a_budget_of_usd_needs_a_price_that_is_known() -> None:
    frame = frame_of(*map(str, range(10)))
    with pytest.raises(UserError, match="price of this model is not known"):
        map_frame(critic(), frame, "{review}", limits=Limits(usd=1)).wait()


def test_a_budget_of_usd_is_held() -> None:
    usage = {"input_tokens": 1_000_000, "output_tokens": 0}
    model = ScriptedModel(lambda request: turn("Hi", usage=usage), model="gpt-5-mini")
    agent = Agent(name="G", model=model)
    frame = frame_of(*map(str, range(30)))
    run = map_frame(agent, frame, "{review}", limits=Limits(usd=2.1), concurrency=8)
    with pytest.raises(RowError, match="budget"):
        run.wait()
    assert 1.5 < run.progress.usd <= 2.1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"limits": "fast"}, "limits must be"),
        ({"on_error": "ignore"}, "on_error"),
        ({"on_change": "ask"}, "on_change"),
        ({"concurrency": 0}, "concurrency"),
        ({"tries": 0}, "tries"),
    ],
)
def test_a_wrong_argument_is_told_at_once(arguments: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        map_frame(critic(), frame_of("a"), "{review}", **arguments)


def test_what_is_no_frame_and_no_agent_is_told() -> None:
    with pytest.raises(UserError, match="DataFrame"):
        map_frame(critic(), ["a"], "{review}")
    with pytest.raises(UserError, match="Agent"):
        map_frame("critic", frame_of("a"), "{review}")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="positive"):
        Limits(usd=-1)


# -- many ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_workers_pull_rows_and_never_are_there_as_many_as_rows() -> None:
    most = 0

    async def count(request: Any) -> Any:
        nonlocal most
        await asyncio.sleep(0.001)
        most = max(most, len(asyncio.all_tasks()))
        return "x"

    frame = frame_of(*map(str, range(400)))
    out = map_frame(critic(count), frame, "{review}", concurrency=10).wait()
    assert set(out["status"]) == {"done"}
    assert most < 60


@pytest.mark.slow
def test_memory_stays_flat() -> None:
    class Quiet(ScriptedModel):
        def _request(self, *given: Any) -> Any:
            request = super()._request(*given)
            self.requests.clear()
            return request

    async def main(count: int) -> float:
        agent = Agent(name="G", model=Quiet(["Hi"], loop=True))
        frame = frame_of(*map(str, range(count)))
        run = map_frame(agent, frame, "{review}", run_config=RunConfig())
        await run
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        asyncio.run(main(20))
        small = asyncio.run(main(50))
        large = asyncio.run(main(450))
    finally:
        tracemalloc.stop()
    assert (large - small) / 400 < 2000  # bytes a row
