"""`map_frame(client=...)`: rows that the workers of a Dask cluster ask."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from agentstream import (
    Agent,
    Gate,
    Limits,
    OpenAIProvider,
    OpenAIResponsesModel,
    RunConfig,
    UserError,
    function_tool,
    handoff,
    map_frame,
    recording,
    set_default_openai_client,
)
from agentstream.models.http import credentials
from agentstream.rows.cluster.job import Job
from agentstream.testing import RateLimits, ScriptedServer, answer, call, http_error

distributed = pytest.importorskip("distributed")
KEY = "sk-of-this-test-7f3a19c4"

pytestmark = [
    pytest.mark.timeout(300),
    # Of dask and tornado, at the end of a cluster.
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="module", autouse=True)
def _collected() -> Iterator[None]:
    """What clusters leave unclosed is blamed on no other test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    """Where workers send their requests, by the environment that they inherit."""
    with ScriptedServer(reply, pace=None) as server:
        yield server


@pytest.fixture(autouse=True)
def _environment(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def reply(request: Any) -> Any:
    if "fail" in request.user_text:
        return http_error(400)
    return f"<{request.user_text}>"


@pytest.fixture(scope="module")
def client(server: ScriptedServer) -> Iterator[Any]:
    """A cluster of threads: quick to begin. Not the default client, as a careful program has it."""
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=False,
            dashboard_address=None,
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client


def critic(**settings: Any) -> Agent[Any]:
    return Agent(name="Critic", **{"model": "gpt-5-mini", **settings})


def reviews(count: int, start: int = 0) -> pd.DataFrame:
    return pd.DataFrame({"review": [f"r{number}" for number in range(start, start + count)]})


def asked(server: ScriptedServer) -> Counter[str]:
    return Counter(
        str(
            each.body["input"]
            if isinstance(each.body["input"], str)
            else each.body["input"][0]["content"]
        )
        for each in server.requests
    )


# -- what comes back -------------------------------------------------------------------------------


def test_the_workers_ask_each_row_once(client: Any, server: ScriptedServer) -> None:
    frame = reviews(60)
    run = map_frame(critic(), frame, "{review}", client=client)
    out = run.wait()
    assert list(out["final_output"]) == [f"<{text}>" for text in frame["review"]]
    assert set(out["status"]) == {"done"}
    counts = asked(server)
    assert {counts[text] for text in frame["review"]} == {1}
    assert run.progress.done == 60
    assert out["input_tokens"].gt(0).all()


def test_a_row_that_fails_says_so_and_the_others_go_on(client: Any) -> None:
    frame = pd.DataFrame({"review": ["a", "fail", "b"]})
    out = map_frame(critic(), frame, "{review}", client=client, limits=None).wait()
    assert list(out["status"]) == ["done", "failed", "done"]
    assert out["error_type"][1] == "BadRequestError"


def brought_along() -> dict[str, Any]:
    """Tools, handoffs and an output type that no worker can import."""

    class Place(BaseModel):
        city: str

    class Verdict(BaseModel):
        label: str
        place: Place | None = None

    place = Place(city="Oslo")

    @function_tool
    def look(word: str) -> str:
        """Look a word up."""
        return f"{word} in {place.city}"

    return {"tools": [look], "handoffs": [handoff(Agent(name="O"))], "output_type": Verdict}


def test_tools_handoffs_and_output_types_travel(client: Any, server: ScriptedServer) -> None:
    agent = critic(**brought_along())
    said = iter(
        [[call("look", word="fjord")], answer({"label": "good", "place": {"city": "Rome"}})]
    )
    before, server._script = server._script, type(server._script)(lambda request: next(said))
    try:
        out = map_frame(agent, reviews(1, 900), "{review}", client=client).wait()
    finally:
        server._script = before
    assert out.loc[0, ["status", "label", "place.city"]].tolist() == ["done", "good", "Rome"]
    assert "fjord in Oslo" in str(server.requests[-1].body["input"])


def test_a_function_that_makes_the_agent_is_called_on_each_worker(client: Any) -> None:
    def make() -> Agent[Any]:
        return critic(model=OpenAIResponsesModel("gpt-5-mini", AsyncOpenAI()))

    out = map_frame(make, reviews(3, 100), "{review}", client=client).wait()
    assert list(out["final_output"]) == ["<r100>", "<r101>", "<r102>"]


def test_rows_come_one_by_one_and_stop_ends_them(client: Any) -> None:
    async def main() -> tuple[list[str], Any]:
        gate = Gate(requests_per_minute=1200)
        run = map_frame(critic(), reviews(500, 200), "{review}", client=client, limits=gate)
        seen = []
        async for row in run:
            seen.append(row.status)
            if len(seen) == 5:
                run.stop()
        return seen, await run

    seen, out = asyncio.run(main())
    assert 5 <= len(seen) < 200
    assert (out["status"] == "waiting").sum() == 500 - len(seen)


def test_the_budget_and_the_checkpoint_are_those_of_this_process(
    client: Any, server: ScriptedServer, tmp_path: Path
) -> None:
    frame, path = reviews(40, 1000), tmp_path / "rows.sqlite"
    run = map_frame(
        critic(), frame, "{review}", client=client, checkpoint=path, limits=Limits(tokens=60)
    )
    with pytest.raises(Exception, match="budget is used up"):
        run.wait()
    done = int((run.frame["status"] == "done").sum())
    assert 0 < done < 40
    out = map_frame(critic(), frame, "{review}", client=client, checkpoint=path).wait()
    assert set(out["status"]) == {"done"}
    assert (out["source"] == "checkpoint").sum() == done
    counts = asked(server)
    assert {counts[text] for text in frame["review"]} == {1}


def test_a_dask_frame_is_asked_and_comes_back_as_one(client: Any) -> None:
    dd = pytest.importorskip("dask.dataframe")
    frame = pd.DataFrame(
        {"review": ["a", "b", "c", "d"], "secret": [object()] * 4}, index=[3, 1, 2, 0]
    )
    given = dd.from_pandas(frame[["review"]], npartitions=2, sort=False)
    out = map_frame(critic(), given, "{review}", client=client).wait()
    assert out.npartitions == 2
    assert list(out.compute(scheduler="sync").index) == [3, 1, 2, 0]
    local = map_frame(critic(), given, "{review}", limits=None).wait()
    assert list(local.compute(scheduler="sync")["final_output"]) == ["<a>", "<b>", "<c>", "<d>"]


def test_an_asynchronous_client_on_the_same_loop_does_as_well(server: ScriptedServer) -> None:
    async def main() -> list[Any]:
        async with (
            distributed.LocalCluster(
                n_workers=1,
                threads_per_worker=1,
                processes=False,
                dashboard_address=None,
                asynchronous=True,
            ) as cluster,
            distributed.Client(cluster, asynchronous=True, set_as_default=False) as client,
        ):
            return list(
                (await map_frame(critic(), reviews(4), "{review}", client=client))["status"]
            )

    assert asyncio.run(main()) == ["done"] * 4


# -- what does not travel --------------------------------------------------------------------------


def job_of(agent: Any, **config: Any) -> Job:
    return Job(agent, RunConfig(**config), None, 10, 1)


def test_no_key_is_in_what_travels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(credentials._defaults, "key", KEY)
    assert KEY.encode() not in job_of(critic(), gate=Gate()).pack()


@pytest.mark.parametrize(
    ("agent", "config"),
    [
        (critic(), {"model_settings": {"extra_headers": {"Authorization": f"Bearer {KEY}"}}}),
        (critic(), {"model_provider": OpenAIProvider(api_key=KEY)}),
        (critic(instructions=lambda context, agent: f"Say {KEY}"), {}),
    ],
    ids=["a header", "a provider", "a function"],
)
def test_an_agent_with_a_key_is_refused(
    agent: Any, config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", KEY)
    with pytest.raises(UserError, match="Keys do not travel") as caught:
        job_of(agent, **config).pack()
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("through", ["the agent", "an agent", "a handoff", "a provider"])
def test_a_key_that_a_factory_closes_over_is_refused(client: Any, through: str) -> None:
    key = "of-my-own-server-5e1b"  # reads as no key, was never sent, and is in no environment

    def make() -> Agent[Any]:
        model = OpenAIResponsesModel("gpt-5-mini", AsyncOpenAI(api_key=key))
        if through == "the agent":
            return critic(model=model)
        second = Agent(name="Second", model=model)
        return critic(handoffs=[second if through == "an agent" else handoff(second)])

    config = {}
    if through == "a provider":
        config = {"run_config": RunConfig(model_provider=OpenAIProvider(api_key=key))}
    agent = critic() if config else make
    with pytest.raises(UserError, match="Keys do not travel") as caught:
        map_frame(agent, reviews(1), "{review}", client=client, **config)
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    "key",
    [f"sk-proj-{'aB3_' * 12}", f"sk-{'Ab1' * 16}", f"ghp_{'Ab1' * 12}", f"AIza{'a1-_B' * 7}"],
)
def test_what_reads_as_a_key_is_refused(key: str) -> None:
    def make() -> Agent[Any]:
        return critic(instructions=key)

    with pytest.raises(UserError, match="reads as a key") as caught:
        job_of(make).pack()
    assert key not in str(caught.value)
    assert "os.environ" in str(caught.value)
    job_of(
        critic(instructions="Is it sk-something-like-that, or a task-of-2024-09-13-or-so?")
    ).pack()


def test_a_client_does_not_pickle_and_the_error_says_what_to_do() -> None:
    agent = critic(model=OpenAIResponsesModel("gpt-5-mini", AsyncOpenAI(api_key=KEY)))
    with pytest.raises(UserError, match=r"The agent cannot be sent .*Name the model") as caught:
        job_of(agent).pack()
    assert "a function that makes the agent" in str(caught.value)
    with pytest.raises(UserError, match="run_config cannot be sent"):
        job_of(critic(), model=agent.model).pack()
    with pytest.raises(UserError, match="context cannot be sent"):
        Job(critic(), RunConfig(), threading.Lock(), 10, 1).pack()


def test_a_default_client_is_not_silently_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials._defaults, "client", None)
    set_default_openai_client(AsyncOpenAI(api_key=KEY))
    with pytest.raises(UserError, match="set_default_openai_client"):
        job_of(critic()).pack()


