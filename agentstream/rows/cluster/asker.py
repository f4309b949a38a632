"""Asks rows by the workers of a Dask cluster, in the place of `Asker`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from ..._extras import install_command
from ..._utils.aio import running_loop_or_none
from ...exceptions import UserError
from ...handoffs import Handoff
from ...models.retry.client_retries import remember_client
from ...run.model_call import find_model
from ..worker import Asker, Outcome
from .crew import Crew
from .job import Job

if TYPE_CHECKING:
    from distributed import Client

    from ...agent import Agent
    from ...models.gate.gate import Gate

__all__ = ["ClusterAsker", "on_cluster", "require_client"]

T = TypeVar("T")


class ClusterAsker(Asker):
    """Has the workers of a cluster ask rows; the cluster is only used while rows are asked.

    Attributes and parameters are those of `Asker`, and what `on_cluster` adds.
    """

    _client: Client
    _job: bytes
    _gate: Gate | None
    _crew: Crew | None = None

    @property
    def reason(self) -> str:
        """Why rows wait for something else than the gate; empty where they do not."""
        is_waiting = self._crew is not None and self._crew.is_waiting
        return "no worker of Dask is ready" if is_waiting else ""

    async def ask(self, key: bytes, request: str | list[Any], before: int = 0) -> Outcome:
        """Have a worker run the agent for a row."""
        assert self._crew is not None
        return await self._there(self._crew.ask(key, request, before))

    async def open(self) -> None:
        """Look for workers."""
        self._crew = await self._there(self._make())

    async def close(self) -> None:
        """Let the workers go."""
        crew, self._crew = self._crew, None
        if crew is not None:
            await self._there(crew.close())

    async def _make(self) -> Crew:
        # Actors look for the current client, which need not be this one.
        with self._client.as_current():
            return Crew(self._client, self._job, self._gate)

    async def _there(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of work that is done on the client's event loop."""
        loop: asyncio.AbstractEventLoop = self._client.loop.asyncio_loop
        if loop is running_loop_or_none():
            return await work
        if loop.is_closed():
            work.close()
            raise UserError("The Dask client is closed: connect one, and call run.retry().")
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))


def on_cluster(
    asker: Asker,
    agent_or_factory: Agent[Any] | Callable[[], Agent[Any]],
    client: Client,
    gate: Gate | None,
) -> ClusterAsker:
    """What asks the same rows by a cluster.

    Raises
    ------
    UserError
        The agent does not pickle, or holds a key.
    """
    _remember_clients(asker)
    made = ClusterAsker(**{each.name: getattr(asker, each.name) for each in fields(asker)})
    made._job = Job(
        agent_or_factory, asker.config, asker.context, asker.max_turns, asker.tries
    ).pack()
    made._client, made._gate = client, gate
    return made


def _remember_clients(asker: Asker) -> None:
    """Know the keys that the agents ask with, so that none is sent along.

    A function that makes the agent may hold them, in what it closes over or in its own code: it has
    made the agent in this process already, so its clients tell.
    """
    seen: dict[int, Any] = {}
    waiting: list[Any] = [asker.agent]
    while waiting:
        agent = waiting.pop()
        if id(agent) in seen:
            continue
        seen[id(agent)] = agent
        for entry in agent.handoffs:
            known = entry._agent_ref and entry._agent_ref() if isinstance(entry, Handoff) else entry
            waiting += [] if known is None else [known]
        with suppress(UserError):  # without a key there is none to be sent
            model = find_model(agent, asker.config)
            remember_client(model)  # some have no client, but a key of their own
            remember_client(getattr(model, "_client", None))


def require_client(client: Any) -> None:
    """Raise a UserError if it is no client of Dask."""
    try:
        from distributed import Client
    except ImportError:
        raise UserError(
            f"map_frame(client=...) needs dask and distributed: {install_command('dask')}."
        ) from None
    if not isinstance(client, Client):
        raise UserError(
            "map_frame(client=...) must be a dask.distributed.Client, got "
            f"{type(client).__name__}. For a client of a model's API, give it to the model: "
            "Agent(model=OpenAIResponsesModel(name, client))."
        )
