"""Tools that the model's provider runs, and those whose calls go to an executor of yours.

Each is a plain value; `models` writes it into the request.
"""

from __future__ import annotations

import abc
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    Literal,
    NotRequired,
    Protocol,
    Required,
    TypeAlias,
    TypeVar,
)

from typing_extensions import TypedDict

from .._utils.redaction import remember
from .._utils.secrets import wrap_secrets
from .._utils.short_repr import short_repr

if TYPE_CHECKING:
    from openai.types.responses.file_search_tool_param import Filters, RankingOptions
    from openai.types.responses.response_computer_tool_call import (
        PendingSafetyCheck,
        ResponseComputerToolCall,
    )
    from openai.types.responses.response_output_item import LocalShellCall, McpApprovalRequest
    from openai.types.responses.tool_param import CodeInterpreter, ImageGeneration, Mcp
    from openai.types.responses.web_search_tool_param import Filters as WebSearchToolFilters
    from openai.types.responses.web_search_tool_param import UserLocation

    from .._agent_info import AgentInfo
    from ..run_context import RunContextWrapper

Environment: TypeAlias = Literal["mac", "windows", "ubuntu", "browser"]
Button: TypeAlias = Literal["left", "right", "wheel", "back", "forward"]


class WebSearchToolImageSettings(TypedDict, total=False):
    """Settings for images in results of `WebSearchTool`: `max_results`, and `caption` or not."""

    max_results: int
    caption: bool


class _ImageMask(TypedDict, total=False):
    file_id: str
    image_url: str


class ImageGenerationToolConfig(TypedDict, total=False):
    """As `ImageGenerationTool` takes it, and the API; ``type`` is required."""

    type: Required[Literal["image_generation"]]
    action: Literal["generate", "edit", "auto"]
    background: Literal["transparent", "opaque", "auto"]
    input_fidelity: Literal["high", "low"] | None
    input_image_mask: _ImageMask
    model: str
    moderation: Literal["auto", "low"]
    output_compression: int
    output_format: Literal["png", "webp", "jpeg"]
    partial_images: int
    quality: Literal["low", "medium", "high", "xhigh", "max", "auto"]
    size: str


if TYPE_CHECKING:
    ImageGenerationSettings: TypeAlias = ImageGenerationToolConfig | ImageGeneration
else:
    ImageGenerationSettings = ImageGenerationToolConfig  # as pydantic is to see it


@dataclass
class WebSearchTool:
    """Let the model search the web.

    Attributes
    ----------
    user_location : dict or None
        The location of the user, for local results.
    filters : dict or None
        Which domains to search.
    search_context_size : {"low", "medium", "high"}
        How much of the results goes into the context.
    external_web_access : bool or None
        Whether live pages may be read; False: only the provider's index.
    search_content_types : list of {"text", "image"} or None
        What to search for.
    image_settings : dict or None
        Settings for images among the results.

    Examples
    --------
    >>> WebSearchTool(filters={"allowed_domains": ["python.org"]}).name
    'web_search'
    """

    user_location: UserLocation | None = None
    filters: WebSearchToolFilters | None = None
    search_context_size: Literal["low", "medium", "high"] = "medium"
    external_web_access: bool | None = None
    search_content_types: list[Literal["text", "image"]] | None = None
    image_settings: WebSearchToolImageSettings | None = None

    def __repr__(self) -> str:
        return short_repr(self)

    @property
    def name(self) -> str:
        """The tool's name in a request."""
        return "web_search"


@dataclass
class FileSearchTool:
    """Let the model search vector stores.

    Attributes
    ----------
    vector_store_ids : list of str
        The stores.
    max_num_results : int or None
        How many results at most.
    include_search_results : bool
        Whether the output items carry the results.
    ranking_options, filters : dict or None
        How to rank and which files to search.

    Examples
    --------
    >>> FileSearchTool(["vs_123"], max_num_results=3).name
    'file_search'
    """

    vector_store_ids: list[str]
    max_num_results: int | None = None
    include_search_results: bool = False
    ranking_options: RankingOptions | None = None
    filters: Filters | None = None

    def __repr__(self) -> str:
        return short_repr(self)

    @property
    def name(self) -> str:
        """The tool's name in a request."""
        return "file_search"


