"""The events of a streamed run: what `result.stream_events()` yields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from .items import RunItem, TResponseStreamEvent

if TYPE_CHECKING:
    from .agent import Agent

RunItemEventName: TypeAlias = Literal[
    "message_output_created",
    "handoff_requested",
    # The SDK's spelling; programs compare with it.
    "handoff_occured",
    "tool_called",
    "tool_search_called",
    "tool_search_output_created",
    "tool_output",
    "reasoning_item_created",
    "mcp_approval_requested",
    "mcp_approval_response",
    "mcp_list_tools",
]


@dataclass(slots=True)
class RawResponsesStreamEvent:
    """An event of the model's stream, as the Responses API sends it.

    Attributes
    ----------
    data : openai.types.responses.ResponseStreamEvent
        Filter with `isinstance(event.data, ResponseTextDeltaEvent)` and the like.
    type : str
        The kind of event, the same for all of this class.
    """

    data: TResponseStreamEvent
    type: Literal["raw_response_event"] = "raw_response_event"


@dataclass(slots=True)
class RunItemStreamEvent:
    """An item of the run is complete.

    Attributes
    ----------
    name : str
        The event, such as ``"tool_called"`` or ``"message_output_created"``.
    item : RunItem
        The item.
    type : str
        The kind of event, the same for all of this class.
    """

    name: RunItemEventName
    item: RunItem
    type: Literal["run_item_stream_event"] = "run_item_stream_event"


@dataclass(slots=True)
class AgentUpdatedStreamEvent:
    """The current agent has changed: at the start, or after a handoff.

    Attributes
    ----------
    new_agent : Agent
        The agent.
    type : str
        The kind of event, the same for all of this class.
    """

    new_agent: Agent[Any]
    type: Literal["agent_updated_stream_event"] = "agent_updated_stream_event"


StreamEvent: TypeAlias = RawResponsesStreamEvent | RunItemStreamEvent | AgentUpdatedStreamEvent
