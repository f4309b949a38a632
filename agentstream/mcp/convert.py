"""An MCP tool as a function tool: its name, its schema, its calls and their results."""

from __future__ import annotations

import asyncio
import copy
import inspect
import json
import logging
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .._utils.json import encodable_json, read_json, write_json
from .._utils.secrets import without_credentials
from ..exceptions import AgentsException, MCPToolCancellationError, ModelBehaviorError, UserError
from ..handoffs import Handoff
from ..strict_schema import check_depth, ensure_strict_json_schema
from ..tools.function_tool import FunctionTool, default_tool_error_function
from ..tools.invoke import FailedContent, ToolFailure
from ..tools.origin import ToolOrigin, ToolOriginType
from .approval import needs_approval
from .names import Named, prefixed
from .server import MCPServer, MCPToolCustomDataContext, MCPToolMetaContext, Unset

logger = logging.getLogger("agentstream")

if TYPE_CHECKING:
    from mcp.types import CallToolResult
    from mcp.types import Tool as MCPTool

    from ..agent import AgentBase, MCPConfig
    from ..run_context import RunContextWrapper
    from ..tool_context import ToolContext
    from ..tools.function_tool import FunctionToolCustomDataContext, ToolErrorFunction

_log = logging.getLogger("agentstream.mcp")
_ADDRESS = re.compile(r"(\w+://)(?:[^/\s@]*@)?([^\s?#]*)\S*")


async def mcp_tools(
    servers: Sequence[MCPServer],
    *,
    run_context: RunContextWrapper[Any],
    agent: AgentBase[Any],
    config: MCPConfig | None = None,
    reserved: Collection[str] = (),
) -> list[FunctionTool]:
    """Return the tools of connected servers as function tools, in the order of the servers.

    Parameters
    ----------
    servers : sequence of MCPServer
        The servers; they are asked at once.
    run_context : RunContextWrapper
        The run's context, for tool filters.
    agent : AgentBase
        The agent, for tool filters and approvals.
    config : dict or None
        ``convert_schemas_to_strict``, ``failure_error_function`` and
        ``include_server_in_tool_names``, as in `Agent.mcp_config`.
    reserved : collection of str
        Names that no tool is given, where server names are put before.

    Raises
    ------
    UserError
        Two servers offer a tool of one name, or a server is not connected.

    Examples
    --------
    ::

        async with MCPServerStdio({"command": "uvx", "args": ["mcp-server-time"]}) as server:
            tools = await mcp_tools([server], run_context=RunContextWrapper(None), agent=agent)
    """
    options: Mapping[str, Any] = config or {}
    listed = await _listed(servers, run_context, agent)
    places = _places(servers)
    offered = [
        (server, tool, place)
        for server, place, tools in zip(servers, places, listed, strict=True)
        for tool in tools
    ]
    if options.get("include_server_in_tool_names"):
        taken = {tool.name for tool in agent.tools if isinstance(tool, FunctionTool)}
        taken |= set(reserved) | _handoff_names(agent)
        owners = [Named(_public_name(server.name), tool.name) for server, tool, _ in offered]
        names = prefixed(owners, taken)
    else:
        names = [tool.name for _, tool, _ in offered]
        _refuse_duplicates(listed)
    return [
        function_tool_of(
            tool,
            server,
            convert_schemas_to_strict=options.get("convert_schemas_to_strict", False),
            agent=agent,
            failure_error_function=options.get(
                "failure_error_function", default_tool_error_function
            ),
            name=name,
            place=place,
        )
        for (server, tool, place), name in zip(offered, names, strict=True)
    ]


def _handoff_names(agent: AgentBase[Any]) -> set[str]:
    """The tool names of an agent's handoffs, but of those that are never enabled."""
    return {
        handoff.tool_name if isinstance(handoff, Handoff) else Handoff.default_tool_name(handoff)
        for handoff in getattr(agent, "handoffs", ())
        if getattr(handoff, "is_enabled", True) is not False
    }