@dataclass
class CodeInterpreterTool:
    """Let the model run Python in a container of the provider.

    Attributes
    ----------
    tool_config : dict
        The tool as the API takes it:
        ``{"type": "code_interpreter", "container": {"type": "auto"}}``.

    Examples
    --------
    >>> config = {"type": "code_interpreter", "container": {"type": "auto"}}
    >>> CodeInterpreterTool(config).name
    'code_interpreter'
    """

    tool_config: CodeInterpreter

    def __repr__(self) -> str:
        return short_repr(self)

    @property
    def name(self) -> str:
        """The tool's name in a request."""
        return "code_interpreter"


@dataclass
class ImageGenerationTool:
    """Let the model make images.

    Attributes
    ----------
    tool_config : dict
        The tool as the API takes it: ``{"type": "image_generation", "quality": "low"}``.

    Examples
    --------
    >>> ImageGenerationTool({"type": "image_generation", "quality": "low"}).name
    'image_generation'
    """

    tool_config: ImageGenerationSettings

    def __repr__(self) -> str:
        return short_repr(self)

    @property
    def name(self) -> str:
        """The tool's name in a request."""
        return "image_generation"


@dataclass
class MCPToolApprovalRequest:
    """A call of a hosted MCP server that waits for an answer.

    Attributes
    ----------
    ctx_wrapper : RunContextWrapper
        The run's context.
    data : McpApprovalRequest
        The request: server, tool and arguments.
    """

    ctx_wrapper: RunContextWrapper[Any]
    data: McpApprovalRequest


class MCPToolApprovalFunctionResult(TypedDict):
    """The answer: whether the call may go on, and why not.

    Attributes
    ----------
    approve : bool
        Whether the call may go on.
    reason : str
        Why not, for the model.
    """

    approve: bool
    reason: NotRequired[str]


MCPToolApprovalFunction: TypeAlias = Callable[
    [MCPToolApprovalRequest],
    Awaitable[MCPToolApprovalFunctionResult] | MCPToolApprovalFunctionResult,
]


@dataclass
class HostedMCPTool:
    """Let the provider call the tools of a remote MCP server.

    Attributes
    ----------
    tool_config : dict
        The tool as the API takes it: ``{"type": "mcp", "server_label": ..., "server_url": ...}``.
    on_approval_request : callable or None
        Answers the server's approval requests, sync or async; without it the run is interrupted.

    Examples
    --------
    >>> config = {"type": "mcp", "server_label": "docs", "server_url": "https://example.org/mcp"}
    >>> HostedMCPTool(config).name
    'hosted_mcp'
    """

    tool_config: Mcp
    on_approval_request: MCPToolApprovalFunction | None = None

    def __post_init__(self) -> None:
        remember(self.tool_config)
        # A copy in which `authorization` and `headers` do not print.
        self.tool_config = wrap_secrets(self.tool_config)

    def __repr__(self) -> str:
        return short_repr(self)

    @property
    def name(self) -> str:
        """The tool's name in a request."""
        return "hosted_mcp"


@dataclass
class ToolSearchTool:
    """Let the model search for tools with ``defer_loading=True`` instead of listing all of them.

    Attributes
    ----------
    description : str or None
        What can be found, for the model.
    execution : {"server", "client"} or None
        Who searches.
    parameters : object or None
        Schema of the search's arguments, for ``"client"``.

    Examples
    --------
    >>> ToolSearchTool().name
    'tool_search'
    """

    description: str | None = None
    execution: Literal["server", "client"] | None = None
    parameters: object | None = None

    def __repr__(self) -> str:
        return short_repr(self)

    @property
    def name(self) -> str:
        """The tool's name in a request."""
        return "tool_search"


@dataclass
class LocalShellCommandRequest:
    """A command that the model wants to run.

    Attributes
    ----------
    ctx_wrapper : RunContextWrapper
        The run's context.
    data : LocalShellCall
        The command, with its working directory and environment.
    """

    ctx_wrapper: RunContextWrapper[Any]
    data: LocalShellCall


LocalShellExecutor: TypeAlias = Callable[[LocalShellCommandRequest], Awaitable[str] | str]


