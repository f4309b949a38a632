"""How the client's `create()` is called: past its transformation, where nobody looks on.

A program may have wrapped the method, as tracers do: then it sees the arguments as they are, and
the client transforms them. Where the method is the client's own, what is JSON already goes past
that (see `http.raw_body`), and the answer is read by the types' validators, not built field by
field.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Final, cast

import httpx2
import openai
from openai import AsyncStream
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import ValidationError

from .._utils.json import encodable
from .http import warm_up
from .http.raw_body import bypass_request_transform, is_json
from .http.sse import parse_json
from .responses.events import loosely
from .responses.unions import typed_response

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = ["create_response", "is_wrapped", "is_wrapped_here", "sent_by", "stream_response"]

_OPENAI_FOLDER: Final = os.path.dirname(openai.__file__) + os.sep
_OPTIONS: Final = {
    "extra_body": "extra_json",
    "extra_headers": "headers",
    "extra_query": "params",
    "timeout": "timeout",
}
"""Arguments of ``create()`` that are no fields of the body, and what a request calls them."""

_UNREAD: Final = {"X-Stainless-Raw-Response": "stream"}
"""With this header the client leaves the body to its caller, as in ``with_streaming_response``."""

_KEPT_ARGUMENTS: Final = frozenset({*_OPTIONS, "model", "stream"})
"""Those that go past nothing: the client insists on them."""


def _function(create: Any) -> Any:
    return create.__func__


@cache
def _fields(create: Any) -> frozenset[str]:
    """The fields of a body that a `create` function knows; it says so of others."""
    return frozenset(inspect.signature(create).parameters) - {"self", *_OPTIONS}


def is_wrapped(create: Any) -> bool:
    """Whether a `create` method is another one than the client's own."""
    function = create.__func__ if type(create) is MethodType else None
    while type(function) is FunctionType and function.__code__.co_filename.startswith(
        _OPENAI_FOLDER
    ):
        inner = getattr(function, "__wrapped__", None)
        if inner is None:
            return False
        function = inner
    return True


def is_wrapped_here(client: Any) -> bool:
    """Whether a program has wrapped `create` of this very client: a copy of it would not be.

    Examples
    --------
    >>> from openai import AsyncOpenAI
    >>> is_wrapped_here(AsyncOpenAI(api_key="none"))
    False
    """
    made = vars(client)  # resources are made at their first use, and kept there
    chat = made.get("chat")
    resources = (made.get("responses"), chat and vars(chat).get("completions"))
    return any(each is not None and "create" in getattr(each, "__dict__", ()) for each in resources)


def sent_by(
    create: Any, arguments: dict[str, Any], keep: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The arguments for a `create` method: such that a wrapper sees them, else past the client.

    Parameters
    ----------
    create : callable
        The method.
    arguments : dict
        Of the request.
    keep : mapping, optional
        Arguments that the method insists on, in the place of those that go past it.
    """
    if is_wrapped(create):
        return encodable(arguments)  # the client encodes the body strictly
    names = (_fields(_function(create)) - _KEPT_ARGUMENTS) & arguments.keys()
    return {**(keep or {}), **bypass_request_transform(arguments, names)}


async def create_response(client: AsyncOpenAI, arguments: dict[str, Any]) -> Any:
    """Ask for an answer in one piece."""
    create = client.responses.create
    request = _as_request(create, arguments)
    if request is None:
        return await create(**sent_by(create, arguments))
    warm_up.prebuild()
    response = await client.post("/responses", cast_to=httpx2.Response, **request)
    await warm_up.wait_until_built()
    return _read(response)


def stream_response(
    client: AsyncOpenAI, arguments: dict[str, Any]
) -> AbstractAsyncContextManager[Any]:
    """Ask for an answer as a stream: the HTTP response, to be read and closed."""
    responses = client.responses
    request = _as_request(responses.create, {**arguments, "stream": True})
    if request is None:
        streamed = responses.with_streaming_response
        return streamed.create(**sent_by(responses.create, arguments), stream=True)
    request["options"]["headers"] = {**request["options"].get("headers", {}), **_UNREAD}
    return _posted(client, request)


@asynccontextmanager
async def _posted(client: AsyncOpenAI, request: dict[str, Any]) -> AsyncGenerator[Any, None]:
    kinds: Any = {"cast_to": Response, "stream_cls": AsyncStream[ResponseStreamEvent]}
    response: Any = await client.post("/responses", stream=True, **kinds, **request)
    try:
        yield response
    finally:
        await response.close()


def _as_request(create: Any, arguments: dict[str, Any]) -> dict[str, Any] | None:
    """What the client posts for the arguments of `create`; None where only `create` knows that."""
    encoded = encodable(arguments)  # its options as well: extra_body is encoded strictly, too
    body = {name: value for name, value in encoded.items() if name not in _OPTIONS}
    extra = encoded.get("extra_body")
    is_known = not is_wrapped(create) and body.keys() <= _fields(_function(create))
    if not is_known or not is_json([body, extra]):
        return None
    options: dict[str, Any] = {"security": {"bearer_auth": True}}  # as `create()` has it
    for name, option in _OPTIONS.items():
        if encoded.get(name) is not None or (name == "timeout" and name in encoded):
            options[option] = encoded[name]  # a timeout of None is none at all
    return {"body": body, "options": options}


def _read(response: httpx2.Response) -> Any:
    """The answer in an HTTP response, as the client reads it."""
    try:  # whatever type it says it has: not every server says "application/json"
        data = parse_json(response.content)
    except ValueError:
        return response.text
    if not isinstance(data, dict):
        return data
    try:
        answer = typed_response(data)
    except ValidationError:
        answer = cast(Response, loosely(Response, data))
    answer._request_id = response.headers.get("x-request-id")
    return answer
