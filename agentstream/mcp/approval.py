"""Which calls of a server's tools a person must allow first."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from typing_extensions import TypedDict

from .._utils.keywords import suggest
from .._utils.warn_once import warn_once
from ..exceptions import UserError

if TYPE_CHECKING:
    from mcp.types import Tool as MCPTool

    from .._agent_info import AgentBaseInfo
    from ..run_context import RunContextWrapper


class RequireApprovalToolList(TypedDict, total=False):
    """Names of tools that share a policy."""

    tool_names: list[str]


class RequireApprovalObject(TypedDict, total=False):
    """Lists of tools: those that always need approval, and those that never do."""

    always: RequireApprovalToolList
    never: RequireApprovalToolList


LocalMCPApprovalCallable: TypeAlias = Callable[..., Any]
"""``(run_context, agent, tool) -> bool``, or an awaitable of it."""

RequireApprovalSetting: TypeAlias = (
    Literal["always", "never"]
    | RequireApprovalObject
    | dict[str, Literal["always", "never"]]
    | LocalMCPApprovalCallable
    | bool
    | None
)

ApprovalPolicy: TypeAlias = bool | dict[str, bool] | LocalMCPApprovalCallable

NeedsApproval: TypeAlias = (
    bool | Callable[["RunContextWrapper[Any]", dict[str, Any], str], Awaitable[bool]]
)


def approval_policy(setting: RequireApprovalSetting) -> ApprovalPolicy:
    """Bring every form of `require_approval` to one of three: a bool, a dict, a function.

    Raises
    ------
    UserError
        The setting, or a part of it, is neither "always" nor "never".

    Examples
    --------
    >>> approval_policy("always"), approval_policy(None)
    (True, False)
    >>> approval_policy({"always": {"tool_names": ["delete"]}, "never": {"tool_names": ["read"]}})
    {'delete': True, 'read': False}
    """
    if setting is None:
        return False
    if callable(setting):
        return setting
    if not isinstance(setting, Mapping):
        return _needed(setting, "require_approval")
    if any(isinstance(value, Mapping) and "tool_names" in value for value in setting.values()):
        return _listed(setting)
    return {name: _needed(value, f"require_approval[{name!r}]") for name, value in setting.items()}


def _listed(setting: Mapping[str, Any]) -> dict[str, bool]:
    """Read the two lists; a slip in them must not leave a tool without its guard."""
    policy: dict[str, bool] = {}
    for key, value in setting.items():
        names = value.get("tool_names") if isinstance(value, Mapping) else None
        if key not in ("always", "never") or not isinstance(names, list):
            raise UserError(
                f"Invalid require_approval at {key!r}: give {{'always': {{'tool_names': [...]}}, "
                "'never': {'tool_names': [...]}}, each a list of names, and nothing else."
            )
        for name in names:
            if not isinstance(name, str):
                raise UserError(f"Invalid require_approval: {name!r} is not the name of a tool.")
            if policy.get(name, key == "always") != (key == "always"):
                raise UserError(
                    f"Invalid require_approval: {name!r} is in both always and never. Leave it in "
                    "one of the two lists."
                )
            policy[name] = key == "always"
    return policy


def _needed(value: Any, where: str) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("always", "never"):
        return bool(value == "always")
    raise UserError(
        f"Invalid require_approval value at {where}: expected 'always' or 'never', got {value!r}."
    )


def warn_about_unknown_names(policy: ApprovalPolicy, offered: list[str], server: str) -> None:
    """Log once each tool that is to be approved and that the server does not offer.

    Its name may be misspelt, and then the tool that was meant runs without an approval.
    """
    for name, needed in policy.items() if isinstance(policy, dict) else ():
        if needed and name not in offered:
            warn_once(
                f"require_approval of MCP server {server!r} names the tool {name!r}, which the "
                f"server does not offer.{suggest(name, offered)}"
            )


def needs_approval(policy: ApprovalPolicy, tool: MCPTool, agent: AgentBaseInfo | None) -> Any:
    """Apply `policy` to one tool: what `FunctionTool.needs_approval` takes.

    Without an agent to ask it about, a function's answer counts as yes.
    """
    if not callable(policy):
        return policy.get(tool.name, False) if isinstance(policy, dict) else policy
    if agent is None:
        return True
    decide = policy

    async def needed(context: RunContextWrapper[Any], _: dict[str, Any], __: str) -> bool:
        answer = decide(context, agent, tool)
        return bool(await answer if inspect.isawaitable(answer) else answer)

    return needed
