"""How to ask a model: temperature, tool choice, retries and the like."""

from __future__ import annotations

import dataclasses
import math
import os
import re
from collections.abc import Callable, Collection
from dataclasses import field, fields
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import urlsplit

from openai import Omit as _Omit
from openai._types import Body, Query
from openai.types.responses import ResponseIncludable
from openai.types.shared import Reasoning
from pydantic import BeforeValidator, ConfigDict, Field, FiniteFloat
from pydantic.dataclasses import dataclass as pydantic_dataclass
from pydantic_core import core_schema, to_jsonable_python

from ._utils.keywords import suggesting_init
from ._utils.redaction import remember
from ._utils.secrets import wrap_secrets
from ._utils.settings_dict import as_settings
from ._utils.short_repr import short_repr
from .exceptions import UserError

# A setting, and the name under which its texts count: all of a header, in a body only keys.
_MAY_HOLD_KEYS = ("extra_headers", "extra_query", "extra_body", "extra_args", "metadata")
# An error of pydantic's prints what it does not take.
_HIDDEN = BeforeValidator(lambda value: wrap_secrets(value, under="headers"))
_CONFIG = ConfigDict(arbitrary_types_allowed=True)


class _OmitField:
    """Lets `openai.Omit` stand in a header to leave it out, as the client allows."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.is_instance_schema(
            _Omit, serialization=core_schema.plain_serializer_function_ser_schema(lambda _: None)
        )


Headers: TypeAlias = dict[str, str | Annotated[_Omit, _OmitField]]


@pydantic_dataclass
class MCPToolChoice:
    """Makes the model call one tool of a hosted MCP server."""

    server_label: str
    name: str


ToolChoice: TypeAlias = Literal["auto", "required", "none"] | str | MCPToolChoice | None


@pydantic_dataclass
class ModelRetryBackoffSettings:
    """How long to wait between tries; delays in seconds.

    Attributes
    ----------
    initial_delay : float or None
        Before the first retry.
    max_delay : float or None
        No wait is longer than this.
    multiplier : float or None
        Each wait is this many times the one before.
    jitter : bool or None
        Vary the waits at random, so that many clients do not retry in step.

    Examples
    --------
    >>> ModelRetryBackoffSettings(initial_delay=0.5, multiplier=2.0, max_delay=8.0).max_delay
    8.0
    """

    initial_delay: Annotated[float, Field(ge=0)] | None = None
    max_delay: Annotated[float, Field(ge=0)] | None = None
    multiplier: Annotated[float, Field(ge=0)] | None = None
    jitter: bool | None = None

    def to_json_dict(self) -> dict[str, Any]:
        """The settings as a dict that JSON can hold."""
        return dataclasses.asdict(self)


def _backoff_from(value: Any) -> Any:
    return as_settings(ModelRetryBackoffSettings, value, "model", " in retry.backoff")


@pydantic_dataclass(config=_CONFIG)
class ModelRetrySettings:
    """Whether and when a failed model call is retried.

    Attributes
    ----------
    max_retries : int or None
        How many retries at most.
    backoff : ModelRetryBackoffSettings or None
        The waits in between.
    policy : callable or None
        Decides for each error; see `retry_policies`.
    replace_partial : bool or None
        Whether to retry a stream that broke off within its answer, from its start. The partial
        answer is then marked as superseded and no longer shown; a program that reads the events
        gets another `response.created` and must drop the events before it. Without a policy, errors
        of the connection and of an overloaded server are retried.

    Examples
    --------
    >>> from agentstream import retry_policies
    >>> retry = ModelRetrySettings(max_retries=3, policy=retry_policies.http_status([429, 503]))
    >>> ModelSettings(retry=retry).retry.max_retries
    3
    """

    max_retries: int | None = None
    backoff: Annotated[ModelRetryBackoffSettings | None, BeforeValidator(_backoff_from)] = None
    policy: Annotated[Callable[..., Any] | None, Field(exclude=True)] = field(
        default=None, repr=False
    )
    replace_partial: bool | None = None

    def to_json_dict(self) -> dict[str, Any]:
        """The settings as a dict that JSON can hold; the policy is a function and left out."""
        plain: dict[str, Any] = {
            "max_retries": self.max_retries,
            "backoff": self.backoff.to_json_dict() if self.backoff else None,
        }
        if self.replace_partial is not None:  # not of the SDK's, and only there where it is used
            plain["replace_partial"] = self.replace_partial
        return plain


def _retry_from(value: Any) -> Any:
    return as_settings(ModelRetrySettings, value, "model", " in retry")


@suggesting_init
@pydantic_dataclass(config=_CONFIG)
class ModelSettings:
    """Optional settings of a model call; None leaves a choice to the API. Names are the API's own.

    Attributes
    ----------
    temperature, top_p, frequency_penalty, presence_penalty : float or None
        Sampling settings of the model.
    tool_choice : str or MCPToolChoice or None
        ``"auto"``, ``"required"``, ``"none"``, or the name of the tool it must call.
    parallel_tool_calls : bool or None
        Whether it may call several tools at once.
    truncation : {"auto", "disabled"} or None
        Whether the server may shorten input that does not fit the context window.
    max_tokens : int or None
        Maximum number of tokens in an answer.
    reasoning : openai.types.shared.Reasoning or dict or None
        For example ``{"effort": "low", "summary": "auto"}``.
    verbosity : {"low", "medium", "high"} or None
        How long its answers are.
    metadata : dict or None
        Kept with the response by the server.
    store : bool or None
        Whether the server keeps the response.
    prompt_cache_retention, prompt_cache_options
        How long, and how, the server caches the prompt.
    include_usage : bool or None
        Chat Completions: whether to request token counts; None means yes.
    response_include : list of str or None
        Additional fields of the answer, such as ``"file_search_call.results"``.
    top_logprobs : int or None
        How many alternatives of each token are returned.
    extra_query, extra_body, extra_headers, extra_args : dict or None
        Added to the request's URL, body and headers, and to the client's call. They are copied.
        Values that may be keys are masked in a `repr` (see `agentstream._utils.secrets`).
    retry : ModelRetrySettings or None
        Whether a failed call is retried.
    context_management : list or None
        How the server shortens a long conversation.
    preserve_raw_usage : bool or None
        Whether `ModelResponse.raw_usage` is kept.
    timeout : float or None
        Seconds, for one whole model call.

    Examples
    --------
    >>> ModelSettings(temperature=0.2).resolve(ModelSettings(max_tokens=100)).temperature
    0.2
    """

    temperature: float | None = None
    top_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    tool_choice: ToolChoice = None
    parallel_tool_calls: bool | None = None
    truncation: Literal["auto", "disabled"] | None = None
    max_tokens: int | None = None
    reasoning: Reasoning | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    metadata: dict[str, str] | None = None
    store: bool | None = None
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None
    include_usage: bool | None = None
    response_include: list[ResponseIncludable | str] | None = None
    top_logprobs: int | None = None
    extra_query: Annotated[Query | None, _HIDDEN] = None
    extra_body: Annotated[Body | None, _HIDDEN] = None
    extra_headers: Annotated[Headers | None, _HIDDEN] = None
    extra_args: Annotated[dict[str, Any] | None, _HIDDEN] = None
    retry: Annotated[ModelRetrySettings | None, BeforeValidator(_retry_from)] = None
    context_management: list[Any] | None = None
    prompt_cache_options: Any | None = None
    preserve_raw_usage: bool | None = None
    timeout: Annotated[FiniteFloat, Field(gt=0)] | None = None

    def __post_init__(self) -> None:
        self.remember_secrets()
        for name in _MAY_HOLD_KEYS:
            if isinstance(value := getattr(self, name), dict):
                setattr(self, name, wrap_secrets(value, under=name))

    def remember_secrets(self) -> None:
        """Have the secrets in these settings masked wherever a server repeats them."""
        for name in _MAY_HOLD_KEYS:
            if isinstance(value := getattr(self, name), dict):
                remember({name: value})

    def __repr__(self) -> str:
        return short_repr(self)

    def resolve(self, override: ModelSettings | dict[str, Any] | None) -> ModelSettings:
        """These settings with those of `override` that are set laid over them.

        Parameters
        ----------
        override : ModelSettings or dict or None
            Usually of the run; `extra_args` and `retry` are merged, the rest is replaced.

        Returns
        -------
        ModelSettings
            A new object.
        """
        if override is None:
            return self
        override = as_settings(ModelSettings, override, "model")
        changes = {
            f.name: getattr(override, f.name)
            for f in fields(override)
            if getattr(override, f.name) is not None
        }
        if self.extra_args and override.extra_args:
            changes["extra_args"] = {**self.extra_args, **override.extra_args}
        if self.retry and override.retry:
            changes["retry"] = _merged_retry(self.retry, override.retry)
        return dataclasses.replace(self, **changes)

    def to_json_dict(self) -> dict[str, Any]:
        """The settings as a dict that JSON can hold."""
        plain: dict[str, Any] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            plain[f.name] = (
                value.to_json_dict()
                if isinstance(value, ModelRetrySettings)
                else to_jsonable_python(value)
            )
        return plain

    def to_traceable_dict(self) -> dict[str, Any]:
        """As `to_json_dict`, without what may hold secrets, and what is not of the request."""
        plain = self.to_json_dict()
        extras = ("extra_headers", "extra_query", "extra_body", "extra_args")
        for name in (*extras, "preserve_raw_usage"):
            plain.pop(name)
        return plain


def _merged_retry(base: ModelRetrySettings, over: ModelRetrySettings) -> ModelRetrySettings:
    backoff = over.backoff or base.backoff
    if base.backoff and over.backoff:
        backoff = ModelRetryBackoffSettings(
            **{
                f.name: value
                for f in fields(ModelRetryBackoffSettings)
                if (value := _first(getattr(over.backoff, f.name), getattr(base.backoff, f.name)))
                is not None
            }
        )
    return ModelRetrySettings(
        max_retries=_first(over.max_retries, base.max_retries),
        backoff=backoff,
        policy=_first(over.policy, base.policy),
        replace_partial=_first(over.replace_partial, base.replace_partial),
    )


def _first(preferred: Any, fallback: Any) -> Any:
    return fallback if preferred is None else preferred


# The model of an agent that names none; the SDK 0.24's choice, so that programs behave alike.
_DEFAULT_MODEL = "gpt-5.6-luna"

# Reasoning effort the SDK 0.24 asks of each model when a program says nothing (observed by running
# it): "none" where the model can skip reasoning, the least it accepts where it cannot.
_DATE = r"(-\d{4}-\d{2}-\d{2})?$"
_DEFAULT_EFFORT: tuple[tuple[str, str], ...] = (
    (rf"gpt-5{_DATE}", "low"),
    (rf"gpt-5\.[12]{_DATE}", "none"),
    (rf"gpt-5\.2-pro{_DATE}", "medium"),
    (rf"gpt-5\.2-codex{_DATE}", "low"),
    (rf"gpt-5\.3-codex{_DATE}", "none"),
    (rf"gpt-5\.4(-mini|-nano)?{_DATE}", "none"),
    (rf"gpt-5\.4-pro{_DATE}", "medium"),
    (rf"gpt-5\.5{_DATE}", "none"),
    (rf"gpt-5\.6(-luna|-terra|-sol)?{_DATE}", "none"),
)


def default_model_name() -> str:
    """The model an agent without one gets: ``OPENAI_DEFAULT_MODEL``, else the SDK's choice."""
    return os.environ.get("OPENAI_DEFAULT_MODEL", _DEFAULT_MODEL).lower()