@dataclass
class LocalShellTool:
    """Let the model run commands through your executor.

    Attributes
    ----------
    executor : callable
        Runs a command and returns its output; sync or async. It decides which commands are allowed.

    Examples
    --------
    >>> import subprocess
    >>> def run(request):
    ...     command = request.data.action.command
    ...     return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    >>> LocalShellTool(run).name
    'local_shell'
    """

    executor: LocalShellExecutor

    def __repr__(self) -> str:
        return short_repr(self)

    @property
    def name(self) -> str:
        """The tool's name in a request."""
        return "local_shell"


class Computer(abc.ABC):
    """A computer that the model looks at and operates; see `AsyncComputer` for async methods.

    `screenshot` returns a PNG in base64; positions are in pixels from the upper left corner.
    """

    @property
    def environment(self) -> Environment | None:
        """The kind of computer; the newer ``computer`` tool does not need it."""
        return None

    @property
    def dimensions(self) -> tuple[int, int] | None:
        """Width and height of the screen, in pixels."""
        return None

    @abc.abstractmethod
    def screenshot(self) -> str:
        """Image of the screen: a PNG in base64."""

    @abc.abstractmethod
    def click(self, x: int, y: int, button: Button) -> None:
        """Press `button` and release it at `x`, `y`, in pixels from the upper left."""

    @abc.abstractmethod
    def double_click(self, x: int, y: int) -> None:
        """Click twice at `x`, `y`, in pixels from the upper left."""

    @abc.abstractmethod
    def scroll(self, x: int, y: int, scroll_x: int, scroll_y: int) -> None:
        """Scroll by `scroll_x` and `scroll_y` at `x`, `y`, all in pixels."""

    @abc.abstractmethod
    def type(self, text: str) -> None:
        """Type `text`."""

    @abc.abstractmethod
    def wait(self) -> None:
        """Let the computer get on with what it does."""

    @abc.abstractmethod
    def move(self, x: int, y: int) -> None:
        """Move the pointer to `x`, `y`, in pixels from the upper left."""

    @abc.abstractmethod
    def keypress(self, keys: list[str]) -> None:
        """Press `keys` together."""

    @abc.abstractmethod
    def drag(self, path: list[tuple[int, int]]) -> None:
        """Drag along `path`, a list of positions in pixels."""


class AsyncComputer(abc.ABC):
    """`Computer` with async methods."""

    @property
    def environment(self) -> Environment | None:
        """The kind of computer; the newer ``computer`` tool does not need it."""
        return None

    @property
    def dimensions(self) -> tuple[int, int] | None:
        """Width and height of the screen, in pixels."""
        return None

    @abc.abstractmethod
    async def screenshot(self) -> str:
        """Image of the screen: a PNG in base64."""

    @abc.abstractmethod
    async def click(self, x: int, y: int, button: Button) -> None:
        """Press `button` and release it at `x`, `y`, in pixels from the upper left."""

    @abc.abstractmethod
    async def double_click(self, x: int, y: int) -> None:
        """Click twice at `x`, `y`, in pixels from the upper left."""

    @abc.abstractmethod
    async def scroll(self, x: int, y: int, scroll_x: int, scroll_y: int) -> None:
        """Scroll by `scroll_x` and `scroll_y` at `x`, `y`, all in pixels."""

    @abc.abstractmethod
    async def type(self, text: str) -> None:
        """Type `text`."""

    @abc.abstractmethod
    async def wait(self) -> None:
        """Let the computer get on with what it does."""

    @abc.abstractmethod
    async def move(self, x: int, y: int) -> None:
        """Move the pointer to `x`, `y`, in pixels from the upper left."""

    @abc.abstractmethod
    async def keypress(self, keys: list[str]) -> None:
        """Press `keys` together."""

    @abc.abstractmethod
    async def drag(self, path: list[tuple[int, int]]) -> None:
        """Drag along `path`, a list of positions in pixels."""


ComputerT = TypeVar("ComputerT")
ComputerT_co = TypeVar("ComputerT_co", covariant=True)
ComputerT_contra = TypeVar("ComputerT_contra", contravariant=True)


