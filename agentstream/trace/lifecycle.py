"""What happens in a run beside the events of the SDK: plain values, added to the same stream.

An SDK stream says nothing of a retry, of the moment a tool really starts, or of how a run ended.
These marks say it. Each has a ``type`` of its own, so a fold dispatches marks and events in one
table; a stream without any mark is folded as well, its times then follow from the events around
them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

GuardrailStage: TypeAlias = Literal["input", "output", "tool_input", "tool_output"]


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The run began, or went on after an approval.

    ``question`` is what is shown of an input with figures, images, frames or files in it.
    """

    agent: str | None = None
    input: str | None = None
    question: list[dict[str, Any]] | None = None
    type: Literal["mark.run_started"] = "mark.run_started"


@dataclass(frozen=True, slots=True)
class ModelCalled:
    """A request leaves for the model."""

    agent: str | None = None
    model: str | None = None
    type: Literal["mark.model_called"] = "mark.model_called"


@dataclass(frozen=True, slots=True)
class ModelAnswered:
    """A request was answered in one piece; a streamed answer tells this itself."""

    response_id: str | None = None
    usage: Any = None
    type: Literal["mark.model_answered"] = "mark.model_answered"


@dataclass(frozen=True, slots=True)
class ModelRetried:
    """A model call failed and is made again after ``delay`` seconds.

    What it wrote is superseded; unless it is ``resumed``: then its stream goes on where it broke.
    """

    attempt: int
    delay: float = 0.0
    error: str | None = None
    resumed: bool = False
    type: Literal["mark.model_retried"] = "mark.model_retried"


@dataclass(frozen=True, slots=True)
class StreamStalled:
    """A model has sent nothing for ``seconds``; after ``limit`` it is given up.

    With a ``reason`` the request has not left: it waits for a rate limit.
    """

    seconds: float
    limit: float | None = None
    reason: str = ""
    type: Literal["mark.model_silent"] = "mark.model_silent"


@dataclass(frozen=True, slots=True)
class StreamRecovered:
    """A model that was silent speaks again."""

    type: Literal["mark.model_heard"] = "mark.model_heard"


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """The function behind a call begins."""

    call_id: str
    name: str | None = None
    type: Literal["mark.tool_started"] = "mark.tool_started"


@dataclass(frozen=True, slots=True)
class ToolProgressed:
    """A running tool reports something; ``fraction`` is between 0 and 1 if it is known."""

    call_id: str
    message: str = ""
    fraction: float | None = None
    type: Literal["mark.tool_progressed"] = "mark.tool_progressed"


@dataclass(frozen=True, slots=True)
class ToolWarned:
    """Something is wrong with a call although it goes on, such as that it blocks the event loop."""

    call_id: str
    message: str
    type: Literal["mark.tool_warned"] = "mark.tool_warned"


@dataclass(frozen=True, slots=True)
class ToolDisplayed:
    """A running tool printed or displayed something; ``clears``: in the place of what was there."""

    call_id: str
    blocks: list[dict[str, Any]]
    clears: bool = False
    type: Literal["mark.tool_displayed"] = "mark.tool_displayed"


@dataclass(frozen=True, slots=True)
class ToolFinished:
    """The function behind a call returned ``output``, or failed with ``error``.

    ``display`` is what is shown of an output that is a figure or a frame. ``traceback`` has the
    lines of the tool's author that led to the error.
    """

    call_id: str
    error: str | None = None
    output: Any = None
    display: list[dict[str, Any]] | None = None
    traceback: str | None = None
    type: Literal["mark.tool_finished"] = "mark.tool_finished"


@dataclass(frozen=True, slots=True)
class OutputWithheld:
    """A guardrail refuses a tool's output: ``message`` stands in its place from now on.

    What an agent said that ran as the tool is withheld with it. Without a ``call_id`` it is the
    model's answer that is refused. ``raises``: the run ends with that, by ``guardrail``.
    """

    message: str
    call_id: str | None = None
    guardrail: str | None = None
    stage: GuardrailStage = "output"
    raises: bool = True
    type: Literal["mark.output_withheld"] = "mark.output_withheld"


@dataclass(frozen=True, slots=True)
class GuardrailStarted:
    """A guardrail begins to check."""

    name: str
    stage: GuardrailStage = "input"
    agent: str | None = None
    call_id: str | None = None
    type: Literal["mark.guardrail_started"] = "mark.guardrail_started"


@dataclass(frozen=True, slots=True)
class GuardrailFinished:
    """A guardrail has decided."""

    name: str
    tripped: bool
    stage: GuardrailStage = "input"
    agent: str | None = None
    call_id: str | None = None
    type: Literal["mark.guardrail_finished"] = "mark.guardrail_finished"


@dataclass(frozen=True, slots=True)
class ApprovalRequested:
    """A call waits for a person.

    ``approval_id`` names this call and no other, as `agentstream._approvals.approval_id` gives it,
    once a decision can be made; ``arguments`` are there for a run that goes on elsewhere, where its
    call was not seen.
    """

    call_id: str
    name: str | None = None
    approval_id: str | None = None
    arguments: str | None = None
    type: Literal["mark.approval_requested"] = "mark.approval_requested"


@dataclass(frozen=True, slots=True)
class ApprovalDecided:
    """A person approved or rejected a call."""

    call_id: str
    approved: bool
    approval_id: str | None = None
    type: Literal["mark.approval_decided"] = "mark.approval_decided"


@dataclass(frozen=True, slots=True)
class RunCancelled:
    """The run was stopped from outside."""

    reason: str | None = None
    type: Literal["mark.run_cancelled"] = "mark.run_cancelled"


@dataclass(frozen=True, slots=True)
class RunFailed:
    """The run ended with an error."""

    error: str
    type: Literal["mark.run_failed"] = "mark.run_failed"


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The run came to its end; with open approvals it is paused, not completed."""

    type: Literal["mark.run_finished"] = "mark.run_finished"


@dataclass(frozen=True, slots=True)
class Nested:
    """An event of an agent that runs as a tool of this run.

    ``path`` holds the call ids that lead to it, the outermost first.
    """

    path: tuple[str, ...]
    event: Any
    type: Literal["mark.nested"] = "mark.nested"


@dataclass(frozen=True, slots=True)
class RunClosed:
    """Nothing of the run is left: its connection is closed, and its task has ended.

    The last that observers of a streamed run are told, at a pause for approvals as at the end. No
    trace and no recording has it: it tells of the task, not of what happened in the run.
    """

    type: Literal["mark.run_closed"] = "mark.run_closed"


LifecycleEvent: TypeAlias = (
    RunStarted
    | ModelCalled
    | ModelAnswered
    | ModelRetried
    | StreamStalled
    | StreamRecovered
    | ToolStarted
    | ToolProgressed
    | ToolWarned
    | ToolDisplayed
    | ToolFinished
    | GuardrailStarted
    | GuardrailFinished
    | ApprovalRequested
    | ApprovalDecided
    | OutputWithheld
    | RunCancelled
    | RunFailed
    | RunFinished
    | Nested
)
