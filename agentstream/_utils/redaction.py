"""What is secret in this process, by value, and its removal from texts that others write.

    settings, clients, tools, MCP servers ──▶ remember ──▶ values
    a server's error, a recording, stderr ──▶ redact   ──▶ text without them

A name says whether a value is secret where the value is *given*. Where text comes *back*, no name
is left: a server repeats the key that it refuses in a sentence. So values are remembered when they
are sent, and each way out asks for them.
"""

from __future__ import annotations

import base64
import binascii
import logging
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from threading import Lock
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from .printable import printable

__all__ = [
    "guard_logs",
    "is_ordinary",
    "is_token",
    "names_secret",
    "names_sent",
    "redact",
    "redact_data",
    "redact_error",
    "remember",
    "remember_request",
    "remember_sent",
    "remember_url",
    "remembered",
]

MASK: Final = "***"

_SECRET_NAME: Final = re.compile(
    r"key|token|secret|passw|pwd|\bpat\b|_pat$|auth|credential|cookie|signature|\bsig\b|bearer"
    r"|headers",
    re.IGNORECASE,
)
_NUMBER_NAME: Final = re.compile(
    r"tokens|tokeniz\w+|cache_key|keywords?|keyboard|author(?!i)|.*_(?:type|mode|name|style|format)$",
    re.IGNORECASE,
)
_SENT: Final = re.compile(r"(?:\w+_)?(?:headers|query)", re.IGNORECASE)
# Below these stand names that the user gives to a tool's parameters, and prompts.
_NO_SECRETS: Final = frozenset({"input", "messages", "parameters", "properties", "schema"})

_SHORTEST: Final = 8  # characters; less would mask words
_LONGEST_KEPT: Final = 2_000  # characters of a header or an address that was looked at
_MOST: Final = 2_000  # values: tokens that are renewed for ever do not fill the memory

# What local servers are given in the place of a key ("lm-studio", "not-needed"), and other words:
# to mask them would eat what a model says.
_ORDINARY: Final = re.compile(r"(?=.{,15}\Z)[a-z]+(?:[-_. ][a-z]+)*", re.IGNORECASE)
# Headers and queries whose values every request has, or that say who asks: not secret.
_NOT_SECRET: Final = re.compile(
    r"accept.*|api-version|connection|content-.*|helicone-(?!auth).*|host|http-referer|model"
    r"|openai-(?:beta|organization|project)|origin|referer|traceparent|tracestate|user-agent"
    r"|version|x-(?:app-name|title|request-id|stainless-.*)",
    re.IGNORECASE,
)
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f]+")
_WORD: Final = re.compile(r"[A-Za-z]?[a-z]+|[A-Z]+|[\d.]+")
_URL: Final = re.compile(r"\w[\w+.-]*://[^\s'\"<>]+")
_PAIR: Final = re.compile(r"(?:^|(?<=[=\s]))-{0,2}(\w[\w-]*)\s?[=:]\s?")
_RUN: Final = re.compile(r"[A-Za-z0-9]{16,}")
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

_values: OrderedDict[str, None] = OrderedDict()
_longest_first: tuple[str, ...] = ()
_looked_at: Final[set[tuple[Any, str]]] = set()
"""Headers and addresses whose secrets are among the values."""
_lock: Final = Lock()


def redact(text: str) -> str:
    """`text` with every remembered secret masked.

    A text that holds none is given back itself.
    """
    for value in _longest_first:  # a look for each is faster than a pattern of all
        if value in text:
            text = text.replace(value, MASK)
    return text