class ComputerCreate(Protocol[ComputerT_co]):
    """Makes the computer of a run."""

    def __call__(
        self, *, run_context: RunContextWrapper[Any]
    ) -> ComputerT_co | Awaitable[ComputerT_co]:
        """Make it."""


class ComputerDispose(Protocol[ComputerT_contra]):
    """Puts the computer of a run away."""

    def __call__(
        self, *, run_context: RunContextWrapper[Any], computer: ComputerT_contra
    ) -> Awaitable[None] | None:
        """Put it away."""


@dataclass
class ComputerProvider(Generic[ComputerT]):
    """Creates a computer for a run, and disposes of it.

    Attributes
    ----------
    create : callable
        Called with ``run_context=``, before an agent that has the tool asks its model for the first
        time; the computer that it gives, also from an async function, is the run's own.
    dispose : callable or None
        Called with ``run_context=`` and ``computer=`` when the run has ended, for any reason. An
        error that it raises is logged.

    Examples
    --------
    >>> def create(*, run_context): ...  # open a browser
    >>> def dispose(*, run_context, computer): ...  # close it
    >>> tool = ComputerTool(ComputerProvider(create, dispose))
    """

    create: ComputerCreate[ComputerT]
    dispose: ComputerDispose[ComputerT] | None = None


@dataclass
class ComputerToolSafetyCheckData:
    """A safety check that the model's provider asks to be acknowledged.

    Attributes
    ----------
    ctx_wrapper : RunContextWrapper
        The run's context.
    agent : Agent
        The agent that operates the computer.
    tool_call : ResponseComputerToolCall
        The call that waits for it.
    safety_check : PendingSafetyCheck
        What is to be acknowledged: its ``id``, ``code`` and ``message``.
    """

    ctx_wrapper: RunContextWrapper[Any]
    agent: AgentInfo
    tool_call: ResponseComputerToolCall
    safety_check: PendingSafetyCheck


@dataclass
class ComputerToolCustomDataContext:
    """The argument of `ComputerTool.custom_data_extractor`.

    Attributes
    ----------
    run_context : RunContextWrapper
        The run's context.
    tool : ComputerTool
        The tool.
    tool_call : ResponseComputerToolCall
        The call.
    output : str
        The image of the screen, as a data URL.
    raw_item : dict
        The output as it is sent to the model.
    """

    run_context: RunContextWrapper[Any]
    tool: ComputerTool[Any]
    tool_call: ResponseComputerToolCall
    output: str
    raw_item: Any


ComputerToolCustomDataExtractor: TypeAlias = Callable[
    [ComputerToolCustomDataContext],
    Awaitable[Mapping[str, Any] | None] | Mapping[str, Any] | None,
]


@dataclass(eq=False)
class ComputerTool(Generic[ComputerT]):
    """Let the model operate your computer.

    Attributes
    ----------
    computer : Computer, AsyncComputer, ComputerProvider or callable
        The computer, or a provider or function that creates one for each run.
    on_safety_check : callable or None
        Whether to acknowledge a safety check; without it such a call fails.
    custom_data_extractor : callable or None
        Data of your own to keep with the output item.

    Examples
    --------
    >>> class Browser(Computer):
    ...     def screenshot(self): return "iVBORw0..."
    ...     def click(self, x, y, button): ...
    ...     def double_click(self, x, y): ...
    ...     def scroll(self, x, y, scroll_x, scroll_y): ...
    ...     def type(self, text): ...
    ...     def wait(self): ...
    ...     def move(self, x, y): ...
    ...     def keypress(self, keys): ...
    ...     def drag(self, path): ...
    >>> ComputerTool(Browser()).name
    'computer_use_preview'
    """

    computer: ComputerT | ComputerCreate[ComputerT] | ComputerProvider[ComputerT]
    on_safety_check: Callable[[ComputerToolSafetyCheckData], bool | Awaitable[bool]] | None = None
    _: KW_ONLY
    custom_data_extractor: ComputerToolCustomDataExtractor | None = None

    @property
    def name(self) -> str:
        """The tool's name in a request."""
        return "computer_use_preview"

    @property
    def trace_name(self) -> str:
        """The tool's name in a trace."""
        return "computer"
