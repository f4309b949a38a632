"""Files and batches kept by the server, as far as the Batch API of OpenAI says."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from ...exceptions import UserError
from ..scripted.turns import Script
from ..virtual_time import Memory
from .http import RecordedRequest, error_body
from .responder import Answer, Call

__all__ = ["ScriptedBatches"]

_ENDPOINTS: Final = ("/v1/responses", "/v1/chat/completions")
_ENDED: Final = ("completed", "failed", "expired", "cancelled")
_EXPIRED: Final = "This request could not be executed before the completion window expired."


class ScriptedBatches:
    """The files and batches of a `ScriptedServer`, whose script answers the requests in them.

    A batch is validated when it is looked at for the first time, and answered when it is looked at
    once more.

    Parameters
    ----------
    hold : bool
        Whether batches stay in progress until `release` is called.
    expires_after : int, optional
        So many requests of a batch are answered; then it expires.
    fault : callable, optional
        Given the number of a request in its batch, from 1; returns a status to fail with, "lost"
        for a request that is in no file of answers, or None.
    most_requests, most_bytes : int
        Of a file; beyond them a batch is refused.
    room : int, optional
        How many requests may be in open batches; beyond it a batch is refused, as the service does
        where an account's limit of enqueued tokens is reached.

    Attributes
    ----------
    files : dict of bytes
        By their ids.
    batches : dict of dict
        By their ids, as they are told.

    Examples
    --------
    >>> import asyncio
    >>> from agentstream.testing import ScriptedServer
    >>> line = b'{"custom_id": "1", "url": "/v1/responses", "body": {"input": "Hi"}}'
    >>> async def main():
    ...     async with ScriptedServer(["Hello."]) as server:
    ...         client = server.client()
    ...         file = await client.files.create(file=("a.jsonl", line), purpose="batch")
    ...         batch = await client.batches.create(
    ...             input_file_id=file.id, endpoint="/v1/responses", completion_window="24h"
    ...         )
    ...         return [(await client.batches.retrieve(batch.id)).status for _ in range(2)]
    >>> asyncio.run(main())
    ['in_progress', 'completed']
    """

    def __init__(
        self,
        *,
        hold: bool = False,
        expires_after: int | None = None,
        fault: Callable[[int], int | str | None] | None = None,
        most_requests: int = 50_000,
        most_bytes: int = 200_000_000,
        room: int | None = None,
    ) -> None:
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self._hold = hold
        self._expires_after = expires_after
        self._fault = fault or (lambda number: None)
        self._most = most_requests, most_bytes
        self._room = room

    def release(self) -> None:
        """Let the batches that are held go on."""
        self._hold = False

    async def answer(
        self, request: RecordedRequest, script: Script, calls: list[Call]
    ) -> tuple[int, Any]:
        """The status, and the JSON or the bytes, that answer a request.

        Parameters
        ----------
        request : RecordedRequest
            Below ``/files`` or ``/batches``.
        script : Script
            Answers the requests of batches.
        calls : list of Call
            Where those are noted.
        """
        url = urlsplit(request.path)
        _, kind, *names = [name for name in url.path.split("/") if name]
        if kind == "files":
            return self._of_files(request, names)
        if request.method == "POST" and not names:
            return self._create(request.body)
        if not names:
            return 200, self._page(parse_qs(url.query))
        batch = self.batches.get(names[0])
        if batch is None:
            return _refusal(404, f"No batch found with id {names[0]!r}.")
        if names[1:] == ["cancel"]:
            if batch["status"] not in _ENDED:
                await self._end(batch, "cancelled", 0, script, calls)
        else:
            await self._go_on(batch, script, calls)
        return 200, batch

    def _of_files(self, request: RecordedRequest, names: list[str]) -> tuple[int, Any]:
        if request.method == "POST":
            content = _uploaded(request).encode("utf-8")
            number = self._keep(content)
            return 200, self._file(number)
        if names[0] not in self.files:
            return _refusal(404, f"No such file: {names[0]}.")
        if names[1:] == ["content"]:
            return 200, self.files[names[0]]
        return 200, self._file(names[0])

    def _keep(self, content: bytes) -> str:
        number = f"file-{len(self.files) + 1}"
        self.files[number] = content
        return number

    def _file(self, number: str) -> dict[str, Any]:
        return {
            "id": number,
            "object": "file",
            "bytes": len(self.files[number]),
            "created_at": int(time.time()),
            "filename": f"{number}.jsonl",
            "purpose": "batch",
            "status": "processed",
        }

    def _create(self, body: Any) -> tuple[int, Any]:
        if body.get("input_file_id") not in self.files:
            return _refusal(400, "Invalid 'input_file_id': there is no such file.")
        if body.get("endpoint") not in _ENDPOINTS or body.get("completion_window") != "24h":
            return _refusal(400, "Invalid 'endpoint' or 'completion_window'.")
        number = f"batch_{len(self.batches) + 1}"
        self.batches[number] = {
            "id": number,
            "object": "batch",
            "endpoint": body["endpoint"],
            "errors": None,
            "input_file_id": body["input_file_id"],
            "completion_window": "24h",
            "status": "validating",
            "output_file_id": None,
            "error_file_id": None,
            "created_at": int(time.time()),
            "completed_at": None,
            "request_counts": {"total": 0, "completed": 0, "failed": 0},
            "metadata": body.get("metadata"),
        }
        return 200, self.batches[number]

    def _page(self, query: Mapping[str, list[str]]) -> dict[str, Any]:
        newest = list(reversed(self.batches.values()))
        limit = int(query.get("limit", ["20"])[0])
        after = query.get("after", [""])[0]
        start = next((at + 1 for at, one in enumerate(newest) if one["id"] == after), 0)
        data = newest[start : start + limit]
        more = start + limit < len(newest)
        last = data[-1]["id"] if data else None
        return {"object": "list", "data": data, "has_more": more, "last_id": last}

    async def _go_on(self, batch: dict[str, Any], script: Script, calls: list[Call]) -> None:
        """Let a batch take its next step."""
        if batch["status"] == "validating":
            errors = self._wrong(batch)
            if errors:
                data = [{"code": code, "message": text} for code, text in errors]
                batch |= {"status": "failed", "errors": {"object": "list", "data": data}}
            else:
                batch["status"] = "in_progress"
                batch["request_counts"]["total"] = len(self._lines(batch))
        elif batch["status"] == "in_progress" and not self._hold:
            limit = self._expires_after
            status = "completed" if limit is None else "expired"
            await self._end(batch, status, limit, script, calls)

    def _lines(self, batch: Mapping[str, Any]) -> list[dict[str, Any]]:
        content = self.files[batch["input_file_id"]]
        return [json.loads(line) for line in content.split(b"\n") if line.strip()]

    def _wrong(self, batch: Mapping[str, Any]) -> list[tuple[str, str]]:
        """What keeps a batch from being taken."""
        requests, size = self._most
        try:
            lines = self._lines(batch)
        except ValueError as error:
            return [("invalid_json_line", str(error))]
        names = [line.get("custom_id") for line in lines]
        others = [
            one for one in self.batches.values() if one["status"] in ("in_progress", "finalizing")
        ]
        taken = sum(one["request_counts"]["total"] for one in others)
        errors = []
        if not lines:
            errors.append(("empty_file", "The file has no requests."))
        if len(lines) > requests or len(self.files[batch["input_file_id"]]) > size:
            errors.append(("file_too_large", "The file exceeds the limits of a batch."))
        if None in names or len(set(names)) < len(names):
            errors.append(("duplicate_custom_id", "Each request needs a custom_id of its own."))
        if any(line.get("url") != batch["endpoint"] for line in lines):
            errors.append(("mismatched_url", "A request is for another endpoint than the batch."))
        if any((line.get("body") or {}).get("stream") for line in lines):
            errors.append(("invalid_request", "A batch cannot stream."))
        if self._room is not None and taken + len(lines) > self._room:
            errors.append(("token_limit_exceeded", "Enqueued token limit reached."))
        return errors

    async def _end(
        self,
        batch: dict[str, Any],
        status: str,
        limit: int | None,
        script: Script,
        calls: list[Call],
    ) -> None:
        """Answer the requests of a batch, as many as the limit allows."""
        batch["status"] = "finalizing"  # whoever looks meanwhile does not let it end twice
        files: tuple[list[bytes], list[bytes]] = ([], [])
        for number, line in enumerate(self._lines(batch), 1):
            if limit is not None and number > limit:
                error = {"code": f"batch_{status}", "message": _EXPIRED}
                files[1].append(_line(line, None, error))
                continue
            fault = self._fault(number)
            if fault == "lost":
                continue
            if fault is not None:
                code, body = _refusal(int(fault), "A fault of the script.")
            else:
                code, body = await _played(line, script, calls)
            response = {"status_code": code, "request_id": f"req_{number}", "body": body}
            files[code >= 400].append(_line(line, response, None))
        counts = batch["request_counts"]
        counts["completed"], counts["failed"] = map(len, files)
        names = ("output_file_id", "error_file_id")
        for name, lines in zip(names, files, strict=True):
            if lines:
                # In no order that a client could rely on.
                batch[name] = self._keep(b"\n".join(reversed(lines)) + b"\n")
        batch |= {"status": status, f"{status}_at": int(time.time())}


async def _played(line: Mapping[str, Any], script: Script, calls: list[Call]) -> tuple[int, Any]:
    """The answer of the script to a line."""
    call = Call(RecordedRequest("POST", line["url"], {}, line["body"]), time.monotonic())
    calls.append(call)
    script.request_count += 1
    memory = Memory()
    sender: Any = memory
    await Answer(call, sender, script, script.request_count, None).send()
    return memory.answer


def _line(request: Mapping[str, Any], response: Any, error: Any) -> bytes:
    number = f"batch_req_{request['custom_id']}"
    line = {"id": number, "custom_id": request["custom_id"], "response": response, "error": error}
    return json.dumps(line, ensure_ascii=False).encode("utf-8", "replace")


def _uploaded(request: RecordedRequest) -> str:
    """The content of the file in a multipart form."""
    boundary = request.headers["content-type"].partition("boundary=")[2].strip('"')
    for part in str(request.body).split(f"--{boundary}"):
        head, _, content = part.partition("\r\n\r\n")
        if 'name="file"' in head:
            return content.removesuffix("\r\n")
    raise UserError("The form has no file.")


def _refusal(status: int, message: str) -> tuple[int, Any]:
    return status, error_body(message, status)
