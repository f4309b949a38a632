"""The service's files and batches, by the openai client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager, AsyncExitStack
from dataclasses import replace
from typing import Any, BinaryIO, Final

import httpx2
import openai

from ...model_settings import TimeLimits
from ...models.http.bounds import too_large
from ...models.retry.advice import normalize
from ...models.retry.client_retries import guarded_requests

__all__ = ["BatchService", "in_groups", "is_away", "key_of"]

_NAME: Final = "agentstream_batch"
"""Of the metadata that a batch is found by."""

_TRIES: Final = 4
_DELAY: Final = 0.5
_LOOKED_THROUGH: Final = 500
_TOGETHER: Final = 50


class BatchService:
    """Uploads files, makes batches, and reads what came of them.

    Parameters
    ----------
    client : openai.AsyncOpenAI
        Makes the requests.
    limits : TimeLimits
        The sizes of answers, and where they may redirect to. A file has no limit, its lines do.

    Attributes
    ----------
    is_uncertain : bool
        Whether the last `make` that raised may have made its batch all the same.
    """

    def __init__(self, client: openai.AsyncOpenAI, limits: TimeLimits) -> None:
        self._client = client
        self._limits = replace(limits, answer_bytes=None)
        self.is_uncertain = False

    def _guarded(self, *, stream: bool = False) -> AbstractContextManager[None]:
        return guarded_requests(self._client, self._limits, stream=stream)

    async def upload(self, name: str, lines: BinaryIO) -> str:
        """Upload the requests of a batch; the file's id."""
        lines.seek(0)
        with self._guarded():
            file = await self._client.files.create(
                file=(f"{name}.jsonl", lines, "application/jsonl"), purpose="batch"
            )
        return file.id

    async def make(self, name: str, endpoint: str, file: str) -> Any:
        """Make a batch of requests that are uploaded, exactly one.

        A request for it whose answer is lost is not simply made again: that could make a second
        batch, which costs as much. So the service's list is looked through first.
        """
        self.is_uncertain = False
        once = self._client.with_options(max_retries=0)
        for left in reversed(range(_TRIES)):
            try:
                with self._guarded():
                    return await once.batches.create(
                        completion_window="24h",
                        endpoint=endpoint,  # type: ignore[arg-type]  # one of those it lists
                        input_file_id=file,
                        metadata={_NAME: name},
                    )
            except openai.APIError as error:
                status = normalize(error).status_code
                # Also where a later try is refused, this one may have made it.
                self.is_uncertain |= status is None or status == 408 or status >= 500
                if not left or not is_away(error):
                    raise
                await asyncio.sleep(_DELAY * 2 ** (_TRIES - left))
                if status != 429 and (existing := await self.find(name)) is not None:
                    return existing
        raise AssertionError

    async def find(self, name: str) -> Any:
        """The batch of a name, among the newest ones; None where there is none."""
        with self._guarded():
            seen = 0
            async for batch in self._client.batches.list(limit=100):
                if (batch.metadata or {}).get(_NAME) == name:
                    return batch
                seen += 1
                if seen >= _LOOKED_THROUGH:
                    break
        return None

    async def get(self, number: str) -> Any:
        """A batch by its id."""
        with self._guarded():
            return await self._client.batches.retrieve(number)

    async def lines(self, file: str) -> AsyncIterator[dict[str, Any]]:
        """The lines of a file, as JSON; it is never in memory as a whole."""
        lines = _Lines(self._limits.event_bytes)
        async with AsyncExitStack() as stack:
            with self._guarded(stream=True):
                content = self._client.files.with_streaming_response.content(file)
                response = await stack.enter_async_context(content)
            try:
                async for piece in response.iter_bytes():
                    for line in lines.feed(piece):
                        if (read := _read(line)) is not None:
                            yield read
            except httpx2.HTTPError as error:
                request = response.http_request
                raise openai.APIConnectionError(request=request) from error
        if (read := _read(lines.rest())) is not None:
            yield read


class _Lines:
    """The lines of a body that comes in pieces; those of an answer are bounded as an event is."""

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._begun: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yield the lines that a piece ends.

        Raises
        ------
        AnswerTooLargeError
            One has no end within the limit.
        """
        # Not by str.splitlines: U+2028 within an answer is no end of a line.
        *ends, rest = piece.split(b"\n")
        for end in ends:
            yield b"".join((*self._begun, end))
            self._begun.clear()
            self._size = 0
        self._begun.append(rest)
        self._size += len(rest)
        if self._most is not None and self._size > self._most:
            raise too_large("a line of a batch", self._most, "event_bytes")

    def rest(self) -> bytes:
        """What came after the last line's end."""
        return b"".join(self._begun)


async def in_groups(
    lines: AsyncIterator[dict[str, Any]],
) -> AsyncGenerator[list[dict[str, Any]], None]:
    """Lines, some at once."""
    group: list[dict[str, Any]] = []
    async for line in lines:
        group.append(line)
        if len(group) == _TOGETHER:
            yield group
            group = []
    if group:
        yield group


def is_away(error: openai.APIError) -> bool:
    """Whether the service cannot be reached, or not answer, for a while."""
    status = normalize(error).status_code
    return status is None or status == 429 or status >= 500


def key_of(line: Mapping[str, Any]) -> bytes | None:
    """The key of the row that a line answers; None where it is of no row."""
    try:
        return bytes.fromhex(line["custom_id"])
    except (KeyError, TypeError, ValueError):
        return None


def _read(line: bytes) -> dict[str, Any] | None:
    """A line as JSON; None for one that is none, so that its row counts as missing."""
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
