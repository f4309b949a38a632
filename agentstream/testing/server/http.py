"""As much HTTP/1.1 as a client of the OpenAI API speaks: requests in, bodies and chunks out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

# What could identify its sender is not kept.
SECRET_HEADERS = frozenset(
    {"authorization", "api-key", "x-api-key", "cookie", "proxy-authorization"}
)


@dataclass(frozen=True)
class RecordedRequest:
    """A request as the server got it.

    Attributes
    ----------
    method, path : str
        Such as ``"POST"`` and ``"/v1/responses"``; the path has its query.
    headers : dict
        Names in lower case; without the credentials.
    body : object
        The JSON of the body; None without one.

    Examples
    --------
    >>> RecordedRequest("POST", "/v1/responses?x=1", {}).endpoint
    '/v1/responses'
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any = None

    @property
    def endpoint(self) -> str:
        """The path without its query."""
        return self.path.partition("?")[0]


def parsed(body: bytes) -> Any:
    """The JSON of a body; its text where it is something else."""
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body.decode("utf-8", "replace")


def error_body(message: str, status: int, code: str | None = None) -> dict[str, Any]:
    """An error as the API words it."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


@dataclass
class Connection:
    """One client's connection: requests are read from it, answers written to it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    ahead: bytes = b""  # read while watching for the end of the connection
    chunked: bool = field(default=False, init=False)
    always: Mapping[str, str] = field(default_factory=dict, init=False)
    """Headers of every response from now on."""

    async def request(self) -> RecordedRequest | None:
        """The next request; None when the client has gone."""
        try:
            head = self.ahead + await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        self.ahead = b""
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ", 2)
        pairs = (line.partition(":") for line in lines if line)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        body = await self._body(headers)
        kept = {name: value for name, value in headers.items() if name not in SECRET_HEADERS}
        return RecordedRequest(method, path, kept, parsed(body))

    async def _body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding") != "chunked":
            return await self.reader.readexactly(int(headers.get("content-length", 0)))
        body = b""
        while size := int(await self.reader.readline(), 16):
            body += await self.reader.readexactly(size)
            await self.reader.readline()
        await self.reader.readline()
        return body

    async def gone(self) -> None:
        """Wait until the client closes the connection."""
        try:
            while data := await self.reader.read(1):
                self.ahead += data
        except ConnectionError:
            return

    async def start(self, status: int, headers: Mapping[str, str], length: int | None) -> None:
        """Send the status and the headers; without a length the body comes in chunks."""
        self.chunked = length is None
        size = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", size]
        lines += [f"{name}: {value}" for name, value in {**self.always, **headers}.items()]
        await self.write("\r\n".join([*lines, "", ""]).encode("latin-1"))

    async def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def chunk(self, data: bytes) -> None:
        """Send a fragment of a body in chunks; an empty one would end it."""
        if data:
            await self.write(b"%x\r\n%b\r\n" % (len(data), data))

    async def end(self) -> None:
        """End a body in chunks."""
        await self.write(b"0\r\n\r\n")

    async def json(
        self, value: Any, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        """Send a whole JSON answer."""
        body = json.dumps(value).encode()
        about = {"content-type": "application/json", **(headers or {})}
        await self.start(status, about, len(body))
        await self.write(body)

    async def error(
        self,
        message: str,
        status: int,
        *,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Send an error as the API words it."""
        await self.json(error_body(message, status, code), status, headers)
