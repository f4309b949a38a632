"""The items of a run: what the model said and called, and what came back.

Each item is a plain value: the agent it belongs to, and the raw item as the Responses API has it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar

from openai.types.responses import (
    Response,
    ResponseComputerToolCall,
    ResponseFileSearchToolCall,
    ResponseFunctionToolCall,
    ResponseFunctionWebSearch,
    ResponseInputItemParam,
    ResponseOutputItem,
    ResponseOutputMessage,
    ResponseOutputRefusal,
    ResponseOutputText,
    ResponseReasoningItem,
    ResponseStreamEvent,
)
from openai.types.responses.response_code_interpreter_tool_call import (
    ResponseCodeInterpreterToolCall,
)
from openai.types.responses.response_output_item import (
    ImageGenerationCall,
    LocalShellCall,
    McpApprovalRequest,
    McpCall,
    McpListTools,
)
from pydantic import BaseModel

from .exceptions import AgentsException
from .tools.origin import ToolOrigin
from .tools.output import tool_output_param
from .usage import Usage

if TYPE_CHECKING:
    from ._agent_info import AgentInfo

TResponse = Response
TResponseInputItem = ResponseInputItemParam
TResponseOutputItem = ResponseOutputItem
TResponseStreamEvent = ResponseStreamEvent

T = TypeVar("T", bound=BaseModel | dict[str, Any])

ToolCallItemTypes: TypeAlias = (
    ResponseFunctionToolCall
    | ResponseComputerToolCall
    | ResponseFileSearchToolCall
    | ResponseFunctionWebSearch
    | McpCall
    | ResponseCodeInterpreterToolCall
    | ImageGenerationCall
    | LocalShellCall
    | dict[str, Any]
)


def input_item(raw: Any) -> Any:
    """The raw item as the API takes it back: only the fields that were set."""
    if isinstance(raw, BaseModel):
        # Gateways add fields whose types differ from the declared ones; they go back as they came.
        raw = raw.model_dump(exclude_unset=True, warnings=False)
    if isinstance(raw, dict):
        if "created_by" not in raw:
            return raw
        # The server says who made it, and refuses to be told.
        return {name: value for name, value in raw.items() if name != "created_by"}
    raise AgentsException(
        f"An item of type {type(raw).__name__} cannot be sent to the model; "
        "give a dict or an openai.types.responses object."
    )


def raw_field(raw: Any, name: str) -> Any:
    """Field `name` of a raw item, which may be a dict or an object; None where it has none."""
    return raw.get(name) if isinstance(raw, dict) else getattr(raw, name, None)


@dataclass
class RunItemBase(Generic[T]):
    """What all items share.

    Attributes
    ----------
    agent : Agent
        The agent whose turn produced the item.
    raw_item
        The item as the Responses API writes it: an `openai.types.responses` object or a dict.
    type : str
        The kind of item, as in ``item.type == "tool_call_item"``.
    """

    # An agent shows itself over half a page, and an item is seen in lists.
    agent: AgentInfo = field(repr=False)
    raw_item: T

    def to_input_item(self) -> TResponseInputItem:
        """The item as input for the next model call."""
        return input_item(self.raw_item)

    def release_agent(self) -> None:
        """Accepted for the SDK's programs; items here are collected with their run."""


@dataclass
class MessageOutputItem(RunItemBase[Any]):
    """A message of the model."""

    raw_item: ResponseOutputMessage
    type: Literal["message_output_item"] = "message_output_item"


@dataclass
class ReasoningItem(RunItemBase[Any]):
    """A reasoning item, with its summary where the model gives one."""

    raw_item: ResponseReasoningItem
    type: Literal["reasoning_item"] = "reasoning_item"


@dataclass
class HandoffCallItem(RunItemBase[Any]):
    """The model asks to hand off to another agent."""

    raw_item: ResponseFunctionToolCall
    type: Literal["handoff_call_item"] = "handoff_call_item"


