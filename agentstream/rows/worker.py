"""One row: the whole agent is run for it, and what became of it is a value."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import openai

from ..exceptions import ModelBehaviorError, ModelStreamError, ModelTimeoutError, RecordingError
from ..models.gate.refusals import is_fatal, is_rate_limit
from ..models.retry.advice import normalize
from ..run.active_recording import ActiveRecording
from ..run.agent_runner import is_replaced
from ..run.runner import Runner, completed, prepared
from ..run_config import RunConfig
from ..trace.prices import cost_usd, price_usd
from .columns import Columns
from .key import model_name
from .result import RowResult, failure

if TYPE_CHECKING:
    from ..agent import Agent
    from ..run.result import RunResult
    from ..trace.trace import Trace

__all__ = ["LAST_FAILURES", "Asker", "Outcome", "signature"]

LAST_FAILURES: Final = 5
"""So many rows that failed are shown, and can be looked at."""

_TRANSIENT: Final = (
    openai.APIConnectionError,
    ModelStreamError,
    ModelTimeoutError,
    ModelBehaviorError,
)


@dataclass(slots=True)
class Outcome:
    """What became of a row, and what else came of it.

    Attributes
    ----------
    result : RowResult
        What became of it.
    run : RunResult or None
        The run, where it succeeded.
    error : Exception or None
        What it failed with.
    stops_all : bool
        Whether every other row would fail alike: no quota, no valid key.
    """

    result: RowResult
    run: RunResult | None = None
    error: Exception | None = None
    stops_all: bool = False


@dataclass
class Asker:
    """Runs the agent for rows.

    Attributes
    ----------
    agent : Agent
        The agent.
    config : RunConfig
        Of each run.
    columns : Columns
        Of the output.
    context : object
        Of each run.
    max_turns : int or None
        Of each run.
    tries : int
        How often a row is run that fails by what may pass, before any of its tools has run.
    recording : ActiveRecording or None
        What was on when the rows were begun.
    streams : bool
        Whether rows that begin now are asked for a stream: somebody watches one.
    live : dict of Trace
        The runs that are under way, by their rows' keys.
    failures : dict of Trace
        Those of the last rows that failed.
    """

    agent: Agent[Any]
    config: RunConfig
    columns: Columns
    context: Any
    max_turns: int | None
    tries: int
    recording: ActiveRecording | None = None
    streams: bool = False
    live: dict[bytes, Trace] = field(default_factory=dict)
    failures: dict[bytes, Trace] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """Why rows wait for something else than the gate; empty where they do not."""
        return ""

    async def open(self) -> None:
        """Prepare to ask: nothing, where this process does it."""

    async def close(self) -> None:
        """Ask no more."""

    async def ask(self, key: bytes, request: str | list[Any], before: int = 0) -> Outcome:
        """Run the agent for a row; only what is no error of the row is raised."""
        outcome = Outcome(RowResult(key, "failed"))
        usage: list[Any] = []
        for attempt in range(1, self.tries + 1):
            began = time.monotonic()
            try:
                run = await self._run(key, request if isinstance(request, str) else list(request))
            except Exception as error:  # noqa: BLE001 - a row's failure is a value in its row
                outcome = Outcome(failure(key, error), None, error, self._stops_all(error))
                usage.append(getattr(error, "run_data", None))
            else:
                outcome = self._success(key, run)
                usage.append(run)
            result = outcome.result
            result.seconds = time.monotonic() - began
            result.attempts = before + attempt
            again = outcome.error is not None and _may_pass(outcome.error)
            if not again or outcome.stops_all:
                break
        _count(outcome.result, usage, model_name(self.agent, self.config))
        if getattr(self.recording, "is_replaying", False) and outcome.run is not None:
            outcome.result.source = "recording"
        return outcome

    async def _run(self, key: bytes, request: str | list[Any]) -> RunResult:
        how: Any = {
            "context": self.context,
            "max_turns": self.max_turns,
            "run_config": self.config,
        }
        if is_replaced():
            return await Runner.run(self.agent, request, **how)
        state, options = prepared(self.agent, request, **how)
        options.streamed = self.streams
        self.live[key] = state.trace
        try:
            return await completed(state, options)
        except Exception:
            self.failures.pop(key, None)
            self.failures[key] = state.trace
            while len(self.failures) > LAST_FAILURES:
                del self.failures[next(iter(self.failures))]
            raise
        finally:
            self.live.pop(key, None)

    def _success(self, key: bytes, run: RunResult) -> Outcome:
        if run.interruptions:
            calls = ", ".join(f"{item.name}({item.arguments})" for item in run.interruptions)
            error = PermissionError(
                f"The agent asks for an approval, which no row can give: {calls}. Approve tools by "
                "a policy (needs_approval=a function), or run this row by itself."
            )
            return Outcome(failure(key, error), None, error)
        values = self.columns.values(run.final_output)
        return Outcome(RowResult(key, "done", values), run)

    def _stops_all(self, error: Exception) -> bool:
        if isinstance(error, RecordingError):
            return False
        return is_fatal(error) or (self.config.gate is not None and is_rate_limit(error))


def signature(result: RowResult) -> tuple[str | None, str]:
    """What errors that are alike have in common: the type, and the text without its numbers."""
    text = re.sub(r"'[^']*'|\"[^\"]*\"|\b[0-9a-f-]{8,}\b|\d+", "", result.error or "")
    return result.error_type, text[:200]


def _may_pass(error: Exception) -> bool:
    """Whether the row may be run once more: the error may pass, and nothing was done yet."""
    status = normalize(error).status_code
    passes = isinstance(error, _TRANSIENT) or (status is not None and status >= 500)
    items = getattr(getattr(error, "run_data", None), "new_items", ())
    return passes and not any(item.type == "tool_call_output_item" for item in items)


def _count(result: RowResult, runs: list[Any], model: str) -> None:
    """Add up the tokens and the price of all runs of a row."""
    cost = 0.0
    for run in filter(None, runs):
        usage = run.context_wrapper.usage
        cached = getattr(usage.input_tokens_details, "cached_tokens", 0) or 0
        result.input_tokens += usage.input_tokens
        result.cached_tokens += cached
        result.output_tokens += usage.output_tokens
        trace = getattr(run, "trace", None)
        if trace is not None:
            cost += sum(cost_usd(turn) for turn in trace.turns if turn.usage is not None)
        elif usage.input_tokens or usage.output_tokens:
            cost += price_usd(model, usage.input_tokens, cached, usage.output_tokens)
    result.cost_usd = cost