def test_what_needs_this_process_is_refused(client: Any, tmp_path: Path) -> None:
    for options in ({"keep": "runs"}, {"mode": "batch"}):
        with pytest.raises(UserError, match="client="):
            map_frame(critic(), reviews(1), "{review}", client=client, **options)
    with (
        recording(tmp_path / "rows.jsonl", mode="record"),
        pytest.raises(UserError, match="records what this process asks"),
    ):
        map_frame(critic(), reviews(1), "{review}", client=client)
    with pytest.raises(UserError, match=r"dask\.distributed\.Client"):
        map_frame(critic(), reviews(1), "{review}", client=AsyncOpenAI(api_key=KEY))


def test_a_worker_that_cannot_load_the_agent_ends_the_rows_with_the_reason(client: Any) -> None:
    here = os.getpid()
    calls = []

    def make() -> Agent[Any]:
        calls.append(here)
        if threading.current_thread() is not threading.main_thread():
            raise ModuleNotFoundError("No module named 'mine'")
        return critic()

    run = map_frame(make, reviews(3), "{review}", client=client)
    with pytest.raises(UserError, match=r"cannot load the agent: .*mine.*upload_file"):
        run.wait()


@pytest.mark.slow
def test_the_local_default_needs_no_dask() -> None:
    code = (
        "import sys, pandas as pd\n"
        "from agentstream import Agent, map_frame\n"
        "from agentstream.testing import ScriptedModel\n"
        "sys.modules['dask'] = sys.modules['distributed'] = sys.modules['cloudpickle'] = None\n"
        "agent = Agent(name='A', model=ScriptedModel(['x'], loop=True))\n"
        "frame = pd.DataFrame({'a': ['1', '2']})\n"
        "assert map_frame(agent, frame, '{a}').wait()['status'].eq('done').all()\n"
        "try:\n    map_frame(agent, frame, '{a}', client=object())\n"
        "except Exception as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'jupyter-agentstream[dask]'" in done.stdout


# -- processes, one of which is killed -------------------------------------------------------------


@pytest.mark.slow
def test_a_killed_worker_costs_no_more_than_its_rows_in_flight() -> None:
    rows, per_minute = 600, 2400
    limits = RateLimits(requests=per_minute, burst=80)
    with ScriptedServer(reply, pace=None, limits=limits) as server:
        env = {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": KEY}
        with (
            distributed.LocalCluster(
                n_workers=2,
                threads_per_worker=1,
                dashboard_address=None,
                env=env,
            ) as cluster,
            distributed.Client(cluster, set_as_default=False) as client,
        ):
            frame = reviews(rows)
            pids = list(client.run(os.getpid).values())
            threads = client.run(lambda: [t.name for t in threading.enumerate()])
            run = map_frame(critic(), frame, "{review}", client=client)
            in_flight = []

            def kill() -> None:
                while len(limits.times) < rows // 3:
                    time.sleep(0.01)
                crew = run._pool.asker._crew
                in_flight.append(max(len(each.rows) for each in crew._members.values()))
                os.kill(pids[0], signal.SIGKILL)

            killer = threading.Thread(target=kill)
            killer.start()
            out = run.wait()
            killer.join()
            names = client.run(lambda: [t.name for t in threading.enumerate()])
        counts = asked(server)
    assert set(out["status"]) == {"done"}
    twice = sum(counts[text] - 1 for text in frame["review"])
    assert {counts[text] for text in frame["review"]} <= {1, 2}
    assert twice <= in_flight[0], "paid for twice: at most what was in flight"
    assert not any("agentstream rows" in each for each in threads.values())
    assert [each.count("agentstream rows") for each in names.values()].count(1) >= 1
    assert max(each.count("agentstream rows") for each in names.values()) == 1
    assert limits.refused <= rows // 100
    # Never above the limit, over any stretch of ten seconds and its burst.
    times = limits.times
    for start in range(0, len(times), 50):
        until = times[start] + 10.0
        assert sum(times[start] <= at < until for at in times) <= per_minute / 6 * 1.02 + 1
