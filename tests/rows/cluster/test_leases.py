"""One gate for several processes: leases, in virtual time and without a cluster."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import openai
import pytest

from agentstream import Agent, Gate, OpenAIResponsesModel, RunConfig, Runner
from agentstream.rows.cluster.job import PackedError
from agentstream.rows.cluster.leases import LeasedGate
from agentstream.rows.cluster.lessor import Lessor
from agentstream.testing import RateLimits, VirtualService, http_error, run_in_virtual_time


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    """The first request waits for a thread that prepares, which the virtual clock does not."""

    async def main() -> None:
        service = VirtualService(["Fine."])
        await Runner.run(Agent(name="A", model=OpenAIResponsesModel("any", service.client())), "Hi")

    run_in_virtual_time(main())


class Wire:
    """A worker process as the gate sees it: its messages are pickled, and take a while."""

    def __init__(self, gate: Gate, others: list[Wire], delay: float = 0.02) -> None:
        self.delay = delay
        self.is_cut = False
        self.gate = LeasedGate(self._up)
        self.lessor = Lessor(gate, self._down, self._recall)
        self._others = others
        others.append(self)

    def _up(self, message: tuple[Any, ...]) -> None:
        self._later(self.lessor.handle, message)

    def _down(self, message: tuple[Any, ...]) -> None:
        self._later(lambda kind, *what: getattr(self.gate, kind)(*what), message)

    def _recall(self, line: Any) -> None:
        for wire in self._others:
            wire._down(("recall", line))

    def _later(self, handle: Any, message: tuple[Any, ...]) -> None:
        kind, *what = pickle.loads(pickle.dumps(message))

        def arrive() -> None:
            if not self.is_cut:
                handle(kind, *what)

        asyncio.get_running_loop().call_later(self.delay, arrive)


def setting(count: int, limits: dict[str, Any], **options: Any) -> Any:
    """A gate, so many workers, and the service that all of them ask."""
    clock = asyncio.get_running_loop().time
    service = VirtualService(["Fine."], RateLimits(clock=clock, **limits), loop=True, **options)
    gate, wires = Gate(clock=clock), []
    for _ in range(count):
        Wire(gate, wires)
    return service, gate, wires


async def ask(service: Any, wire: Wire, text: str = "Hi") -> Any:
    if not hasattr(service, "agent"):
        service.agent = Agent(name="A", model=OpenAIResponsesModel("any", service.client()))
    return await Runner.run(service.agent, text, run_config=RunConfig(gate=wire.gate))


@pytest.mark.slow
def test_the_joint_rate_of_two_workers_is_the_limit_within_two_percent() -> None:
    async def main() -> tuple[float, int]:
        service, _, wires = setting(2, {"requests": 600, "burst": 20}, latency=0.3)
        results = [ask(service, wires[number % 2]) for number in range(600)]
        assert {each.final_output for each in await asyncio.gather(*results)} == {"Fine."}
        times = service.limits.times
        return (len(times) - 2) / (times[-1] - times[1]) * 60, service.limits.refused

    rate, refused = run_in_virtual_time(main())
    assert 588 <= rate <= 612
    assert refused == 0


def test_a_worker_holds_the_admissions_of_about_a_second() -> None:
    async def main() -> tuple[int, int]:
        service, _, wires = setting(2, {"requests": 600, "burst": 20}, latency=0.1)
        asked = [asyncio.ensure_future(ask(service, wires[number % 2])) for number in range(200)]
        await asyncio.sleep(5.0)
        answered = sum(each.done() for each in asked)
        for wire in wires:
            wire.delay = 1000.0  # the client's process is busy
        await asyncio.sleep(30.0)
        more = sum(each.done() for each in asked) - answered
        for each in asked:
            each.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        return answered, more

    answered, more = run_in_virtual_time(main())
    assert 35 <= answered <= 55
    assert 5 <= more <= 20, "ten a second, and those that were under way"


@pytest.mark.slow
def test_a_worker_that_is_lost_gives_back_what_it_was_given() -> None:
    async def main() -> tuple[int, int, float]:
        service, gate, wires = setting(2, {"requests": 600, "burst": 20}, latency=0.3)
        lost = [asyncio.ensure_future(ask(service, wires[0])) for _ in range(50)]
        kept = [asyncio.ensure_future(ask(service, wires[1])) for _ in range(300)]
        await asyncio.sleep(3.0)
        wires[0].is_cut = True
        wires[0].lessor.abandon()
        for each in lost:
            each.cancel()
        await asyncio.gather(*kept)
        await asyncio.gather(*lost, return_exceptions=True)
        await asyncio.sleep(1.0)
        state = gate.state()
        times = [at for at in service.limits.times if at > 4.5]
        return state.in_flight, state.waiting, (len(times) - 1) / (times[-1] - times[0]) * 60

    in_flight, waiting, rate = run_in_virtual_time(main())
    assert (in_flight, waiting) == (0, 0)
    assert 588 <= rate <= 612


@pytest.mark.slow
def test_without_headers_workers_share_what_the_service_bears_and_lose_nothing() -> None:
    async def main() -> tuple[int, int]:
        limits = {"requests": 600, "burst": 20, "headers": "none"}
        service, _, wires = setting(2, limits, latency=0.3)
        results = await asyncio.gather(*(ask(service, wires[n % 2]) for n in range(400)))
        return len(results), service.limits.refused

    count, refused = run_in_virtual_time(main())
    assert count == 400
    assert refused < 80


@pytest.mark.slow
def test_a_refusal_calls_back_the_admissions_that_no_worker_has_used() -> None:
    async def main() -> tuple[int, int]:
        limits = {"requests": 600, "burst": 20, "reported_factor": 5.0}
        service, _, wires = setting(3, limits, latency=0.2)
        await asyncio.gather(*(ask(service, wires[n % 3]) for n in range(400)))
        return service.limits.allowed, service.limits.refused

    allowed, refused = run_in_virtual_time(main())
    assert allowed == 400
    assert refused < 100, "a service that tells five times its limit"


def test_a_refused_key_ends_the_waiting_of_all_workers() -> None:
    async def main() -> list[Any]:
        clock = asyncio.get_running_loop().time
        service = VirtualService([http_error(401)], RateLimits(clock=clock), loop=True)
        gate, wires = Gate(clock=clock), []
        for _ in range(2):
            Wire(gate, wires)
        asked = [ask(service, wires[number % 2]) for number in range(20)]
        results = await asyncio.gather(*asked, return_exceptions=True)
        return [type(each) for each in results] + [gate.state().waiting]

    *kinds, waiting = run_in_virtual_time(main())
    assert set(kinds) == {openai.AuthenticationError}
    assert waiting == 0


def test_a_service_that_refuses_all_ends_the_waiting_of_all_workers() -> None:
    async def main() -> list[Any]:
        clock = asyncio.get_running_loop().time
        service = VirtualService([http_error(429)], RateLimits(clock=clock), loop=True)
        wires: list[Wire] = []
        gate = Gate(clock=clock)
        for _ in range(2):
            Wire(gate, wires)
        asked = [ask(service, wires[number % 2]) for number in range(6)]
        return await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 36_000)

    assert {type(each) for each in run_in_virtual_time(main())} == {openai.RateLimitError}


def test_who_was_cancelled_in_line_takes_no_admission() -> None:
    async def main() -> tuple[int, int]:
        service, gate, wires = setting(1, {"requests": 60, "burst": 1}, latency=0.1)
        asked = [asyncio.ensure_future(ask(service, wires[0])) for _ in range(10)]
        await asyncio.sleep(2.5)
        for each in asked[3:]:
            each.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        await asyncio.sleep(5.0)
        return gate.state().in_flight, gate.state().waiting

    assert run_in_virtual_time(main()) == (0, 0)


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500])
def test_an_error_travels_with_its_type_and_status(status: int) -> None:
    async def main() -> Exception:
        service = VirtualService([http_error(status)], loop=True)
        agent = Agent(name="A", model=OpenAIResponsesModel("any", service.client()))
        try:
            await Runner.run(agent, "Hi")
        except Exception as error:
            return error
        raise AssertionError

    error: Any = run_in_virtual_time(main())
    copy: Any = pickle.loads(pickle.dumps(PackedError.of(error))).error()
    assert type(copy) is type(error)
    assert copy.status_code == status
    assert str(copy) == str(error)
