"""The events that stream a step of the SDK's scripted model: one delta for each text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from ..exceptions import ModelBehaviorError

if TYPE_CHECKING:
    from .testing import ModelStep

_MODEL: Final = "scripted-model"
_UNSTREAMED: Final[dict[Any, str]] = {
    "code_interpreter_call": "ResponseCodeInterpreterToolCall",
    "custom_tool_call": "ResponseCustomToolCall",
    "image_generation_call": "ImageGenerationCall",
    "mcp_call": "McpCall",
}


def step_events(step: ModelStep) -> Iterator[dict[str, Any]]:
    """The events that stream a step, from `response.created` to `response.completed`.

    Raises
    ------
    ModelBehaviorError
        An item of it has events of its own kind, which only its author can tell.
    """
    items = [_plain(item) for item in step.output]
    for item in items:
        if kind := _UNSTREAMED.get(item.get("type")):
            raise ModelBehaviorError(
                f"Automatic streaming does not support {kind}: give the events of the step, "
                "ModelStep.stream([...])."
            )
    for kind in ("response.created", "response.in_progress"):
        yield {"type": kind, "response": _response(step, [], "in_progress")}
    for index, item in enumerate(items):
        where = {"output_index": index}
        yield {"type": "response.output_item.added", "item": _begun(item), **where}
        for event in _deltas(item):
            yield {**event, "item_id": _item_id(item), **where}
        yield {"type": "response.output_item.done", "item": item, **where}
    yield {"type": "response.completed", "response": _response(step, items, "completed")}


def _item_id(item: dict[str, Any]) -> str:
    """The item's id; the id of a call that has none of its own."""
    id = item.get("id")
    return str((item.get("call_id") if id is None else id) or "")


def _plain(item: Any) -> dict[str, Any]:
    if isinstance(item, Mapping):
        return dict(item)
    plain: dict[str, Any] = item.model_dump(exclude_unset=True)
    return plain


def _begun(item: dict[str, Any]) -> dict[str, Any]:
    """An item as it is announced: without what streams."""
    empty: dict[str, dict[str, Any]] = {
        "message": {"content": [], "status": "in_progress"},
        "function_call": {"arguments": "", "status": "in_progress"},
        "reasoning": {"summary": [], "content": [], "encrypted_content": None},
    }
    begun = {
        name: value
        for name, value in empty.get(item.get("type", ""), {}).items()
        if name in item or name == "status"
    }
    if item.get("type") == "reasoning" and item.get("status"):
        begun["status"] = "in_progress"
    return {**item, **begun}


def _deltas(item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    kind = item.get("type")
    if kind == "function_call":
        text = item.get("arguments", "")
        yield {"type": "response.function_call_arguments.delta", "delta": text}
        yield {
            "type": "response.function_call_arguments.done",
            "arguments": text,
            "name": item.get("name"),
        }
    for index, part in enumerate(item.get("content") or () if kind == "message" else ()):
        yield from _content(part, {"content_index": index})
    for index, part in enumerate(item.get("content") or () if kind == "reasoning" else ()):
        where, text = {"content_index": index}, part.get("text", "")
        yield {"type": "response.reasoning_text.delta", "delta": text, **where}
        yield {"type": "response.reasoning_text.done", "text": text, **where}
    for index, part in enumerate(item.get("summary") or () if kind == "reasoning" else ()):
        where = {"summary_index": index}
        name = "response.reasoning_summary"
        yield {"type": f"{name}_part.added", "part": {**part, "text": ""}, **where}
        yield {"type": f"{name}_text.delta", "delta": part.get("text", ""), **where}
        yield {"type": f"{name}_text.done", "text": part.get("text", ""), **where}
        yield {"type": f"{name}_part.done", "part": part, **where}


def _content(part: dict[str, Any], where: dict[str, Any]) -> Iterator[dict[str, Any]]:
    key = "refusal" if part.get("type") == "refusal" else "text"
    name = "response.refusal" if key == "refusal" else "response.output_text"
    extra: dict[str, Any] = {} if key == "refusal" else {"logprobs": part.get("logprobs") or []}
    text = part.get(key, "")
    begun = {key: "", **({} if key == "refusal" else {"logprobs": [], "annotations": []})}
    yield {"type": "response.content_part.added", "part": {**part, **begun}, **where}
    yield {"type": f"{name}.delta", "delta": text, **extra, **where}
    for index, annotation in enumerate(part.get("annotations") or ()):
        yield {
            "type": "response.output_text.annotation.added",
            "annotation": annotation,
            "annotation_index": index,
            **where,
        }
    yield {"type": f"{name}.done", key: text, **extra, **where}
    yield {"type": "response.content_part.done", "part": part, **where}


def _response(step: ModelStep, items: list[dict[str, Any]], status: str) -> dict[str, Any]:
    usage = step.usage
    counted = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "input_tokens_details": usage.input_tokens_details.model_dump(),
        "output_tokens_details": usage.output_tokens_details.model_dump(),
    }
    return {
        "id": step.response_id,
        "created_at": 0.0,
        "model": _MODEL,
        "object": "response",
        "output": items,
        "parallel_tool_calls": False,
        "tool_choice": "none",
        "tools": [],
        "status": status,
        "usage": counted if status == "completed" else None,
    }
