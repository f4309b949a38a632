"""What a run carries beside its items: the user's context, usage, and decisions on approvals."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, Self

from typing_extensions import TypeVar

from ._approvals import Approvals, Decision
from .exceptions import UserError
from .usage import Usage

if TYPE_CHECKING:
    from .items import ToolApprovalItem, TResponseInputItem
else:
    TResponseInputItem = Any  # as pydantic is to see it: items come from any provider

TContext = TypeVar("TContext", default=Any)


@dataclass(eq=False)
class RunContextWrapper(Generic[TContext]):
    """Wraps the object passed as `Runner.run(context=...)`; tools, hooks and guardrails receive it.

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
    _approvals: Approvals = field(default_factory=Approvals)
    tool_input: Any | None = None

    def __repr__(self) -> str:
        # Not what is in the context: programs keep keys and connections there.
        kind = type(self.context).__name__
        return f"{type(self).__name__}(context=<{kind}>, usage={self.usage!r})"

    def copy(self) -> Self:
        """A wrapper of the same object, with its own usage and its own decisions."""
        twin = copy(self)
        twin.usage = replace(self.usage, request_usage_entries=[*self.usage.request_usage_entries])
        twin._approvals = self._approvals.copy()
        return twin

    def approve_tool(self, approval_item: ToolApprovalItem, always_approve: bool = False) -> None:
        """Approve a call that waits.

        Parameters
        ----------
        approval_item : ToolApprovalItem
            One of `result.interruptions`.
        always_approve : bool
            Approve every later call of this tool by this agent in this run, too.
        """
        self._decide(approval_item, True, always_approve)

    def reject_tool(
        self,
        approval_item: ToolApprovalItem,
        always_reject: bool = False,
        rejection_message: str | None = None,
    ) -> None:
        """Reject a call that waits; the model gets a message and may go on.

        Parameters
        ----------
        approval_item : ToolApprovalItem
            One of `result.interruptions`.
        always_reject : bool
            Reject every later call of this tool by this agent in this run, too.
        rejection_message : str, optional
            What the model gets.
        """
        self._decide(approval_item, False, always_reject, rejection_message)

    def _decide(
        self, item: ToolApprovalItem, approved: bool, always: bool, message: str | None = None
    ) -> None:
        if not hasattr(item, "qualified_name"):
            raise UserError(
                f"Only a call that waits can be decided on, got {type(item).__name__}; give one of "
                "result.interruptions."
            )
        self._approvals.decide(item, approved, always=always, message=message)

    def is_tool_approved(self, tool_name: str, call_id: str) -> bool | None:
        """Whether a call is approved.

        Takes the `tool_name`, with its namespace where it has one, and the `call_id`.

        Returns
        -------
        bool or None
            True: approved, False: rejected, None: nobody has decided.
        """
        decision = self._approvals.named(tool_name, call_id)
        return None if decision is None else decision.approved

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
        """As `is_tool_approved`, for a tool in a namespace or one known by its waiting item.

        A name and an id may be those of several calls; give `existing_pending`, one of
        `result.interruptions`, to learn about exactly that call.
        """
        decision = self._decision(
            tool_name, call_id, tool_namespace, existing_pending or current_invocation
        )
        return None if decision is None else decision.approved

    def get_rejection_message(
        self,
        tool_name: str,
        call_id: str,
        *,
        tool_namespace: str | None = None,
        existing_pending: ToolApprovalItem | None = None,
        tool_lookup_key: Any = None,
    ) -> str | None:
        """What the model is to get for a rejected call; None for the usual words.

        Parameters are as for `get_approval_status`.
        """
        decision = self._decision(tool_name, call_id, tool_namespace, existing_pending)
        return None if decision is None or decision.approved else decision.message

    def _decision(
        self, name: str, call_id: str, namespace: str | None, item: ToolApprovalItem | None
    ) -> Decision | None:
        if item is not None:
            return self._approvals.of(item)
        is_own = namespace and namespace != name
        return self._approvals.named(f"{namespace}.{name}" if is_own else name, call_id)


@dataclass(eq=False)
class AgentHookContext(RunContextWrapper[TContext]):
    """Attributes are as of `RunContextWrapper`."""