def takes_reasoning_settings(model: str) -> bool:
    """Whether a model takes the settings of GPT-5: its family without the chat models."""
    return model.startswith("gpt-5") and "chat-latest" not in model


def default_model_settings(model: str | None = None) -> ModelSettings:
    """The settings that suit a model when the program says nothing.

    Parameters
    ----------
    model : str, optional
        The model's name; the default model's where None.

    Examples
    --------
    >>> default_model_settings("gpt-5").verbosity
    'low'
    >>> default_model_settings("gpt-4o") == ModelSettings()
    True
    """
    name = default_model_name() if model is None else model
    if not takes_reasoning_settings(name):
        return ModelSettings()
    for pattern, effort in _DEFAULT_EFFORT:
        if re.match(pattern, name):
            return ModelSettings(reasoning=Reasoning(effort=effort), verbosity="low")  # type: ignore[arg-type]
    return ModelSettings(verbosity="low")


@dataclasses.dataclass(frozen=True)
class TimeLimits:
    """How long the parts of a run may take, in seconds; None: without limit.

    Given as ``RunConfig(limits=...)``. They stand beside `ModelSettings.timeout` (one whole model
    call), the openai client's own ``timeout`` and a tool's own ``timeout``: the shortest counts.

    Attributes
    ----------
    connect : float or None
        Until the connection to the model's server is open. None uses the client's limit (5 s).
    first_event : float or None
        Until a streamed answer begins. Ten minutes by default: a local model may have to read a
        long prompt first.
    between_events : float or None
        Between two events of a streamed answer. Five minutes by default: reasoning is silent.
    run : float or None
        The whole run; pauses for approvals do not count.
    tool : float or None
        Each call of a function tool without its own timeout. The thread of a synchronous function
        cannot be stopped: it continues, and its result is dropped. An agent that runs as a tool has
        the limits of its own run.
    notice : float or None
        Silence of a streaming model after which the view shows that it waits.
    event_bytes : int or None
        Bytes, not seconds: of one event of a streamed answer, and of an answer in one piece. 64 MiB
        by default; the largest real ones hold images. Like all sizes, it is counted after
        decompression.
    answer_bytes : int or None
        Bytes of a whole streamed answer, 1 GiB by default.
    error_bytes : int or None
        Bytes of an error's body that are read, 1 MiB by default; the rest is left out.
    redirect_origins : collection of str
        Other origins, such as ``"https://eu.example.org"``, that a model's server may redirect
        requests to, with all that is in them: the conversation, and keys in headers. None by
        default: a redirect elsewhere is a `RedirectError`. Within an origin, and from http to https
        on one host, redirects are followed.

    Examples
    --------
    >>> from agentstream import RunConfig
    >>> RunConfig(limits=TimeLimits(between_events=30, run=600)).limits.first_event
    600.0
    """

    connect: float | None = None
    first_event: float | None = 600.0
    between_events: float | None = 300.0
    run: float | None = None
    tool: float | None = None
    notice: float | None = 5.0
    event_bytes: int | None = 64 * 1024**2
    answer_bytes: int | None = 1024**3
    error_bytes: int | None = 1024**2
    redirect_origins: Collection[str] = frozenset()

    def __repr__(self) -> str:
        return short_repr(self)

    def __post_init__(self) -> None:
        object.__setattr__(self, "redirect_origins", _origins(self.redirect_origins))
        for each in fields(self):
            if each.name == "redirect_origins":
                continue
            seconds: Any = getattr(self, each.name)
            number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
            if seconds is not None and not (number and math.isfinite(seconds) and seconds > 0):
                unit = "bytes" if each.name.endswith("bytes") else "seconds"
                raise UserError(
                    f"TimeLimits.{each.name} must be a positive number of {unit}, or None for "
                    f"no limit, got {seconds!r}"
                )


def _origins(settings: Any) -> frozenset[str]:
    listed = (
        [] if isinstance(settings, str) or not isinstance(settings, Collection) else list(settings)
    )
    origins = [origin_of(each) if isinstance(each, str) else None for each in listed]
    if None in origins or (not listed and settings != () and settings != frozenset()):
        raise UserError(
            "TimeLimits.redirect_origins must be a list of origins such as "
            f"'https://eu.example.org', got {settings!r}"
        )
    return frozenset(origin for origin in origins if origin is not None)


def origin_of(url: str) -> str | None:
    """The origin of an address: its scheme, host and port; None where it has none.

    Examples
    --------
    >>> origin_of("HTTPS://me@Example.org:443/v1?key=1")
    'https://example.org'
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not parts.scheme or not host:
        return None
    host = f"[{host}]" if ":" in host else host
    known = port is None or port == {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{host}" + ("" if known else f":{port}")
