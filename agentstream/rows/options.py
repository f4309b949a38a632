"""How the rows of a frame are asked, and what is made of it for one agent."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypedDict, get_args

from ..exceptions import UserError, check_choice
from ..models.gate.gate import Gate
from ..run.active_recording import active
from ..run_config import RunConfig
from .batch.pool import BatchPool
from .batch.suitable import refuse_for_batch
from .checkpoint import Checkpoint
from .columns import Columns
from .frame_run import FrameRun, FrameSource
from .frames import as_pandas
from .key import agent_request
from .limits import Budget, Limits
from .plan import OnChange, Plan
from .pool import Pool
from .prompt import Prompts
from .worker import Asker

if TYPE_CHECKING:
    from ..agent import Agent

__all__ = ["AgentOrMaker", "CompareOptions", "MapOptions", "Options", "made_agent"]

AgentOrMaker: TypeAlias = "Agent[Any] | Callable[[], Agent[Any]]"

_ON_ERROR: Final = ("keep", "raise")


class MapOptions(TypedDict, total=False):
    """The keyword options of `map_frame`, but those that give a comparison."""

    limits: Limits | Gate | Literal["auto"] | None
    checkpoint: str | os.PathLike[str] | None
    on_error: Literal["keep", "raise"]
    on_change: OnChange
    context: Any
    max_turns: int | None
    run_config: RunConfig | dict[str, Any] | None
    concurrency: int
    tries: int
    keep: Literal["runs"] | None
    mode: Literal["batch"] | None
    client: Any
    progress: bool | None


class CompareOptions(MapOptions, total=False):
    """All keyword options of `map_frame`."""

    repeat: int | None
    scorers: Sequence[Any] | None


@dataclass
class Options:
    """The arguments of `map_frame` beside agent, frame and prompt; checked when they are given.

    Attributes
    ----------
    gate : Gate or None
        What requests wait for.
    budget : Budget
        What may be spent; of all that is made with these options.
    config : RunConfig
        Of each run.
    """

    limits: Any
    checkpoint: str | os.PathLike[str] | None
    on_error: Literal["keep", "raise"]
    on_change: OnChange
    context: Any
    max_turns: int | None
    run_config: Any
    concurrency: int
    tries: int
    keep: str | None
    mode: Literal["batch"] | None = None
    client: Any = None
    gate: Gate | None = field(init=False)
    budget: Budget = field(init=False)
    config: RunConfig = field(init=False)

    def __post_init__(self) -> None:
        choices = (
            ("on_error", self.on_error, _ON_ERROR),
            ("on_change", self.on_change, get_args(OnChange)),
            ("mode", self.mode, (None, "batch")),
            ("keep", self.keep, (None, "runs")),
        )
        for name, value, known in choices:
            check_choice(f"map_frame({name}=...)", value, known)
        for name, number in (("concurrency", self.concurrency), ("tries", self.tries)):
            if number < 1:
                raise UserError(f"map_frame({name}=...) must be at least 1, got {number!r}.")
        if not isinstance(self.checkpoint, (str, os.PathLike, NoneType)):
            raise UserError(
                f"map_frame(checkpoint=...) takes the path of a file, got {self.checkpoint!r}; "
                'write checkpoint="rows.sqlite".'
            )
        limits, gate = Limits.of(self.limits)
        self.budget, config = Budget(limits), RunConfig.of(self.run_config)
        if config.gate is None and gate is not None:
            config = replace(config, gate=gate)
        self.config = config
        if self.client is not None:
            self._check_client()
        self.gate = config.gate if isinstance(config.gate, Gate) else gate

    def _check_client(self) -> None:
        """Say what cannot be had from another process."""
        from .cluster.asker import require_client

        require_client(self.client)
        if self.mode is not None:
            raise UserError(
                f"map_frame(mode={self.mode!r}) asks nothing by itself: it needs no client=..."
            )
        if self.keep == "runs":
            raise UserError(
                "map_frame(keep='runs') keeps runs of this process, and with client=... they are "
                "those of Dask's workers. Run a few rows without client=... to look at them."
            )
        if active() is not None:
            raise UserError(
                "recording(...) records what this process asks, and with client=... Dask's workers "
                "do. Use a checkpoint, which keeps each row's answer."
            )

    def as_pandas(self, frame: Any, prompt: Any = None) -> tuple[Any, Callable[[Any], Any]]:
        """As `frames.as_pandas`; a frame of Dask is computed by the client that was given."""
        with nullcontext() if self.client is None else self.client.as_current():
            return as_pandas(frame, prompt)

    def make(self, agent: AgentOrMaker, frame: Any, prompt: Any) -> FrameRun[Any]:
        """The run of one agent over a frame, not begun; parameters as for `map_frame`.

        Raises
        ------
        UserError
            The prompt does not fit the frame, or what should be an agent is none.
        """
        rows, back = self.as_pandas(frame, prompt)
        return self.over(agent, rows.index, Prompts(rows, prompt), back=back)

    def over(
        self,
        agent: AgentOrMaker,
        index: Any,
        prompts: Prompts,
        *,
        back: Callable[[Any], Any] = lambda frame: frame,
        label: str = "",
        repeat: int = 0,
    ) -> FrameRun[Any]:
        """The run of one agent over rows whose prompts are known, not begun.

        Several runs may share the prompts. `back` makes a frame of the library that the rows came
        from; `label` is the agent's, where several share the checkpoint; `repeat` is which of
        several runs over the same rows.

        Raises
        ------
        UserError
            What should be an agent is none.
        """
        agent_or_factory, agent = agent, made_agent(agent)
        if self.mode == "batch":
            refuse_for_batch(agent, self.config, self.checkpoint)
        columns = Columns(agent.output_type)
        config, context = self.config, self.context
        asker = Asker(agent, config, columns, context, self.max_turns, self.tries, active())
        if self.client is not None:
            from .cluster.asker import on_cluster

            asker = on_cluster(asker, agent_or_factory, self.client, self.gate)
        pool = (Pool if self.mode is None else BatchPool)(
            Plan(prompts, len(index), repeat),
            asker,
            self.budget,
            self.gate,
            most=self.concurrency,
            keeps_runs=self.keep == "runs",
            on_error=self.on_error,
            name_of=lambda position: index[position],
        )
        source = FrameSource(
            index,
            columns,
            lambda: agent_request(agent, config, context),
            lambda: None if self.checkpoint is None else Checkpoint(self.checkpoint),
            self.on_change,
            label,
            back,
        )
        return FrameRun(source, pool)


def made_agent(agent: Any) -> Agent[Any]:
    """The agent that was given, or that a function makes.

    Raises
    ------
    UserError
        It is neither.
    """
    from ..agent import Agent

    made = agent() if callable(agent) and not isinstance(agent, Agent | type) else agent
    if not isinstance(made, Agent):
        raise UserError(
            "map_frame's first argument must be an Agent, a function that makes one, or a dict of "
            f"them by their names, got {type(made).__name__}."
        )
    return made
