"""`map_frame`: an agent over the rows of a DataFrame."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from .._utils.keywords import suggesting
from ..models.gate.gate import Gate
from ..run_config import DEFAULT_MAX_TURNS, RunConfig
from .background import Frame
from .bar import attach
from .frame_run import FrameRun
from .limits import Limits
from .options import AgentOrMaker, MapOptions, Options, made_agent
from .plan import OnChange
from .prompt import RowPrompt

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .compare import Comparison

__all__ = ["map_frame"]


@overload
def map_frame(
    agent: AgentOrMaker, frame: Frame, prompt: RowPrompt, **options: Unpack[MapOptions]
) -> FrameRun[Frame]: ...


@overload
def map_frame(
    agent: AgentOrMaker,
    frame: Any,
    prompt: RowPrompt,
    *,
    repeat: int,
    scorers: Sequence[Any] | None = None,
    **options: Unpack[MapOptions],
) -> Comparison: ...


@overload
def map_frame(
    agent: AgentOrMaker,
    frame: Any,
    prompt: RowPrompt,
    *,
    scorers: Sequence[Any],
    **options: Unpack[MapOptions],
) -> Comparison: ...


@overload
def map_frame(
    agent: Mapping[str, AgentOrMaker],
    frame: Any,
    prompt: RowPrompt,
    *,
    repeat: int = 1,
    scorers: Sequence[Any] | None = None,
    **options: Unpack[MapOptions],
) -> Comparison: ...


@suggesting
def map_frame(
    agent: AgentOrMaker | Mapping[str, AgentOrMaker],
    frame: Any,
    prompt: RowPrompt,
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
    mode: Literal["batch"] | None = None,
    client: Any = None,
    progress: bool | None = None,
    repeat: int | None = None,
    scorers: Sequence[Any] | None = None,
) -> FrameRun[Any] | Comparison:
    """Run an agent for each row of a frame, in the background; no row is lost.

    Rows wait for the service's rate limits, equal rows are asked once, and each row is written to
    the checkpoint as it ends: the same call again asks only what is missing.

    Parameters
    ----------
    agent : Agent or callable or dict of Agent
        An agent, or a function that creates it. The whole agent runs for each row, with its tools,
        handoffs, guardrails and output type. A dict of agents by name compares them: see
        `Comparison`.
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
        A SQLite file; several kernels can share it, and then share the work.
    on_error : {"keep", "raise"}
        Whether to keep an error in its row, or to stop the other rows.
    on_change : {"error", "ask again", "keep"}
        What to do if the checkpoint has answers to another prompt or of another agent.
    context : object, optional
        Given to every run.
    max_turns : int or None
        Of every run.
    run_config : RunConfig or dict, optional
        Of every run.
    concurrency : int
        How many rows run at the same time, at most.
    tries : int
        How often a row is run if its error may be temporary and none of its tools has run. A rate
        limit (429) uses up no try.
    keep : {"runs"}, optional
        Keep every row's run, for `FrameRun.runs`; else memory stays flat.
    mode : {"batch"}, optional
        Use the service's Batch API: half the price, within 24 hours, for agents with one model
        call. The same call, later or in another kernel, collects the answers.
    client : dask.distributed.Client, optional
        Its workers run the rows; this process keeps the gate, the budget, the checkpoint and the
        progress bar. Agents are sent by cloudpickle, keys never.
    progress : bool or None
        Whether to show a progress bar; None: in a notebook, and if standard error is a terminal.
    repeat : int, optional
        How often each row is run; any value, even 1, returns a `Comparison`.
    scorers : sequence, optional
        Functions, output types or agents that judge each output; returns a `Comparison`.

    Returns
    -------
    FrameRun or Comparison
        ``await`` it, or call its ``wait()``, to get the frame of outputs.

    Raises
    ------
    UserError
        The prompt does not fit the frame, or an argument is invalid.

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
    options = Options(
        limits=limits,
        checkpoint=checkpoint,
        on_error=on_error,
        on_change=on_change,
        context=context,
        max_turns=max_turns,
        run_config=run_config,
        concurrency=concurrency,
        tries=tries,
        keep=keep,
        mode=mode,
        client=client,
    )
    run: Any
    if isinstance(agent, Mapping) or repeat is not None or scorers is not None:
        from .compare import Comparison

        agents = agent if isinstance(agent, Mapping) else {made_agent(agent).name: agent}
        times = 1 if repeat is None else repeat
        run = Comparison(agents, frame, prompt, options, repeat=times, scorers=scorers or ())
    else:
        run = options.make(agent, frame, prompt)
    attach(run, progress)
    run.start()
    return run
