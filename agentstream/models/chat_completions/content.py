"""Content parts of the Responses API as those of the Chat API: text, images, files, audio."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from ...exceptions import UserError

__all__ = ["answer_fields", "content_parts", "is_answer", "tool_content"]

_OMITTED: Final = "[tool output omitted]"


def is_answer(item: Mapping[str, Any]) -> bool:
    """Whether a message is a model's answer, not one that the program wrote in its name."""
    content = item.get("content")
    if item["role"] != "assistant" or not isinstance(content, list):
        return False
    if item.get("type") == "message" and item.get("id"):
        return True
    kinds = {part.get("type") for part in content if isinstance(part, Mapping)}
    return bool(kinds & {"output_text", "refusal"})


def answer_fields(content: list[Any]) -> dict[str, Any]:
    r"""The content and refusal of an assistant's message.

    Raises
    ------
    UserError
        A part is neither text nor a refusal.

    Examples
    --------
    >>> answer_fields([{"type": "output_text", "text": "a"}, {"type": "output_text", "text": "b"}])
    {'content': 'a\nb'}
    """
    fields: dict[str, Any] = {}
    texts = []
    for part in content:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind == "output_text":
            texts.append(part.get("text") or "")
        elif kind == "refusal":
            fields["refusal"] = part.get("refusal") or ""
        elif kind == "output_audio":
            raise UserError(
                f"Only audio IDs are supported for chat completions, but got: {part!r:.300}. "
                "Leave the message out of the input, or send its transcript as text."
            )
        else:
            raise UserError(f"Unknown content type in ResponseOutputMessage: {part!r:.300}")
    if texts:
        fields["content"] = "\n".join(texts)
    return fields


def content_parts(content: Any, *, only_text: bool = False) -> str | list[dict[str, Any]]:
    """Translate the content of a message.

    `only_text` keeps only the text: other roles than the user's have nothing else in the Chat API.

    Raises
    ------
    UserError
        A part cannot be sent with Chat Completions.
    """
    if isinstance(content, str):
        return content
    if not isinstance(content, list | tuple):
        raise UserError(f"A message's content is text or a list of parts, not {content!r:.300}")
    parts = [_part(part) for part in content]
    return [part for part in parts if part["type"] == "text"] if only_text else parts


def tool_content(output: Any, leave_out: Callable[[str, str], None]) -> str | list[dict[str, Any]]:
    """Translate a tool's output, of which the Chat API takes only text."""
    if isinstance(output, str):
        return output
    if not isinstance(output, list | tuple):
        return "" if output is None else json.dumps(output, ensure_ascii=False, default=str)
    as_input = [
        {**part, "type": "input_text"}
        if isinstance(part, Mapping) and part.get("type") == "output_text"
        else part
        for part in output
    ]
    texts = content_parts(as_input, only_text=True)
    if texts:
        # Most servers take a tool's output as one text only; with an image it may be parts.
        return "\n".join(part["text"] for part in texts if isinstance(part, dict))
    leave_out(
        "A tool's output for Chat Completions cannot be empty or contain only non-text content: "
        "images and files cannot be sent.",
        "The model gets a note that the output was omitted.",
    )
    return _OMITTED


def _part(part: Any) -> dict[str, Any]:
    plain = _plain_part(part)
    mark = part.get("prompt_cache_breakpoint")
    return plain if mark is None else {**plain, "prompt_cache_breakpoint": mark}


def _plain_part(part: Any) -> dict[str, Any]:
    if isinstance(part, Mapping):
        kind = part.get("type")
        if kind in ("input_text", "text"):
            return {"type": "text", "text": part.get("text") or ""}
        if kind in ("input_image", "image_url"):
            return _image(part)
        if kind == "input_file":
            return _file(part)
        if kind == "input_audio":
            return _audio(part)
    raise UserError(
        f"Unknown content: {part!r:.300}. A message to a Chat Completions model holds parts of "
        "type input_text, input_image, input_file and input_audio."
    )


def _image(part: Mapping[str, Any]) -> dict[str, Any]:
    url: Any = part.get("image_url")
    detail: Any = part.get("detail")
    if isinstance(url, Mapping):  # the Chat API's own form
        detail = detail or url.get("detail")
        url = url.get("url")
    if not url:
        raise UserError(
            f"Only image URLs are supported for input_image {dict(part)!r:.300}. "
            "Send the image itself as a data: URL, or use OpenAIResponsesModel."
        )
    # "original" is known to the Responses API only.
    detail = "high" if detail == "original" else detail or "auto"
    return {"type": "image_url", "image_url": {"url": url, "detail": detail}}


def _file(part: Mapping[str, Any]) -> dict[str, Any]:
    if part.get("file_data"):
        file = {"file_data": part["file_data"]}
    elif part.get("file_id"):
        file = {"file_id": part["file_id"]}
    else:
        raise UserError(
            f"Only file_data or file_id is supported for input_file {dict(part)!r:.300}. "
            "Download the file and send it as file_data, or use OpenAIResponsesModel."
        )
    if part.get("filename"):
        file["filename"] = part["filename"]
    return {"type": "file", "file": file}


def _audio(part: Mapping[str, Any]) -> dict[str, Any]:
    audio = part.get("input_audio")
    if not isinstance(audio, Mapping) or not audio.get("data") or not audio.get("format"):
        raise UserError(
            f"Only audio data is supported for input_audio {dict(part)!r:.300}. "
            "Give it as {'data': <base64>, 'format': 'wav' or 'mp3'}."
        )
    audio = {"data": audio["data"], "format": audio["format"]}
    return {"type": "input_audio", "input_audio": audio}