def _places(servers: Sequence[MCPServer]) -> list[tuple[int, int]]:
    """Of each server, how many of its name are before it, and how many there are.

    Names are as they are saved: of two addresses that differ in a key, one is the first.
    """
    names = [_public_name(server.name) for server in servers]
    return [(names[:at].count(name), names.count(name)) for at, name in enumerate(names)]


async def _listed(
    servers: Sequence[MCPServer], run_context: RunContextWrapper[Any], agent: AgentBase[Any]
) -> list[list[MCPTool]]:
    asking = [asyncio.ensure_future(server.list_tools(run_context, agent)) for server in servers]
    try:
        return await asyncio.gather(*asking)
    except BaseException:
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        raise


def _refuse_duplicates(listed: Iterable[Iterable[MCPTool]]) -> None:
    seen: set[str] = set()
    twice: set[str] = set()
    for tools in listed:
        names = {tool.name for tool in tools}
        twice |= seen & names
        seen |= names
    if twice:
        raise UserError(
            "Duplicate tool names found across MCP servers: "
            f"{', '.join(repr(name) for name in sorted(twice))}. Set "
            "mcp_config={'include_server_in_tool_names': True} on the agent to put the server's "
            "name before each, or leave some out with tool_filter."
        )


def function_tool_of(
    tool: MCPTool,
    server: MCPServer,
    *,
    convert_schemas_to_strict: bool = False,
    agent: AgentBase[Any] | None = None,
    failure_error_function: ToolErrorFunction | None = default_tool_error_function,
    name: str | None = None,
    place: tuple[int, int] = (0, 1),
) -> FunctionTool:
    """Make a function tool of one MCP tool.

    Parameters
    ----------
    tool : mcp.types.Tool
        The tool as the server describes it.
    server : MCPServer
        The server that is called.
    convert_schemas_to_strict : bool
        Whether to make the schema strict, where that admits no other arguments than before.
    agent : AgentBase or None
        The agent, for approvals.
    failure_error_function : function or None
        Makes the model's answer from an error; the server's own comes first.
    name : str or None
        The name the model sees; the tool's own by default.
    place : tuple of int
        How many of the agent's servers before this one have its name, and how many have it.
    """
    schema, strict = _schema(tool, convert_schemas_to_strict)
    title = tool.title or (tool.annotations.title if tool.annotations else None)
    call = _Call(tool, server, name or tool.name, failure_error_function)
    return FunctionTool(
        name=name or tool.name,
        description=tool.description or title or "",
        params_json_schema=schema,
        on_invoke_tool=call,
        strict_json_schema=strict,
        needs_approval=needs_approval(server.approval_policy, tool, agent),
        tool_input_guardrails=_own(server.tool_input_guardrails),
        tool_output_guardrails=_own(server.tool_output_guardrails),
        custom_data_extractor=call.custom_data if server.custom_data_extractor else None,
        _mcp_title=title,
        _mcp_annotations=copy.deepcopy(tool.annotations),
        _tool_origin=ToolOrigin(
            ToolOriginType.MCP,
            mcp_server_name=_public_name(server.name),
            recipient=(tool.name, *place),
        ),
    )


def _public_name(name: str) -> str:
    """A server's name as it may be saved: of an address, nothing that lets somebody in."""
    return without_credentials(_ADDRESS.sub(r"\1\2", name))


def _own(guardrails: Any) -> Any:
    """A list of the tool's own: what is added to it is for that tool."""
    return None if guardrails is None else list(guardrails)


