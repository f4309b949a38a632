"""The gate: when requests leave, what headers say, and that no run is lost to a rate limit."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import agentstream
from agentstream import (
    Agent,
    Gate,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    RunConfig,
    Runner,
    UserError,
)
from agentstream.models.base import Model
from agentstream.models.gate.headers import Reading, read_limits, read_reset
from agentstream.models.gate.limiter import Limiter
from agentstream.testing import (
    RateLimits,
    ScriptedModel,
    ScriptedServer,
    VirtualService,
    http_error,
    run_in_virtual_time,
    turn,
)

ONE = {"requests": 1.0}

# -- headers ---------------------------------------------------------------------------------------


def test_openais_headers_are_read() -> None:
    headers = {
        "x-ratelimit-limit-requests": "600",
        "x-ratelimit-remaining-requests": "599",
        "x-ratelimit-reset-requests": "100ms",
        "x-ratelimit-limit-tokens": "30000",
        "x-ratelimit-remaining-tokens": "29000",
        "x-ratelimit-reset-tokens": "1m2s",
    }
    assert read_limits(headers) == {
        "requests": Reading(600, 599, 0.1),
        "tokens": Reading(30000, 29000, 62.0),
    }


def test_azures_minus_one_says_nothing() -> None:
    headers = {f"x-ratelimit-{name}-requests": "-1" for name in ("limit", "remaining")}
    assert read_limits({**headers, "x-ratelimit-reset-requests": "0"}) == {}


def test_anthropics_times_are_seconds_from_now() -> None:
    now = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
    start = "anthropic-ratelimit-input-tokens"
    headers = {
        f"{start}-limit": "40000",
        f"{start}-remaining": "0",
        f"{start}-reset": "2026-11-30T08:00:12Z",
    }
    assert read_limits(headers, now) == {"input-tokens": Reading(40000, 0, 12.0)}


@given(st.text(max_size=20))
def test_no_header_is_too_strange(text: str) -> None:
    reset = read_reset(text)
    assert reset is None or (reset >= 0 and math.isfinite(reset))
    names = [f"x-ratelimit-{name}-requests" for name in ("limit", "remaining", "reset")]
    for reading in read_limits(dict.fromkeys(names, text)).values():
        assert reading.limit > 0


# -- the limiter -----------------------------------------------------------------------------------


def test_one_probe_leaves_first_and_the_rest_when_it_is_answered() -> None:
    limiter = Limiter()
    probe = limiter.admit(ONE, 0.0)
    assert limiter.time_for(ONE, 0.0) == math.inf
    limiter.note_limits(probe, {"requests": Reading(600, 599, 0.1)}, 1.0)
    assert limiter.time_for(ONE, 1.0) <= 1.1


def test_a_refusal_lets_all_wait_as_long_as_the_service_says() -> None:
    limiter = Limiter(requests_per_minute=6000)
    permits = [limiter.admit(ONE, 0.0) for _ in range(3)]
    limiter.refused(permits[0], 7.0, 1.0)
    assert limiter.time_for(ONE, 1.0) == 8.0


def test_requests_that_left_under_one_limit_cut_it_once() -> None:
    limiter = Limiter()
    limiter.succeeded(limiter.admit(ONE, 0.0), {}, 0.5)
    before = limiter.window
    permits = [limiter.admit(ONE, 1.0) for _ in range(8)]
    for permit in permits:
        limiter.refused(permit, 1.0, 2.0)
    assert limiter.window == pytest.approx(before * 0.75)
    limiter.refused(limiter.admit(ONE, 4.0), 1.0, 5.0)
    assert limiter.window == pytest.approx(before * 0.75**2)


def test_the_window_grows_only_while_it_is_used() -> None:
    limiter = Limiter()
    limiter.succeeded(limiter.admit(ONE, 0.0), {}, 0.5)
    for second in range(1, 50):
        limiter.succeeded(limiter.admit(ONE, second), {}, second + 0.5)
    assert limiter.window == 16
    permits = [limiter.admit(ONE, 60.0) for _ in range(16)]
    for permit in permits:
        limiter.succeeded(permit, {}, 61.0)
    assert limiter.window > 16


def test_a_servers_error_stops_the_growth_for_a_while() -> None:
    limiter = Limiter()
    limiter.succeeded(limiter.admit(ONE, 0.0), {}, 0.5)
    permits = [limiter.admit(ONE, 1.0) for _ in range(16)]
    limiter.failed(permits.pop(), 1.5)
    for permit in permits:
        limiter.succeeded(permit, {}, 2.0)
    assert limiter.window == 16


def test_a_service_that_always_says_nothing_remains_is_not_believed() -> None:
    limiter = Limiter()
    now = 0.0
    for _ in range(60):
        now = max(now, limiter.time_for(ONE, now))
        permit = limiter.admit(ONE, now)
        limiter.note_limits(permit, {"requests": Reading(600, 0, 60.0)}, now + 0.1)
        limiter.succeeded(permit, {}, now + 0.1)
        now += 0.1
    assert limiter.time_for(ONE, now) - now < 0.2


events = st.lists(
    st.tuples(
        st.sampled_from(["ask", "ok", "429", "500", "drop", "read"]),
        st.floats(0, 5),
        st.floats(0, 10),
    ),
    max_size=120,
)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(events, st.one_of(st.none(), st.integers(1, 2000)))
@example([("ask", 0, 0), ("ask", 4, 0), ("429", 0, 0), ("429", 4, 0)], 15)
def test_whatever_happens_the_limiter_keeps_its_laws(
    happens: list[tuple[str, float, float]], limit: int | None
) -> None:
    limiter = Limiter(requests_per_minute=limit)
    now, permits, left = 0.0, [], []
    for what, wait, number in happens:
        now += wait
        if what == "ask":
            if limiter.time_for(ONE, now) <= now:
                permits.append(limiter.admit(ONE, now))
                left.append(now)
        elif permits:
            permit = permits.pop(int(number) % len(permits))
            if what == "read":
                reading = Reading(1 + number * 100, number, number)
                limiter.note_limits(permit, {"requests": reading}, now)
                permits.append(permit)
            elif what == "ok":
                limiter.succeeded(permit, {"tokens": number}, now)
            elif what == "429":
                limiter.refused(permit, number if number > 5 else None, now)
                assert limiter.time_for(ONE, now) > now
            elif what == "500":
                limiter.failed(permit, now)
            else:
                limiter.withdrawn(permit)
        assert limiter.in_flight == len(permits)
        assert limiter.window >= 1
        assert all(0 < meter.share <= 1 for meter in limiter.meters.values())
    for permit in permits:
        limiter.withdrawn(permit)
    # However it went: a request that waits may leave some day.
    assert limiter.time_for(ONE, now) < now + 3600
    if limit is not None:
        for start in left:
            assert sum(start <= at < start + 6 for at in left) <= limit / 10 + limit / 300 + 2


# -- many runs at once -----------------------------------------------------------------------------


async def gathered(
    limits: RateLimits, count: int = 300, chat: bool = False, streamed: bool = False, **how: Any
) -> tuple[list[Any], VirtualService, float]:
    """Run an agent often at once through one gate; the answers, the service, the seconds."""
    loop = asyncio.get_running_loop()
    limits.clock = loop.time
    service = VirtualService(how.pop("turns", ["Hello."]), limits, loop=True, **how)
    kind = OpenAIChatCompletionsModel if chat else OpenAIResponsesModel
    guide = Agent(name="Guide", model=kind("any", service.client()))
    config = RunConfig(gate=Gate(clock=loop.time))

    async def one() -> Any:
        if streamed:
            result = Runner.run_streamed(guide, "Hi", run_config=config)
            async for _ in result.stream_events():
                pass
            return result.final_output
        return (await Runner.run(guide, "Hi", run_config=config)).final_output

    answers = await asyncio.gather(*[one() for _ in range(count)], return_exceptions=True)
    return answers, service, loop.time()


@pytest.mark.slow
@pytest.mark.parametrize("chat", [False, True], ids=["responses", "chat"])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_no_run_is_lost_and_the_limit_is_used(chat: bool, streamed: bool) -> None:
    limits = RateLimits(requests=600, burst=20)
    answers, _, seconds = run_in_virtual_time(gathered(limits, 200, chat, streamed))
    assert answers == ["Hello."] * 200
    assert limits.refused <= 2
    assert 200 / (seconds - 0.5) * 60 >= 0.95 * 600


@pytest.mark.slow
@pytest.mark.parametrize("headers", ["azure", "anthropic", "none"])
def test_no_run_is_lost_whatever_the_headers_are(headers: Any) -> None:
    limits = RateLimits(requests=600, burst=20, headers=headers)
    answers, _, seconds = run_in_virtual_time(gathered(limits, 300))
    assert answers == ["Hello."] * 300
    assert seconds < 50


@pytest.mark.slow
def test_no_run_is_lost_where_headers_lie() -> None:
    limits = RateLimits(requests=600, burst=20, reported_factor=5)
    answers, _, _ = run_in_virtual_time(gathered(limits, 300))
    assert answers == ["Hello."] * 300


@pytest.mark.slow
def test_a_limit_of_fixed_minutes_is_used_as_well() -> None:
    limits = RateLimits(requests=300, window=True)
    answers, _, seconds = run_in_virtual_time(gathered(limits, 300))
    assert answers == ["Hello."] * 300
    assert limits.refused == 0
    assert seconds < 65


@pytest.mark.slow
def test_a_limit_of_tokens_is_used_and_held() -> None:
    limits = RateLimits(tokens=12_000, charge=lambda body: 100)
    answers, _, seconds = run_in_virtual_time(
        gathered(
            limits,
            240,
            latency=1,
            turns=[turn("Hello.", usage={"input_tokens": 80, "output_tokens": 20})],
        )
    )
    assert answers == ["Hello."] * 240
    assert limits.refused <= 2
    assert 240 * 100 / seconds * 60 >= 0.95 * 12_000


def test_requests_leave_evenly() -> None:
    limits = RateLimits(requests=600, burst=20)
    run_in_virtual_time(gathered(limits, 100))
    gaps = [after - before for before, after in zip(limits.times, limits.times[1:], strict=False)]
    assert max(gaps[1:]) < 0.2
    assert sum(gap < 0.05 for gap in gaps) <= 2


@pytest.mark.slow
def test_two_kernels_share_a_limit() -> None:
    limits = RateLimits(requests=600, burst=60)

    async def main() -> list[Any]:
        both = await asyncio.gather(gathered(limits, 200), gathered(limits, 200))
        return both[0][0] + both[1][0]

    assert run_in_virtual_time(main()) == ["Hello."] * 400
    assert limits.refused <= 8


def played(turns: list[Any], count: int = 1, **settings: Any) -> tuple[list[Any], ScriptedServer]:
    """Run an agent so often at once on a scripted server; results or errors."""

    async def main() -> tuple[list[Any], ScriptedServer]:
        async with ScriptedServer(turns, loop=True) as server:
            guide = Agent(name="Guide", model="any", model_settings=ModelSettings(**settings))
            config = RunConfig(gate=Gate(), model_provider=server.provider())
            runs = [Runner.run(guide, "Hi", run_config=config) for _ in range(count)]
            return await asyncio.gather(*runs, return_exceptions=True), server

    return asyncio.run(asyncio.wait_for(main(), 30))


def test_an_account_without_quota_fails_all_that_wait_at_once() -> None:
    async def refuse(request: Any) -> Any:
        await asyncio.sleep(0.5)  # until then all stand in line
        return http_error(429, code="insufficient_quota")

    errors, server = played([refuse], 20)
    assert {type(error).__name__ for error in errors} == {"RateLimitError"}
    assert len(server.calls) == 1
    assert len({id(error) for error in errors}) == 20


def test_a_refused_key_fails_all_that_wait_and_the_next_run_is_tried_again() -> None:
    async def main() -> Any:
        async def refuse(request: Any) -> Any:
            await asyncio.sleep(0.5)
            return http_error(401, code="invalid_api_key")

        async with ScriptedServer([refuse, "Hello."]) as server:
            guide = Agent(name="Guide", model="any")
            config = RunConfig(gate=Gate(), model_provider=server.provider())
            runs = [Runner.run(guide, "Hi", run_config=config) for _ in range(5)]
            errors = await asyncio.gather(*runs, return_exceptions=True)
            assert {type(error).__name__ for error in errors} == {"AuthenticationError"}
            return (await Runner.run(guide, "Hi", run_config=config)).final_output

    assert asyncio.run(main()) == "Hello."


def test_a_request_larger_than_the_limit_is_an_error_and_not_waited_for() -> None:
    fault = http_error(429, "Request too large for gpt-5: Limit 30000, Requested 50000")
    [error], _ = played([fault])
    assert "Request too large" in str(error)


def test_a_limit_of_tokens_that_is_used_up_is_waited_for() -> None:
    # The words of Azure's refusal have "tokens" and "limit" in them, too.
    fault = http_error(429, "Rate limit of 50000 tokens per 60s exceeded", retry_after=0.005)
    [result], _ = played([fault, fault, fault, "Hello."])
    assert result.final_output == "Hello."


def test_a_service_that_never_lets_anything_through_is_given_up() -> None:
    async def main() -> Any:
        loop = asyncio.get_running_loop()
        limits = RateLimits(requests=1e-9, burst=1e-9, headers="none", retry_after=False)
        limits.clock = loop.time
        service = VirtualService(["Hello."], limits, loop=True)
        guide = Agent(name="Guide", model=OpenAIResponsesModel("any", service.client()))
        config = RunConfig(gate=Gate(clock=loop.time))
        runs = [Runner.run(guide, "Hi", run_config=config) for _ in range(5)]
        return await asyncio.gather(*runs, return_exceptions=True)

    errors = run_in_virtual_time(main())
    assert all("limit" in "".join(error.__notes__) for error in errors)


def test_a_rate_limit_uses_up_no_try_of_the_retry_settings() -> None:
    fault = http_error(429, retry_after=0.001)
    [result], _ = played([fault, fault, fault, "Hello."], retry={"max_retries": 0})
    assert result.final_output == "Hello."
    assert len(result.trace.retries) == 3


def test_time_in_line_is_held_against_no_time_limit() -> None:
    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        service = VirtualService(["Hello."], loop=True, latency=0.1)
        guide = Agent(
            name="Guide",
            model=OpenAIResponsesModel("any", service.client()),
            model_settings=ModelSettings(timeout=2),
        )
        gate = Gate(requests_per_minute=60, clock=loop.time)
        config = RunConfig(gate=gate, limits={"run": 3})
        runs = [Runner.run(guide, "Hi", run_config=config) for _ in range(10)]
        return [result.final_output for result in await asyncio.gather(*runs)]

    assert run_in_virtual_time(main()) == ["Hello."] * 10


def test_a_run_that_is_cancelled_in_line_leaves_it() -> None:
    async def main() -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        service = VirtualService(["Hello."], loop=True)
        guide = Agent(name="Guide", model=OpenAIResponsesModel("any", service.client()))
        gate = Gate(requests_per_minute=60, clock=loop.time)
        config = RunConfig(gate=gate)
        tasks = [
            asyncio.ensure_future(Runner.run(guide, "Hi", run_config=config)) for _ in range(5)
        ]
        await asyncio.sleep(0.1)
        for task in tasks[1:]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return gate.state().waiting, gate.state().in_flight

    assert run_in_virtual_time(main()) == (0, 0)


def test_a_model_of_the_programs_own_passes_the_gate_as_well() -> None:
    class Own(Model):
        inner = ScriptedModel([http_error(429), http_error(429), "Hello."])

        async def get_response(self, *args: Any, **options: Any) -> Any:
            return await self.inner.get_response(*args, **options)

        def stream_response(self, *args: Any, **options: Any) -> Any:
            return self.inner.stream_response(*args, **options)

    async def main() -> Any:
        gate = Gate(clock=asyncio.get_running_loop().time)
        work = Runner.run(Agent(name="G", model=Own()), "Hi", run_config=RunConfig(gate=gate))
        return (await work).final_output

    assert run_in_virtual_time(main()) == "Hello."


def test_the_gate_of_the_process_is_one() -> None:
    assert RunConfig(gate=True).gate is agentstream.shared_gate()
    assert RunConfig(gate=False).gate is None
    line = Gate().line("http://a", "sk-secret", "m")
    assert "sk-secret" not in repr(line)


def test_a_gate_that_is_none_is_refused() -> None:
    with pytest.raises(UserError, match="gate"):
        RunConfig(gate="fast")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="requests_per_minute"):
        Gate(requests_per_minute=0)


def test_a_server_with_limits_really_refuses() -> None:
    limits = RateLimits(requests=60, burst=2)

    async def main() -> list[Any]:
        async with ScriptedServer([turn("Hello.")], loop=True, limits=limits) as server:
            client = server.client()
            asked = [client.responses.create(model="any", input="Hi") for _ in range(5)]
            return await asyncio.gather(*asked, return_exceptions=True)

    answers = asyncio.run(main())
    assert sum(isinstance(answer, Exception) for answer in answers) == 3
    assert (limits.allowed, limits.refused) == (2, 3)


def test_a_run_that_waits_says_why_in_its_view() -> None:
    from agentstream.notebook.snapshot.bundle import snapshot
    from agentstream.notebook.snapshot.text import text_of

    async def main() -> tuple[list[str], Any]:
        loop = asyncio.get_running_loop()
        limits = RateLimits(requests=6, burst=1, clock=loop.time)
        service = VirtualService(lambda request: "Done.", limits)
        agent = Agent(name="Guide", model=OpenAIResponsesModel("any", service.client()))
        config = RunConfig(gate=Gate(clock=loop.time))
        runs = [Runner.run_streamed(agent, "Hi", run_config=config) for _ in range(3)]
        while not runs[0].is_complete:
            await asyncio.sleep(0.1)
        await asyncio.sleep(3)
        views = [snapshot(run.trace)["text/html"] for run in runs]
        for run in runs:
            async for _ in run.stream_events():
                pass
        return views, runs[-1]

    views, last = run_in_virtual_time(main())
    assert "Waiting for the rate limit" not in views[0]
    assert "Waiting for the rate limit" in views[2]
    assert "of 6 requests a minute" in views[2]
    assert last.final_output == "Done."
    [silence] = last.trace.silences
    assert silence.ended is not None
    assert "Waiting" not in text_of(last.trace)