@dataclass
class HandoffOutputItem(RunItemBase[Any]):
    """The handoff took place.

    Attributes
    ----------
    source_agent, target_agent : Agent
        The agents before and after the handoff.
    """

    raw_item: Any
    source_agent: AgentInfo = field(repr=False)
    target_agent: AgentInfo = field(repr=False)
    type: Literal["handoff_output_item"] = "handoff_output_item"


_NAMES_OF_LOCAL_TOOLS = {
    "computer_call": "computer_use_preview",
    "local_shell_call": "local_shell",
}
"""Tools that run here, and whose calls do not name them."""


@dataclass
class ToolCallItem(RunItemBase[Any]):
    """A call of a tool: a function of yours, or one that the provider runs itself."""

    raw_item: Any
    type: Literal["tool_call_item"] = "tool_call_item"
    description: str | None = None
    title: str | None = None
    tool_origin: ToolOrigin | None = None

    @property
    def call_id(self) -> str | None:
        """The id that ties the call to its output."""
        return raw_field(self.raw_item, "call_id") or raw_field(self.raw_item, "id")

    @property
    def tool_name(self) -> str | None:
        """The tool's name; None for hosted tools that have no name in their call."""
        name: str | None = raw_field(self.raw_item, "name")
        return name or _NAMES_OF_LOCAL_TOOLS.get(raw_field(self.raw_item, "type"))


@dataclass
class ToolCallOutputItem(RunItemBase[Any]):
    """What a tool returned.

    Attributes
    ----------
    output
        The value that the tool returned; `raw_item` has what the model sees.
    display : list of dict or None
        What the view shows for a figure, an image or a frame, as plain data; None for text. Not in
        the SDK.
    traceback : str or None
        Of a failed tool: the traceback in its author's code. Not in the SDK.
    """

    raw_item: Any
    output: Any
    type: Literal["tool_call_output_item"] = "tool_call_output_item"
    tool_origin: ToolOrigin | None = None
    custom_data: dict[str, Any] | None = None
    display: list[dict[str, Any]] | None = field(default=None, repr=False)
    traceback: str | None = field(default=None, repr=False)

    @property
    def call_id(self) -> str | None:
        """The id of the call that this answers."""
        return raw_field(self.raw_item, "call_id") or raw_field(self.raw_item, "id")


@dataclass
class ToolSearchCallItem(RunItemBase[Any]):
    """The model looks for tools whose definitions were deferred."""

    raw_item: Any
    type: Literal["tool_search_call_item"] = "tool_search_call_item"


@dataclass
class ToolSearchOutputItem(RunItemBase[Any]):
    """The tools that a search found."""

    raw_item: Any
    type: Literal["tool_search_output_item"] = "tool_search_output_item"


@dataclass
class MCPListToolsItem(RunItemBase[Any]):
    """The tools of a hosted MCP server."""

    raw_item: McpListTools
    type: Literal["mcp_list_tools_item"] = "mcp_list_tools_item"


@dataclass
class MCPApprovalRequestItem(RunItemBase[Any]):
    """A hosted MCP server's call waits for approval."""

    raw_item: McpApprovalRequest
    type: Literal["mcp_approval_request_item"] = "mcp_approval_request_item"


@dataclass
class MCPApprovalResponseItem(RunItemBase[Any]):
    """The answer to a hosted MCP server's approval request."""

    raw_item: Any
    type: Literal["mcp_approval_response_item"] = "mcp_approval_response_item"


@dataclass
class CompactionItem(RunItemBase[Any]):
    """The provider's compaction of the conversation so far."""

    raw_item: Any
    type: Literal["compaction_item"] = "compaction_item"


@dataclass
class InputItem(RunItemBase[Any]):
    """Input that was added during the run."""

    raw_item: Any
    type: Literal["input_item"] = "input_item"
    input_id: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass
class ToolApprovalItem(RunItemBase[Any]):
    """A tool call that waits for a person's approval.

    Give it to `RunState.approve` or `RunState.reject`, then run the state again.
    """

    raw_item: Any
    tool_name: str | None = None
    type: Literal["tool_approval_item"] = "tool_approval_item"
    tool_namespace: str | None = None
    tool_origin: ToolOrigin | None = None
    run_scope: tuple[str, ...] = field(default=(), repr=False)
    """The run that made the call: its id, then the calls of agents as tools that lead to it."""
    position: int = field(default=0, repr=False)
    """How many earlier calls of that run have the same id."""
    agent_key: str | None = field(default=None, repr=False)
    """What tells the agent from others of its name in the run."""

    def __hash__(self) -> int:
        return hash((self.tool_name, self.call_id))  # equal items have these in common

    def __post_init__(self) -> None:
        self.run_scope = tuple(self.run_scope)  # a list in JSON
        if self.tool_name is None:
            self.tool_name = raw_field(self.raw_item, "name")
        if self.tool_namespace is None:
            self.tool_namespace = raw_field(self.raw_item, "namespace")

    @property
    def name(self) -> str | None:
        """The tool's name."""
        return self.tool_name

    @property
    def qualified_name(self) -> str | None:
        """The tool's name with its namespace, where it has one."""
        # A deferred tool outside a namespace comes with its own name as the namespace.
        if self.tool_name and self.tool_namespace and self.tool_namespace != self.tool_name:
            return f"{self.tool_namespace}.{self.tool_name}"
        return self.tool_name

    @property
    def arguments(self) -> str | None:
        """The arguments the model wrote, as JSON text."""
        return raw_field(self.raw_item, "arguments")

    @property
    def call_id(self) -> str | None:
        """The id of the call."""
        return raw_field(self.raw_item, "call_id") or raw_field(self.raw_item, "id")

    def to_input_item(self) -> TResponseInputItem:
        """Never: an approval is between the run and its user, the model does not see it."""
        raise AgentsException(
            "ToolApprovalItem cannot be converted to an input item. "
            "Approve or reject it through RunState instead."
        )


RunItem: TypeAlias = (
    MessageOutputItem
    | HandoffCallItem
    | HandoffOutputItem
    | ToolCallItem
    | ToolCallOutputItem
    | ToolSearchCallItem
    | ToolSearchOutputItem
    | ReasoningItem
    | MCPListToolsItem
    | MCPApprovalRequestItem
    | MCPApprovalResponseItem
    | CompactionItem
    | InputItem
    | ToolApprovalItem
)


@dataclass
class ModelResponse:
    """One complete answer of a model.

    Attributes
    ----------
    output : list
        The output items, as `openai.types.responses` objects.
    usage : Usage
        The tokens of this call.
    response_id : str or None
        The id for `previous_response_id`; None where the API has none.
    request_id : str or None
        The HTTP request's id, for support.
    raw_usage : dict or None
        The usage as the provider sent it, when `ModelSettings.preserve_raw_usage` asks for it.

    Examples
    --------
    >>> from agentstream import Agent, Runner
    >>> from agentstream.testing import ScriptedModel
    >>> guide = Agent(name="Guide", model=ScriptedModel(["Good morning."]))
    >>> answer = Runner.run_sync(guide, "Hello").raw_responses[0]
    >>> answer.output[0].content[0].text
    'Good morning.'
    """

    output: list[TResponseOutputItem]
    usage: Usage
    response_id: str | None
    request_id: str | None = None
    raw_usage: dict[str, Any] | None = None

    def to_input_items(self) -> list[TResponseInputItem]:
        """The output items as input for a later call."""
        return [input_item(item) for item in self.output]


def read_once(item: Any) -> Any:
    """An item whose lists are lists.

    Pydantic validates some of those of the `openai` types when they are read, which works once, and
    gives iterators in their place.
    """
    if isinstance(item, dict) and any(isinstance(value, Iterator) for value in item.values()):
        return _without_iterators(item)
    return item