async def invoke(
    tool: MCPTool,
    server: MCPServer,
    context: RunContextWrapper[Any],
    arguments: str,
    meta: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> Any:
    """Call a tool outside of a run; errors are raised. See `MCPUtil.invoke_mcp_tool`."""
    call = _Call(tool, server, name or tool.name, None)
    result = await call.invoke(context, arguments, meta)
    return {"type": "text", "text": str(result)} if isinstance(result, ToolFailure) else result


def _schema(tool: MCPTool, strict: bool) -> tuple[dict[str, Any], bool]:
    # OpenAI's API refuses an object schema without "properties", which MCP allows.
    check_depth(tool.input_schema)  # before anything walks through it
    schema = {"properties": {}, **copy.deepcopy(tool.input_schema)}
    schema = {key: schema[key] for key in (*tool.input_schema, *schema) if key in schema}
    if strict and _can_be_strict(tool.input_schema):
        try:
            return ensure_strict_json_schema(schema), True
        except UserError as error:
            _log.info("The schema of MCP tool %r stays as it is: %s", tool.name, error)
    return schema, False


def _can_be_strict(schema: dict[str, Any]) -> bool:
    """Whether strict mode keeps the meaning: no object takes any keys, all is put in its place."""
    return all(map(_is_plain, _parts(schema)))


def _is_plain(schema: dict[str, Any]) -> bool:
    if isinstance(schema.get("$ref"), str) and len(schema) == 1:
        return False  # such a reference stays as it is
    if isinstance(schema.get("items"), bool):
        return False
    kind = schema.get("type")
    is_object = kind == "object" or (isinstance(kind, list) and "object" in kind)
    takes_any_key = not schema.get("properties") and schema.get("additionalProperties") is not False
    return not (is_object and takes_any_key)


def _parts(schema: Any) -> Iterator[dict[str, Any]]:
    """Every object in a schema: a reference may lead to each."""
    if isinstance(schema, dict):
        yield schema
    values = schema.values() if isinstance(schema, dict) else schema
    for value in values if isinstance(schema, (dict, list)) else ():
        yield from _parts(value)


class _Call:
    """Calls one tool; `FunctionTool.on_invoke_tool`."""

    def __init__(
        self,
        tool: MCPTool,
        server: MCPServer,
        public_name: str,
        failure_error_function: ToolErrorFunction | None,
    ) -> None:
        self._tool = tool
        self._server = server
        self._public_name = public_name
        own = server.failure_error_function
        self._on_failure = failure_error_function if isinstance(own, Unset) else own
        self._results: dict[str, tuple[dict[str, Any], CallToolResult]] = {}

    async def __call__(self, context: ToolContext[Any], arguments: str) -> Any:
        try:
            return await self.invoke(context, arguments)
        except Exception as error:  # Whatever it is, the user's function tells the model.
            if self._on_failure is None:
                raise
            _log.warning(
                "The model gets a message that MCP tool %r failed: %r", self._public_name, error
            )
            answer = self._on_failure(context, error)
            answer = await answer if inspect.isawaitable(answer) else answer
            return ToolFailure.of(answer, error)

    async def invoke(
        self, context: RunContextWrapper[Any], text: str, extra: Mapping[str, Any] | None = None
    ) -> Any:
        """Call the tool with the arguments `text`; `extra` goes over what the resolver gives."""
        arguments = self._arguments(text)
        meta = await self._meta(context, arguments)
        static = copy.deepcopy(self._tool.meta)  # the tool's own goes over the resolver's
        for more in (static, extra):
            meta = meta if more is None else {**(meta or {}), **more}
        # Servers of a user's own may know no `meta`.
        named = {} if meta is None else {"meta": meta}
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            await asyncio.sleep(0)  # where it still has to arrive, it is not the server's
        try:
            with _cancelled_from_outside_only(self._tool.name, self._server.name):
                result = await self._server.call_tool(self._tool.name, arguments, **named)
        except Exception as error:
            if isinstance(error, AgentsException) or _is_mcp_error(error):
                raise
            what = f"Error invoking MCP tool {self._tool.name} on server "
            what += repr(without_credentials(self._server.name))
            logger.debug("%s", what)  # of the error itself the run tells
            raise AgentsException(f"{what}: {error}") from error
        call_id = getattr(context, "tool_call_id", None)
        if self._server.custom_data_extractor is not None and call_id is not None:
            self._results[call_id] = (arguments, result)
        return output_of(result, self._server.use_structured_content)

    def _arguments(self, text: str) -> dict[str, Any]:
        try:
            arguments = read_json(encodable_json(text)) if text.strip() else {}
        except ValueError as error:
            logger.debug("Invalid JSON input for MCP tool %s", self._public_name)
            raise ModelBehaviorError(
                f"Invalid JSON input for tool {self._public_name}: {error}"
            ) from error
        if not isinstance(arguments, dict):
            raise ModelBehaviorError(
                f"Invalid JSON input for tool {self._public_name}: expected a JSON object"
            )
        return arguments

    async def _meta(
        self, context: RunContextWrapper[Any], arguments: dict[str, Any]
    ) -> dict[str, Any] | None:
        if self._server.tool_meta_resolver is None:
            return None
        meta = self._server.tool_meta_resolver(
            MCPToolMetaContext(
                context, self._server.name, self._tool.name, copy.deepcopy(arguments)
            )
        )
        if inspect.isawaitable(meta):
            meta = await meta
        if meta is not None and not isinstance(meta, Mapping):
            raise UserError(
                f"tool_meta_resolver of MCP server {self._server.name!r} gave {type(meta)}. "
                "Give a dict, or None."
            )
        return None if meta is None else dict(meta)

    async def custom_data(self, about: FunctionToolCustomDataContext) -> Any:
        """Ask the server's `custom_data_extractor` about a finished call."""
        call_result = self._results.pop(about.tool_context.tool_call_id, None)
        if call_result is None or self._server.custom_data_extractor is None:
            return None  # The call failed, or a guardrail took its place.
        arguments, result = call_result
        data = self._server.custom_data_extractor(
            MCPToolCustomDataContext(
                run_context=about.tool_context,
                server_name=self._server.name,
                tool_name=self._tool.name,
                tool_display_name=self._public_name,
                arguments=arguments,
                result_meta=result.meta,
                structured_content=result.structured_content,
                is_error=result.is_error,
                tool_output=about.output,
            )
        )
        return await data if inspect.isawaitable(data) else data


@contextmanager
def _cancelled_from_outside_only(tool_name: str, server_name: str) -> Iterator[None]:
    """Let a cancellation of this task through, and make an error of any other.

    mcp cancels a call with a CancelledError when its transport breaks; passed on, it would look
    like the run being cancelled, and end it without a word.
    """
    task = asyncio.current_task()
    # A task that caught an earlier cancellation goes on, and counts it still.
    before = task.cancelling() if task else 0
    try:
        yield
    except asyncio.CancelledError:
        if task is None or task.cancelling() > before:
            raise
        raise MCPToolCancellationError(
            f"Failed to call tool {tool_name!r} on MCP server "
            f"{without_credentials(server_name)!r}: "
            "tool execution was cancelled."
        ) from None


def _is_mcp_error(error: Exception) -> bool:
    package = sys.modules.get("mcp")
    return package is not None and isinstance(error, package.MCPError)


def output_of(result: CallToolResult, use_structured_content: bool = False) -> Any:
    """Bring a result to what the model gets: JSON text, one content part, or a list of them.

    A result that the server calls an error is told like any other, for its words are for the model;
    its call has failed.
    """
    structured = result.structured_content
    if structured and not result.content:
        use_structured_content = True  # it is all that there is
    elif result.is_error:
        use_structured_content = False
    if use_structured_content and structured:
        text = json.dumps(structured)
        return _failed(text, []) if result.is_error else text
    parts = [_part(content) for content in result.content]
    if result.is_error:
        texts = [part["text"] for part in parts if part["type"] == "text"]
        return _failed("\n".join(texts), parts)
    return parts[0] if len(parts) == 1 else parts


def _failed(text: str, parts: list[Any]) -> ToolFailure | FailedContent:
    """The answer for a failed call: its text, or all of its parts where one is an image."""
    text = text or "The server says that the tool failed, and nothing else."
    if any(part["type"] != "text" for part in parts):
        return FailedContent(parts, text)
    failure = ToolFailure(text)
    failure.why = text
    return failure


def _part(content: Any) -> dict[str, Any]:
    if content.type == "text":
        return {"type": "text", "text": content.text}
    if content.type == "image":
        return {"type": "image", "image_url": f"data:{content.mime_type};base64,{content.data}"}
    return {"type": "text", "text": write_json(content.model_dump(mode="json"))}