def redact_data(value: Any) -> Any:
    """A copy of plain data with every remembered secret masked, also in names.

    Examples
    --------
    >>> remember("sk-12345678", under="api_key")
    >>> redact_data({"message": ["sk-12345678"], "status": 401})
    {'message': ['***'], 'status': 401}
    """
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {redact_data(name): redact_data(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        entries = [redact_data(entry) for entry in value]
        is_named = hasattr(value, "_fields")  # such as the key of a connection in aiohttp's errors
        return type(value)(*entries) if is_named else type(value)(entries)
    return value


def redact_error(error: BaseException) -> None:
    """Mask in an error, and in what led to it, in place, what a server may have repeated.

    Its text is printed by Python as it is: so it loses what a terminal would obey, too.
    """
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            waiting += [each.__cause__, each.__context__]
            waiting += each.exceptions if isinstance(each, BaseExceptionGroup) else ()
            _redact_one(each)


def _redact_one(error: BaseException) -> None:
    args = tuple(
        printable(redact(value)) if isinstance(value, str) else redact_data(value)
        for value in error.args
    )
    if args != error.args:
        error.args = args
    if isinstance(message := getattr(error, "__dict__", {}).get("message"), str):
        vars(error)["message"] = printable(message)
    for holder in (error, getattr(error, "error", None)):  # MCPError.error has the server's words
        for name in ("message", "body", "data"):
            value = getattr(holder, "__dict__", {}).get(name)
            if isinstance(value, (str, dict, list)):
                setattr(holder, name, redact_data(value))


def remember(value: Any, *, under: str = "") -> None:
    """Remember what is secret in `value`: texts under names such as ``api_key``, and in URLs.

    What is neither a text nor a dict or list of texts is passed over; `under` is the name that
    `value` was given under.
    """
    _add(_secrets_in(value, names_secret(under)))


def remember_sent(values: Mapping[str, Any] | None) -> None:
    """Remember the values of headers or of a query: all but those that are known to be harmless."""
    pairs = (values or {}).items()
    _remember_once(pairs, lambda name, value: _sent_in({name: value}))


def remember_request(request: Any) -> None:
    """Remember what an HTTP request was sent with: its headers, and what its address holds."""
    remember_sent(getattr(request, "headers", None))
    remember_url(getattr(request, "url", ""))


def remember_url(url: object) -> None:
    """Remember the password and the query of an address."""
    _remember_once([("", str(url))], lambda _, text: _in_urls(text))


def names_secret(name: str) -> bool:
    """Whether a value under `name` is secret.

    Examples
    --------
    >>> [names_secret(name) for name in ("GH_PAT", "api_key", "max_tokens", "author")]
    [True, True, False, False]
    """
    return bool(_SECRET_NAME.search(_NUMBER_NAME.sub("", name)))


def names_sent(name: str) -> bool:
    """Whether what stands under `name` is sent as headers or as a query.

    Examples
    --------
    >>> [names_sent(name) for name in ("extra_headers", "query", "input")]
    [True, True, False]
    """
    return bool(_SENT.fullmatch(name))


def is_token(segment: str) -> bool:
    """Whether a segment of an address's path reads as a secret, as services put it there.

    Examples
    --------
    >>> [is_token(one) for one in ("mcp", "gpt-4o-mini-2024-07-18", "ZjE0YmQ3YTAtNGQ2Ny00")]
    [False, False, True]
    """
    return _UUID.search(segment) is not None or any(
        not run.isalpha() and not run.isdigit() for run in _RUN.findall(segment)
    )


def _sent_in(values: Mapping[Any, Any]) -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, (list, tuple)):  # a query may have a name more than once
            for entry in value:
                yield from _sent_in({name: entry})
        if not isinstance(value, str) or _NOT_SECRET.fullmatch(str(name)):
            continue
        if names_secret(str(name)) or not _WORD.fullmatch(value):
            yield from _parts(value)


def _secrets_in(value: Any, secret: bool) -> Iterator[str]:
    if isinstance(value, str):
        yield from _parts(value) if secret else _in_urls(value)
    elif isinstance(value, Mapping):
        for name, entry in value.items():
            if isinstance(entry, Mapping) and names_sent(str(name)):
                yield from _sent_in(entry)
            elif name not in _NO_SECRETS:
                yield from _secrets_in(entry, secret or names_secret(str(name)))
    elif isinstance(value, (list, tuple)):
        follows = False
        for entry in value:
            yield from _secrets_in(entry, secret or follows)
            follows = False
            if isinstance(entry, str):  # --token=..., or --token ...; -e TOKEN=...; X-Key: ...
                follows = entry.startswith("-") and "=" not in entry and names_secret(entry)
                for pair in _PAIR.finditer(entry):
                    if names_secret(pair[1]):
                        yield from _parts(entry[pair.end() :])


def _parts(value: str) -> Iterator[str]:
    """What is secret of a header's value or a key: itself, without its scheme, each cookie."""
    if "://" in value:
        yield from _in_urls(value)
        return
    yield value.strip()
    # A header that is none is repeated with escapes.
    yield from map(str.strip, _CONTROLS.split(value))
    scheme, _, rest = value.strip().partition(" ")
    if rest and "=" not in scheme:  # "Bearer ...", "Basic ..."
        yield rest.strip()
        if scheme.lower() == "basic":
            yield from _parts_of_user(_decoded(rest.strip()))
    for pair in value.split(";"):
        _, is_pair, text = pair.partition("=")
        if is_pair and text.strip("="):
            yield text.strip()


def _in_urls(text: str) -> Iterator[str]:
    if "://" not in text:
        return
    for url in _URL.findall(text):
        try:
            parts = urlsplit(url)
        except ValueError:  # no address: [, or a port that is no number
            continue
        yield from _parts_of_user(parts.netloc.rpartition("@")[0])
        yield from filter(is_token, parts.path.split("/"))
        for query in (parts.query, parts.fragment):
            for name, value in parse_qsl(query):
                if names_secret(name) or not (
                    _NOT_SECRET.fullmatch(name) or _WORD.fullmatch(value)
                ):
                    yield value


def _parts_of_user(user: str) -> Iterator[str]:
    name, has_password, password = user.partition(":")
    # A token alone stands in the user's place: https://ghp_...@github.com
    yield password if has_password and password != "x-oauth-basic" else name
    if password == "x-oauth-basic":
        yield name


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode("utf-8", "replace")
    except binascii.Error:
        return ""


def _remember_once(
    pairs: Iterable[tuple[Any, Any]], find: Callable[[Any, Any], Iterable[str]]
) -> None:
    """Remember what is secret in pairs, not again in those that were looked at: most were."""
    for name, value in pairs:
        if type(value) is not str:
            _add(find(name, value))
        elif (name, value) not in _looked_at:
            if len(_looked_at) > _MOST:
                _looked_at.clear()
            _add(find(name, value))
            if len(value) < _LONGEST_KEPT:
                _looked_at.add((name, value))


def _add(secrets: Iterable[str]) -> None:
    global _longest_first
    new = {
        form
        for value in secrets
        for form in (value, unquote(value), quote(value, safe=""), quote(value))
        if len(form) >= _SHORTEST
        and not is_ordinary(value)
        and value.strip("*•. ")  # masked already
    }
    if new <= _values.keys():
        return
    with _lock:
        _values.update(dict.fromkeys(new))
        while len(_values) > _MOST:
            _values.popitem(last=False)
            _looked_at.clear()
        _longest_first = tuple(sorted(_values, key=len, reverse=True))


def is_ordinary(value: str) -> bool:
    """Whether a key is too short, or too ordinary a word, to be masked wherever it stands."""
    return len(value) < _SHORTEST or _ORDINARY.fullmatch(value) is not None


def remembered() -> tuple[str, ...]:
    """Every remembered secret, in each form that it may have in a text; the longest first."""
    return _longest_first


# Their loggers write requests and responses at DEBUG, and addresses at INFO.
_LOGGERS: Final = re.compile(r"(?:openai|httpx2?|httpcore2?|aiohttp|mcp|agentstream)(?:\.|\Z)")
_guarded = 0


def guard_logs() -> None:
    """Mask secrets in what the HTTP libraries, their clients and mcp log, whoever reads it.

    Called with each connection: a filter belongs to one logger, and loggers come with modules.
    """
    global _guarded
    loggers = logging.root.manager.loggerDict
    if len(loggers) == _guarded:
        return
    for name, logger in list(loggers.items()):
        if isinstance(logger, logging.Logger) and _LOGGERS.match(name):
            logger.addFilter(_FILTER)  # once, however often
    _guarded = len(loggers)


class _RedactingFilter(logging.Filter):
    """Masks secrets in the records of a logger, and lets all of them through."""

    def filter(self, record: logging.LogRecord) -> bool:
        if _longest_first:
            message = record.getMessage()
            masked = redact(message)
            if masked is not message:
                record.msg, record.args = masked, None
            if record.exc_info and not record.exc_text:
                record.exc_text = redact(logging.Formatter().formatException(record.exc_info))
        return True


_FILTER: Final = _RedactingFilter()


def forget_all() -> None:
    """Forget every secret; for tests."""
    global _longest_first
    with _lock:
        _values.clear()
        _looked_at.clear()
        _longest_first = ()