def _without_iterators(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_iterators(one) for key, one in value.items()}
    if isinstance(value, (list, Iterator)):
        return [_without_iterators(one) for one in value]
    return value


class ItemHelpers:
    """Helpers to read items, with the SDK's names.

    Examples
    --------
    >>> from agentstream import Agent, Runner
    >>> from agentstream.testing import ScriptedModel
    >>> guide = Agent(name="Guide", model=ScriptedModel(["Good morning."]))
    >>> ItemHelpers.text_message_outputs(Runner.run_sync(guide, "Hello").new_items)
    'Good morning.'
    """

    @classmethod
    def extract_last_content(cls, message: TResponseOutputItem) -> str:
        """Text or refusal of the last part of `message`; empty for anything else."""
        if not isinstance(message, ResponseOutputMessage) or not message.content:
            return ""
        content: Any = message.content
        if isinstance(content, str):  # as some servers send it
            return content
        last = content[-1]
        if isinstance(last, ResponseOutputText):
            return last.text or ""  # None, as some gateways send it
        return getattr(last, "refusal", "") or ""

    @classmethod
    def extract_last_text(cls, message: TResponseOutputItem) -> str | None:
        """Text of the last part of `message`; None where that is no text."""
        if isinstance(message, ResponseOutputMessage) and message.content:
            content: Any = message.content
            if isinstance(content, str):
                return content
            last = content[-1]
            if isinstance(last, ResponseOutputText):
                return last.text
        return None

    @classmethod
    def extract_text(cls, message: TResponseOutputItem) -> str | None:
        """All text of `message`; None where it has none."""
        if not isinstance(message, ResponseOutputMessage):
            return None
        content: Any = message.content
        if content is None or isinstance(content, str):  # as some servers send it
            return content or None
        parts = [part.text for part in content if isinstance(part, ResponseOutputText)]
        return "".join(text for text in parts if text) or None

    @classmethod
    def extract_refusal(cls, message: TResponseOutputItem) -> str | None:
        """The refusal in `message`; None where the model did not refuse."""
        if not isinstance(message, ResponseOutputMessage):
            return None
        content: Any = message.content or ()
        parts = [p.refusal for p in content if isinstance(p, ResponseOutputRefusal)]
        return "".join(refusal for refusal in parts if refusal) or None

    @classmethod
    def input_to_new_input_list(
        cls, input: str | list[TResponseInputItem]
    ) -> list[TResponseInputItem]:
        """`input` as a new list of items; text becomes a user message."""
        if isinstance(input, str):
            return [{"content": input, "role": "user"}]
        return [read_once(item) for item in input]

    @classmethod
    def text_message_outputs(cls, items: list[RunItem]) -> str:
        """Text of all messages among `items`."""
        return "".join(
            cls.text_message_output(item) for item in items if isinstance(item, MessageOutputItem)
        )

    @classmethod
    def text_message_output(cls, message: MessageOutputItem) -> str:
        """Text of `message`, an item of the run."""
        return cls.extract_text(message.raw_item) or ""

    @classmethod
    def tool_call_output_item(
        cls,
        tool_call: ResponseFunctionToolCall,
        output: Any,
        *,
        output_json_schema: dict[str, Any] | None = None,
        output_type_adapter: Any = None,
    ) -> Any:
        """The input item that answers `tool_call` with `output`.

        Parameters
        ----------
        tool_call : openai.types.responses.ResponseFunctionToolCall
            The call.
        output
            What the tool returned.
        output_json_schema : dict, optional
            The schema of the tool's output, if it has one.
        output_type_adapter : pydantic.TypeAdapter, optional
            Checks the output against it.
        """
        return {
            "call_id": tool_call.call_id,
            "output": tool_output_param(
                output, json_schema=output_json_schema, type_adapter=output_type_adapter
            ),
            "type": "function_call_output",
        }
