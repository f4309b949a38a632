"""What a worker is sent: the agent and how it is run, by cloudpickle, and without any key."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import httpx2
import openai

from ..._utils.redaction import is_ordinary, names_secret, redact, remembered
from ...agent import Agent
from ...exceptions import AgentsException, UserError
from ...models.http.credentials import default_api, default_client, set_default_openai_api
from ...models.retry.advice import normalize
from ...run_config import RunConfig
from ..columns import Columns
from ..worker import Asker

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...models.gate.gate import Gate

__all__ = ["Job", "PackedError"]

_SHORTEST_KEY: Final = 12

# Of OpenAI and others, GitHub, Google, Hugging Face, Groq, xAI, AWS. A short text is pickled behind
# a byte of its length, which may be a letter's or a digit's. Words with hyphens have no digit, or
# are shorter.
_KEY: Final = re.compile(
    rb"(?:\A|[^A-Za-z0-9_-]|\x8c.)"
    rb"(?:sk-(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{17,}"
    rb"|(?:gh[pousr]_|github_pat_|hf_|gsk_|xai-)(?=[A-Za-z_]*[0-9])[A-Za-z0-9_]{20,}"
    rb"|AIza[A-Za-z0-9_-]{35}|AKIA[A-Z0-9]{16})",
    re.DOTALL,
)


@dataclass
class Job:
    """How rows are asked, as it travels to the workers.

    Attributes
    ----------
    agent : Agent or callable
        Who is asked, or a function that makes it.
    config : RunConfig
        Of each run.
    context : object
        Of each run; each worker has a copy.
    max_turns : int or None
        Of each run.
    tries : int
        How often a row is run that fails by what may pass.
    """

    agent: Agent[Any] | Callable[[], Agent[Any]]
    config: RunConfig
    context: Any
    max_turns: int | None
    tries: int
    api: Any = None

    def pack(self) -> bytes:
        """The job as bytes.

        Raises
        ------
        UserError
            A part of it does not pickle, or holds a key.
        """
        import cloudpickle

        if isinstance(self.agent, Agent) and default_client() is not None:
            raise UserError(
                "set_default_openai_client() is of this process, and Dask's workers would ask "
                f"another server. {_WAYS_OUT}"
            )
        job = replace(self, config=replace(self.config, gate=None), api=default_api())
        try:
            data: bytes = cloudpickle.dumps(job)
        except Exception as error:
            raise UserError(
                f"{job._unpicklable()} cannot be sent to Dask's workers: "
                f"{type(error).__name__}: {redact(str(error))}. {_WAYS_OUT}"
            ) from error
        for name, value in _secrets():
            if value.encode() in data:
                raise UserError(
                    f"The agent, its run_config or its context holds a key ({name}), which would "
                    "be sent to Dask's workers. Keys do not travel: each worker reads its own "
                    f"environment. {_WAYS_OUT}"
                )
        if _KEY.search(data):
            raise UserError(
                "What would be sent to Dask's workers holds what reads as a key (such as sk-...). "
                "Keys do not travel: read it from the environment within the function that makes "
                "the agent (os.environ['OPENAI_API_KEY']), where the workers have theirs. "
                f"{_WAYS_OUT}"
            )
        return data

    @classmethod
    def unpack(cls, data: bytes, gate: Gate | None) -> Asker:
        """What asks rows, in the worker."""
        job = pickle.loads(data)
        assert isinstance(job, cls)
        if job.api != default_api():
            set_default_openai_api(job.api)
        agent = job.agent if isinstance(job.agent, Agent) else job.agent()
        config = replace(job.config, gate=gate)
        columns = Columns(agent.output_type)
        return Asker(agent, config, columns, job.context, job.max_turns, job.tries)

    def _unpicklable(self) -> str:
        """Which part it is."""
        import cloudpickle

        for name in ("agent", "config", "context"):
            try:
                cloudpickle.dumps(getattr(self, name))
            except Exception:  # noqa: BLE001 - the error is told by the caller
                return {"agent": "The agent", "config": "run_config"}.get(name, name)
        return "The agent"


_WAYS_OUT: Final = (
    "Name the model (model='gpt-5-mini'), so that each worker makes its own client from its "
    "environment (OPENAI_API_KEY, OPENAI_BASE_URL), or give a function that makes the agent on the "
    "worker: map_frame(make_agent, ...)."
)


def _secrets() -> Iterator[tuple[str, str]]:
    """Keys that this process knows, and what they are."""
    for name, value in os.environ.items():
        if not names_secret(name) or len(value) < _SHORTEST_KEY or is_ordinary(value):
            continue
        if not os.path.exists(value):  # PWD and SSH_AUTH_SOCK are named like passwords
            yield f"the environment variable {name}", value
    for value in remembered():
        yield "one that this process has sent", value


@dataclass(frozen=True)
class PackedError:
    """An error as it travels: those of the openai client do not pickle.

    Attributes
    ----------
    kind : str
        The name of its type.
    text : str
        What it says, without secrets.
    status : int or None
        The HTTP status.
    body : object
        Of the response, where it is plain.
    """

    kind: str
    text: str
    status: int | None = None
    body: Any = None

    @classmethod
    def of(cls, error: Exception) -> PackedError:
        """Pack an error."""
        facts = normalize(error)
        body = {"code": facts.error_code, "type": getattr(error, "type", None)}
        return cls(type(error).__name__, redact(str(error)), facts.status_code, body)

    def error(self) -> Exception:
        """An error that says the same, of that type where it is one of openai's."""
        kind = getattr(openai, self.kind, None)
        if isinstance(kind, type) and issubclass(kind, openai.APIStatusError) and self.status:
            request = httpx2.Request("POST", "http://dask-worker")
            response = httpx2.Response(self.status, request=request)
            return kind(self.text, response=response, body=self.body)
        return type(self.kind, (AgentsException,), {})(self.text)
