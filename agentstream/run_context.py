"""What a run carries beside its items: the user's context, usage, and decisions on approvals."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, Self

from typing_extensions import TypeVar

from .errors import UserError
from .items import raw_field
from .usage import Usage

if TYPE_CHECKING:
    from .items import ToolApprovalItem, TResponseInputItem

TContext = TypeVar("TContext", default=Any)


@dataclass
class ToolDecisions:
    """What a person decided about the calls of one tool."""

    always: bool | None = None
    """True or False: every call of the tool is approved or rejected."""
    calls: dict[str, bool] = field(default_factory=dict)
    """Decisions on single calls, by call id."""
    rejection_message: str | None = None
    """What to tell the model about calls rejected for good."""
    messages: dict[str, str] = field(default_factory=dict)
    """What to tell the model about a single rejected call."""

    def status(self, call_id: str) -> bool | None:
        """True: approved, False: rejected, None: not decided."""
        return self.calls.get(call_id, self.always)


@dataclass(eq=False)
class RunContextWrapper(Generic[TContext]):
    """Wraps the object given as `Runner.run(context=...)`; tools, hooks and guardrails receive it.

    The context is never sent to the model.

    Attributes
    ----------
    context
        Your own object.
    usage : Usage
        Tokens so far, over all agents of the run.
    turn_input : list of dict
        The run's input as items.
    tool_input
        The structured input of an agent that runs as a tool.

    Examples
    --------
    >>> context = RunContextWrapper({"user": "Ada"})
    >>> context.context["user"], context.usage.total_tokens
    ('Ada', 0)
    """

    context: TContext
    usage: Usage = field(default_factory=Usage)
    turn_input: list[TResponseInputItem] = field(default_factory=list)
    _approvals: dict[str, ToolDecisions] = field(default_factory=dict)
    tool_input: Any | None = None

    def copy(self) -> Self:
        """A wrapper of the same object, with its own usage and its own decisions."""
        twin = copy(self)
        twin.usage = replace(self.usage, request_usage_entries=[*self.usage.request_usage_entries])
        twin._approvals = {
            name: replace(d, calls=dict(d.calls), messages=dict(d.messages))
            for name, d in self._approvals.items()
        }
        return twin

    def approve_tool(self, approval_item: ToolApprovalItem, always_approve: bool = False) -> None:
        """Approve a call that waits.

        Parameters
        ----------
        approval_item : ToolApprovalItem
            One of `result.interruptions`.
        always_approve : bool
            Approve every later call of this tool in this run, too.
        """
        self._decide(approval_item, True, always_approve)

    def reject_tool(
        self,
        approval_item: ToolApprovalItem,
        always_reject: bool = False,
        rejection_message: str | None = None,
    ) -> None:
        """Reject a call that waits; the model is told and may go on.

        Parameters
        ----------
        approval_item : ToolApprovalItem
            One of `result.interruptions`.
        always_reject : bool
            Reject every later call of this tool in this run, too.
        rejection_message : str, optional
            What the model is told.
        """
        decisions = self._decide(approval_item, False, always_reject)
        if rejection_message is not None:
            decisions.messages[approval_item.call_id or ""] = rejection_message
            if always_reject:
                decisions.rejection_message = rejection_message

    def _decide(self, item: ToolApprovalItem, approved: bool, always: bool) -> ToolDecisions:
        if not hasattr(item, "qualified_name"):
            raise UserError(
                f"Only a call that waits can be decided on, got {type(item).__name__}; give one of "
                "result.interruptions."
            )
        decisions = self._approvals.setdefault(item.qualified_name or "", ToolDecisions())
        decisions.calls[item.call_id or ""] = approved
        decisions.messages.pop(item.call_id or "", None)
        if always:
            decisions.always = approved
            decisions.rejection_message = None
        return decisions

    def is_tool_approved(self, tool_name: str, call_id: str) -> bool | None:
        """Whether a call is approved.

        Takes the `tool_name`, with its namespace where it has one, and the `call_id`.

        Returns
        -------
        bool or None
            True: approved, False: rejected, None: nobody has decided.
        """
        decisions = self._approvals.get(tool_name)
        return decisions.status(call_id) if decisions else None

    def get_approval_status(
        self,
        tool_name: str,
        call_id: str,
        *,
        tool_namespace: str | None = None,
        existing_pending: ToolApprovalItem | None = None,
        tool_lookup_key: Any = None,
        current_invocation: ToolApprovalItem | None = None,
    ) -> bool | None:
        """As `is_tool_approved`, for a tool in a namespace or one known by its waiting item."""
        return self.is_tool_approved(_key(tool_name, tool_namespace, existing_pending), call_id)

    def get_rejection_message(
        self,
        tool_name: str,
        call_id: str,
        *,
        tool_namespace: str | None = None,
        existing_pending: ToolApprovalItem | None = None,
        tool_lookup_key: Any = None,
    ) -> str | None:
        """What the model is to be told about a rejected call; None for the usual words.

        Parameters are as for `get_approval_status`.
        """
        decisions = self._approvals.get(_key(tool_name, tool_namespace, existing_pending))
        if decisions is None or decisions.status(call_id) is not False:
            return None
        return decisions.messages.get(call_id, decisions.rejection_message)


def _key(tool_name: str, namespace: str | None, pending: ToolApprovalItem | None) -> str:
    if pending is not None and namespace is None:
        namespace = pending.tool_namespace or raw_field(pending.raw_item, "namespace")
    return f"{namespace}.{tool_name}" if namespace else tool_name


@dataclass(eq=False)
class AgentHookContext(RunContextWrapper[TContext]):
    """Attributes are as of `RunContextWrapper`."""
