"""`map_frame`: an agent over the rows of a DataFrame."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from ..errors import UserError
from ..models.gate.gate import Gate
from ..models.recorded.active import active
from ..run.config import DEFAULT_MAX_TURNS, RunConfig
from .bar import attach
from .checkpoint import Checkpoint
from .columns import Columns
from .frame_run import FrameRun, Source
from .frames import as_pandas
from .key import agent_request
from .limits import Limits
from .plan import OnChange, Plan
from .pool import Pool
from .prompt import Prompts
from .worker import Asker

if TYPE_CHECKING:
    from ..agent import Agent

__all__ = ["map_frame"]

_ON_ERROR: Final = ("keep", "raise")


def map_frame(
    agent: Agent[Any],
    frame: Any,
    prompt: Any,
    *,
    limits: Limits | Gate | Literal["auto"] | None = "auto",
    checkpoint: str | os.PathLike[str] | None = None,
    on_error: Literal["keep", "raise"] = "keep",
    on_change: OnChange = "error",
    context: Any = None,
    max_turns: int | None = DEFAULT_MAX_TURNS,
    run_config: RunConfig | dict[str, Any] | None = None,
    concurrency: int = 256,
    tries: int = 2,
    keep: Literal["runs"] | None = None,
    progress: bool | None = None,
) -> FrameRun:
    """Run an agent for each row of a frame, in the background; no row is lost.

    Rows wait for the service's rate limits, equal rows are asked once, and each row is written to
    the checkpoint as it ends: the same call again asks only what is missing.

    Parameters
    ----------
    agent : Agent
        Run whole for each row: its tools, handoffs, guardrails and output type count.
    frame : DataFrame
        The rows: of pandas, and with `narwhals` also of polars, pyarrow and others.
    prompt : str or callable or sequence
        A format string over the columns (``"Classify: {review}"``), the name of a column, a
        function of the row (a dict), or a prompt for each row; a prompt is a text or a list of
        input items.
    limits : {"auto"}, Limits, Gate or None
        ``"auto"``: the rate limits that the service tells. `Limits`: a budget, and limits of your
        own. None: no gate.
    checkpoint : path, optional
        A SQLite file; several kernels may share it, and with it the work.
    on_error : {"keep", "raise"}
        A row's failure is kept in its row, or ends the rest.
    on_change : {"error", "ask again", "keep"}
        What to do where the checkpoint has answers to another prompt, or of another agent.
    context : object, optional
        Given to every run.
    max_turns : int or None
        Of every run.
    run_config : RunConfig or dict, optional
        Of every run.
    concurrency : int
        How many rows are asked at once, at most.
    tries : int
        How often a row is run that fails by what may pass, as long as no tool of it has run. A rate
        limit (429) uses up none.
    keep : {"runs"}, optional
        Keep every row's run, for `FrameRun.runs`; else memory stays flat.
    progress : bool or None
        Whether to show a bar; None: in a notebook, and where standard error is a terminal.

    Returns
    -------
    FrameRun
        ``await`` it for the frame of outputs, or call its ``wait()``.

    Raises
    ------
    UserError
        The prompt does not fit the frame, or an argument is none.

    Examples
    --------
    >>> import pandas as pd
    >>> from agentstream import Agent, map_frame
    >>> from agentstream.testing import ScriptedModel
    >>> reviews = pd.DataFrame({"review": ["Great!", "Never again.", "Great!"]})
    >>> model = ScriptedModel(lambda request: "good" if "Great" in request.user_text else "bad")
    >>> run = map_frame(Agent(name="Critic", model=model), reviews, "Classify: {review}")
    >>> run.wait()[["final_output", "status", "source"]]
      final_output status     source
    0         good   done      asked
    1          bad   done      asked
    2         good   done  equal row
    """
    _check(agent, on_error, on_change, concurrency, tries)
    budget, gate = Limits.of(limits)
    config = RunConfig.of(run_config)
    if config.gate is None and gate is not None:
        config = replace(config, gate=gate)
    elif config.gate is not None:
        gate = config.gate if isinstance(config.gate, Gate) else gate
    frame, back = as_pandas(frame)
    columns = Columns(agent.output_type)
    prompts = Prompts(frame, prompt)
    pool = Pool(
        Plan(prompts, len(frame)),
        Asker(agent, config, columns, context, max_turns, tries, active()),
        budget,
        gate,
        most=concurrency,
        keeps_runs=keep == "runs",
        on_error=on_error,
        name_of=lambda position: frame.index[position],
    )
    source = Source(
        frame.index,
        columns,
        lambda: agent_request(agent, config, context),
        lambda: None if checkpoint is None else Checkpoint(checkpoint),
        on_change,
        back=back,
    )
    run = FrameRun(source, pool, gate)
    attach(run, progress)
    run.start()
    return run


def _check(agent: Any, on_error: str, on_change: str, concurrency: int, tries: int) -> None:
    from ..agent import Agent

    if not isinstance(agent, Agent):
        raise UserError(f"map_frame's first argument must be an Agent, got {type(agent).__name__}.")
    choices = (
        ("on_error", on_error, _ON_ERROR),
        ("on_change", on_change, get_args(OnChange)),
    )
    for name, given, known in choices:
        if given not in known:
            raise UserError(f"map_frame({name}=...) must be one of {known}, got {given!r}.")
    for name, number in (("concurrency", concurrency), ("tries", tries)):
        if number < 1:
            raise UserError(f"map_frame({name}=...) must be at least 1, got {number!r}.")
