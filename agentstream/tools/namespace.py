"""`tool_namespace`: function tools under one name, for tool search."""

from __future__ import annotations

import copy

from ..exceptions import UserError
from .function_tool import FunctionTool


def tool_namespace(
    *, name: str, description: str | None, tools: list[FunctionTool]
) -> list[FunctionTool]:
    """Group tools under a name that the model sees, for tool search.

    Parameters
    ----------
    name, description : str
        What the model sees of the group.
    tools : list of FunctionTool
        The tools. They are copied.

    Returns
    -------
    list of FunctionTool

    Raises
    ------
    UserError
        Name or description is empty, or one of the tools is no function tool.

    Examples
    --------
    >>> from agentstream import Agent, ToolSearchTool, function_tool
    >>> @function_tool(defer_loading=True)
    ... def find_customer(name: str) -> str:
    ...     "Find a customer."
    ...     return name
    >>> crm = tool_namespace(name="crm", description="Customers.", tools=[find_customer])
    >>> agent = Agent(name="Sales", tools=[*crm, ToolSearchTool()])
    """
    name = (name or "").strip()
    description = (description or "").strip()
    if not name:
        raise UserError("tool_namespace() requires a non-empty namespace name.")
    if not description:
        raise UserError("tool_namespace() requires a non-empty description.")
    grouped = []
    for tool in tools:
        if not isinstance(tool, FunctionTool):
            raise UserError("tool_namespace() only supports FunctionTool instances.")
        if tool.name == name:
            raise UserError(
                f"Responses tool-search reserves the synthetic namespace `{name}.{name}` for "
                "deferred top-level function tools. Rename the namespace or tool name to avoid "
                "ambiguous dispatch."
            )
        member = copy.copy(tool)
        member._tool_namespace = name
        member._tool_namespace_description = description
        grouped.append(member)
    return grouped
