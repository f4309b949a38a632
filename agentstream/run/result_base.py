"""What all results share: a run's items, its final output, the run as data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from .._utils.keywords import Suggesting, suggesting
from ..exceptions import check_choice
from ..items import ItemHelpers, ModelResponse, RunItem, ToolApprovalItem, TResponseInputItem
from .state.run_state import RunState, is_model_visible

if TYPE_CHECKING:
    import pandas as pd

    from ..agent import Agent
    from ..guardrails import InputGuardrailResult, OutputGuardrailResult
    from ..run_context import RunContextWrapper
    from ..tool_context import AgentToolInvocation
    from ..tool_guardrails import ToolInputGuardrailResult, ToolOutputGuardrailResult
    from ..trace import Trace
    from ..trace.dataframes import Table
    from ..trace.timeline.timeline import Timeline

T = TypeVar("T")


class RunResultBase(Suggesting):
    """What all results share; every attribute reads the run's state."""

    def __init__(self, state: RunState[Any]) -> None:
        self._state = state

    @property
    def input(self) -> str | list[TResponseInputItem]:
        """The run's input; changed only by a handoff's input filter."""
        return self._state.input

    @input.setter
    def input(self, value: str | list[TResponseInputItem]) -> None:
        if value != self._state.input:
            self._state.carried = ()  # nobody knows what of it is the run's
        self._state.input = value

    @property
    def new_items(self) -> list[RunItem]:
        """The items of the run so far, in order."""
        return self._state.new_items

    @new_items.setter
    def new_items(self, value: list[RunItem]) -> None:
        self._state.new_items = value

    @property
    def raw_responses(self) -> list[ModelResponse]:
        """The model's complete answers so far."""
        return self._state.responses

    @property
    def final_output(self) -> Any:
        """The final output; None while there is none."""
        return self._state.final_output

    @property
    def input_guardrail_results(self) -> list[InputGuardrailResult]:
        """What the input guardrails found."""
        return self._state.input_guardrail_results

    @property
    def output_guardrail_results(self) -> list[OutputGuardrailResult]:
        """What the output guardrails found."""
        return self._state.output_guardrail_results

    @property
    def tool_input_guardrail_results(self) -> list[ToolInputGuardrailResult]:
        """What the tools' input guardrails found."""
        return self._state.tool_input_guardrail_results

    @property
    def tool_output_guardrail_results(self) -> list[ToolOutputGuardrailResult]:
        """What the tools' output guardrails found."""
        return self._state.tool_output_guardrail_results

    @property
    def context_wrapper(self) -> RunContextWrapper[Any]:
        """The run's context and usage."""
        return self._state.context

    @property
    def agent_tool_invocation(self) -> AgentToolInvocation | None:
        """The call that this run answers, if it is of an agent as a tool; otherwise None."""
        return self._state.agent_tool_invocation

    @property
    def interruptions(self) -> list[ToolApprovalItem]:
        """Calls that wait for a decision; resume with `to_state()`."""
        return self._state.interruptions

    @property
    def max_turns(self) -> int | None:
        """How often a model may be called; None: without limit."""
        return self._state.max_turns

    @property
    def last_agent(self) -> Agent[Any]:
        """The agent that was at work last."""
        return self._state.agent

    @property
    def last_response_id(self) -> str | None:
        """The id of the model's last answer, for `previous_response_id`."""
        responses = self._state.responses
        return responses[-1].response_id if responses else None

    @property
    def trace(self) -> Trace:
        """The run as data; tables, timeline and live view are made from it."""
        return self._state.trace

    @suggesting
    def to_frame(self, table: Table = "items") -> pd.DataFrame:
        """The run as a DataFrame; also during the run, and after it was stopped or has failed.

        Parameters
        ----------
        table : {"items", "turns", "events", "spans"}
            One row per item, model call, event, or span of the timeline.

        Returns
        -------
        pandas.DataFrame
            Times are in seconds since the start of the run.

        Examples
        --------
        >>> from agentstream import Agent, Runner
        >>> from agentstream.testing import ScriptedModel
        >>> poet = Agent(name="Poet", model=ScriptedModel(["Rain on the roof."]))
        >>> Runner.run_sync(poet, "A line").to_frame()["text"].to_list()
        ['Rain on the roof.']
        """
        from ..trace.dataframes import to_frame

        return to_frame(self, table)

    @suggesting
    def timeline(self, *, width: float = 960) -> Timeline:
        """The timeline of the run as an image: agents, model calls, tools, handoffs.

        Parameters
        ----------
        width : float
            In pixels.

        Returns
        -------
        Timeline
            Displays as SVG in a notebook and as text in a terminal; ``save`` writes it to a file.

        Examples
        --------
        >>> from agentstream import Agent, Runner
        >>> from agentstream.testing import ScriptedModel
        >>> poet = Agent(name="Poet", model=ScriptedModel(["Rain on the roof."]))
        >>> Runner.run_sync(poet, "A line").timeline().svg()[:4]
        '<svg'
        """
        from ..trace.timeline.timeline import Timeline

        return Timeline(self, width=width)

    def final_output_as(self, cls: type[T], raise_if_incorrect_type: bool = False) -> T:
        """The final output, typed for a type checker.

        Parameters
        ----------
        cls : type
            The type it has.
        raise_if_incorrect_type : bool
            Whether to check the type at run time.

        Returns
        -------
        object
            `final_output` as it is.

        Raises
        ------
        TypeError
            If the output has another type and `raise_if_incorrect_type` is True.
        """
        if raise_if_incorrect_type and not isinstance(self.final_output, cls):
            raise TypeError(f"Final output is not of type {cls.__name__}")
        return cast(T, self.final_output)

    def to_input_list(
        self, *, mode: Literal["preserve_all", "normalized"] = "preserve_all"
    ) -> list[TResponseInputItem]:
        """The whole conversation as input for another run.

        Parameters
        ----------
        mode : {"preserve_all", "normalized"}
            All items of the run, or the items that the model saw last, if a handoff's filter
            changed the conversation.

        Returns
        -------
        list of dict
            In the Responses API's form; add the next message and run again.

        Raises
        ------
        UserError
            There is no such mode.

        Examples
        --------
        >>> from agentstream import Agent, Runner
        >>> from agentstream.testing import ScriptedModel
        >>> guide = Agent(name="Guide", model=ScriptedModel(["Take the tram.", "Number 28."]))
        >>> first = Runner.run_sync(guide, "How do I get up?")
        >>> more = [*first.to_input_list(), {"role": "user", "content": "Which one?"}]
        >>> Runner.run_sync(guide, more).final_output
        'Number 28.'
        """
        check_choice("to_input_list(mode=...)", mode, ("preserve_all", "normalized"))
        state = self._state
        items = state.new_items if mode == "preserve_all" else state.model_items
        new = [state.input_item(item) for item in items if is_model_visible(item)]
        if mode == "preserve_all":
            for item in state.carried:  # it stands in the input
                if item in new:
                    new.remove(item)
        return ItemHelpers.input_to_new_input_list(state.input) + new

    def to_state(self) -> RunState[Any]:
        """The run's state, to decide on interruptions, save it, and run it again.

        Each call gives a state of its own: a run that goes on from it leaves this result as it is.

        Returns
        -------
        RunState
        """
        return self._state.copy()

    def release_agents(self, *, release_new_items: bool = True) -> None:
        """Accepted for programs of the SDK; no effect, as agents are freed with their results.

        Takes `release_new_items`, and does nothing.
        """


def described(result: RunResultBase, kind: str) -> str:
    """A result in one line, for its ``repr``."""
    output = repr(result.final_output)
    if len(output) > 200:
        output = output[:200] + "…"
    return (
        f"{kind}(last_agent={result.last_agent.name!r}, items={len(result.new_items)}, "
        f"final_output={output})"
    )
