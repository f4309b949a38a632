"""`local_model`: a real model without a key, found or started when it is first asked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..._utils.keywords import suggesting
from ..._utils.printable import write_text
from ...exceptions import UserError
from ..base import Model
from ..http.batches import BatchedStream, batches_of
from ..provider import OpenAIProvider
from ..retry.attempts import advice_for
from .serve import ALIAS
from .servers import LocalServer, running_servers
from .small import small_server

if TYPE_CHECKING:
    from ...items import ModelResponse, TResponseStreamEvent
    from ..retry.attempts import ModelRetryAdvice, ModelRetryAdviceRequest

__all__ = ["LocalModel", "local_model"]


@suggesting
def local_model(
    name: str | None = None, *, weights: str | Path | None = None, quiet: bool = False
) -> LocalModel:
    """Use a model on this machine: no account, no key, and nothing leaves the machine.

    It is looked for when it is first asked: Ollama, LM Studio, llama.cpp and vLLM at their usual
    ports. Where none runs, a small model is started in a process of its own, which all kernels of
    this user share and which ends with the last of them. That needs
    ``pip install 'jupyter-agentstream[local]'`` and the weights; the error says how.

    Parameters
    ----------
    name : str, optional
        The model to find, such as ``"qwen3:8b"``; ``"smollm2"`` is the small one. By default, the
        model that a server has loaded, or its first.
    weights : path, optional
        A GGUF file to start instead of the small model; no server is searched for.
    quiet : bool
        Whether to suppress the message about which model is used and whether it is small.

    Examples
    --------
    ::

        await show(Agent(name="Guide", model=local_model()), "What is a mean?")
    """
    return LocalModel(name, weights=weights, quiet=quiet)


class LocalModel(Model):
    """A model on this machine; `local_model` makes one."""

    passes_gate = True

    def __init__(
        self, name: str | None = None, *, weights: str | Path | None = None, quiet: bool = False
    ) -> None:
        self.model = name or "local"
        """What recordings call it: the name that was given, whatever it was found as."""
        self.server: LocalServer | None = None
        """Where it was found; None until it is first asked."""
        self._name = name
        self._weights = None if weights is None else Path(weights).expanduser()
        self._quiet = quiet
        self._is_small = weights is not None
        self._load_model: Callable[[], Model]
        self._finding = threading.Lock()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'' if self._name is None else repr(self._name)})"

    def find(self) -> LocalServer:
        """Find the server, or start the small one, now; it takes seconds where it is started.

        Raises
        ------
        UserError
            No server runs here that has the model, and what starts one is not installed.
        """
        with self._finding:
            if self.server is not None and not self._is_small:
                return self.server
            server, name = self._find_server_model()
            self._take(server, name)
            return server

    def identity(self) -> str:
        """What tells its answers from those of another model here; nothing is started to know it.

        That is the name that was given or the file, else the model that is found running, else the
        small one, which would be started.
        """
        if self._weights is not None:
            return self._weights.name
        if self._name is not None:
            return self._name
        with self._finding:
            if self.server is None and (name := self._running(running_servers())):
                self._take(*name)
            return ALIAS if self.server is None else self.server.models[0]

    def _take(self, server: LocalServer, name: str) -> None:
        if server == self.server:
            return
        self.server = server
        provider = OpenAIProvider(api_key=server.key, base_url=server.base_url, use_responses=False)
        self._load_model = partial(provider.get_model, name)
        if not self._quiet:
            write_text(f"Local model: {server.describe(name)}.\n")

    def _running(self, servers: list[LocalServer]) -> tuple[LocalServer, str] | None:
        """The first server that has the model, and what it calls it."""
        for server in servers:
            if name := server.models[0] if self._name is None else server.named(self._name):
                return server, name
        return None

    def _find_server_model(self) -> tuple[LocalServer, str]:
        if not self._is_small:
            servers = running_servers()
            if match := self._running(servers):
                return match
            if self._name not in (None, ALIAS):
                listed = "; ".join(f"{one.kind}: {', '.join(one.models)}" for one in servers)
                raise UserError(
                    f"No server on this machine has the model {self._name!r}. There is: "
                    f"{listed or 'no server'}. Get it (`ollama pull {self._name}`), or leave the "
                    "name out to take what there is."
                )
        try:
            server = small_server(self._weights)
        except UserError as error:
            if self._is_small:
                raise
            raise UserError(
                "No server of models runs on this machine: Ollama (port 11434), LM Studio (1234), "
                f"llama.cpp (8080) and vLLM (8000) do not answer. {error}"
            ) from error
        self._is_small = True  # its process may be gone before the next call
        return server, ALIAS

    async def _ready(self) -> Model:
        if self.server is None or self._is_small:
            await asyncio.to_thread(self.find)
        return self._load_model()

    async def get_response(self, *args: Any, **options: Any) -> ModelResponse:
        """Answer in one piece; parameters as in `Model.get_response`.

        Raises
        ------
        UserError
            As of `find`.
        """
        return await (await self._ready()).get_response(*args, **options)

    def stream_response(self, *args: Any, **options: Any) -> BatchedStream[TResponseStreamEvent]:
        """Answer as a stream; parameters as in `Model.stream_response`."""
        return BatchedStream(self._batches(*args, **options))

    async def _batches(
        self, *args: Any, **options: Any
    ) -> AsyncGenerator[list[TResponseStreamEvent], None]:
        stream = (await self._ready()).stream_response(*args, **options)
        async with aclosing(batches_of(stream)) as batches:
            async for batch in batches:
                yield batch

    def get_retry_advice(self, request: ModelRetryAdviceRequest) -> ModelRetryAdvice | None:
        """Say what the error's status and headers tell about trying again."""
        return advice_for(request)
