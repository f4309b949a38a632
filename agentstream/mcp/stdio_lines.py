"""What a server that was started here writes to its pipe: lines of a bounded length.

mcp collects a line piece by piece, without a limit: one that never ends fills the memory, and each
piece copies all that came before it. Its text goes through the codec that the parameters name; so
they name the one here, which hands a line on when it is whole, and refuses one that is too long.
"""

from __future__ import annotations

import asyncio
import codecs
from contextvars import ContextVar
from typing import Any, Final

from ..exceptions import AnswerTooLargeError, UserError

__all__ = ["SeenLines"]

_CODEC: Final = "agentstream_lines"


class SeenLines:
    """The lines of one connection.

    Attributes
    ----------
    refusal : str
        Why no more is read; empty while the lines are well.
    refused : asyncio.Event
        Set with it.
    """

    encoding: str
    most: int | None

    def __init__(self) -> None:
        self.refusal = ""
        self.refused = asyncio.Event()
        self._cause: Exception | None = None

    def codec(self, encoding: str, most: int | None) -> str:
        """The name of the codec for the tasks that begin in this context from now on.

        A line may have `most` bytes.

        Raises
        ------
        UserError
            There is no such encoding.
        """
        try:
            codecs.lookup(encoding)
        except LookupError as error:
            raise UserError(f"The encoding of an MCP server: {error}.") from None
        self.encoding, self.most = encoding, most
        _lines.set(self)
        return _CODEC

    def refuse(self, why: str, cause: Exception) -> Exception:
        """Read no more; the error to end the reading with."""
        self.refusal, self._cause = why, cause
        self.refused.set()
        return cause

    def error(self) -> Exception:
        """The error that the reading ended with."""
        assert self._cause is not None
        return self._cause


_lines: ContextVar[SeenLines] = ContextVar("agentstream_mcp_lines")


class _LineDecoder(codecs.IncrementalDecoder):
    """Decodes whole lines."""

    def __init__(self, errors: str = "strict") -> None:
        super().__init__(errors)
        self._lines = _lines.get()
        self._decoder = codecs.getincrementaldecoder(self._lines.encoding)(errors)
        self._begun: list[str] = []
        self._size = 0

    def decode(self, data: bytes, final: bool = False) -> str:  # type: ignore[override]
        try:
            text = self._decoder.decode(data, final)
        except UnicodeError as error:
            why = (
                f"it wrote what is not {self._lines.encoding} ({error.__class__.__name__}). Give "
                "its params the encoding that it has, or encoding_error_handler='replace'."
            )
            raise self._lines.refuse(why, error) from None
        whole, end, rest = text.rpartition("\n")
        if end:
            whole = "".join((*self._begun, whole, end))
            self._begun.clear()
            self._size = 0
        self._begun.append(rest)
        self._size += len(rest.encode("utf-8", "surrogatepass"))
        most = self._lines.most
        if most is not None and self._size > most:
            self._begun.clear()
            why = (
                f"it wrote a line of more than {most:,} bytes, which was not read. If it is meant "
                "to, give its params max_message_bytes=... more, or None."
            )
            raise self._lines.refuse(why, AnswerTooLargeError(f"An MCP server: {why}", most))
        return whole


def _encode(text: str, errors: str = "strict") -> tuple[bytes, int]:
    return text.encode(_lines.get().encoding, errors), len(text)


def _decode(data: Any, errors: str = "strict") -> tuple[str, int]:
    return bytes(data).decode(_lines.get().encoding, errors), len(data)


def _find(name: str) -> codecs.CodecInfo | None:
    if name != _CODEC:
        return None
    return codecs.CodecInfo(_encode, _decode, incrementaldecoder=_LineDecoder, name=_CODEC)


codecs.register(_find)
