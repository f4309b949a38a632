"""What a tool may return for the model to see: text, images, files; and how a request has them."""

from __future__ import annotations

import json
from typing import Any, Literal, NotRequired

from pydantic import BaseModel, TypeAdapter, ValidationError, model_validator
from typing_extensions import TypedDict

from ..displays import Displayed, content_of, displayed, is_displayable, pixels_of
from ..exceptions import UserError


class ToolOutputText(BaseModel):
    """Text as a tool's output.

    Attributes
    ----------
    text : str
        The text.
    type : str
        ``"text"``.

    Examples
    --------
    >>> ToolOutputText(text="21 °C").type
    'text'
    """

    type: Literal["text"] = "text"
    text: str


class ToolOutputTextDict(TypedDict, total=False):
    """`ToolOutputText` as a dict; attributes are as of `ToolOutputText`.

    Examples
    --------
    >>> ToolOutputTextDict(type="text", text="21 °C")["text"]
    '21 °C'
    """

    type: Literal["text"]
    text: str


class ToolOutputImage(BaseModel):
    """An image as a tool's output; the model sees it.

    Attributes
    ----------
    image_url : str or None
        Address of the image, or the image itself as a ``data:`` URL.
    file_id : str or None
        Id of an uploaded file. One of the two is needed.
    detail : {"low", "high", "auto"} or None
        How closely the model looks at it.
    type : str
        ``"image"``.

    Examples
    --------
    >>> ToolOutputImage(image_url="data:image/png;base64,iVBORw0...").type
    'image'
    """

    type: Literal["image"] = "image"
    image_url: str | None = None
    file_id: str | None = None
    detail: Literal["low", "high", "auto"] | None = None

    @model_validator(mode="after")
    def check_at_least_one_required_field(self) -> ToolOutputImage:
        """An image needs a source.

        Raises
        ------
        ValueError
            There is none.
        """
        if self.image_url is None and self.file_id is None:
            raise ValueError("At least one of image_url or file_id must be provided")
        return self

    @classmethod
    def of(
        cls, value: Any, *, detail: Literal["low", "high", "auto"] | None = None
    ) -> ToolOutputImage:
        r"""Make the image of a figure, an image, a chart, or anything that draws itself.

        Not in the SDK. A tool need not call it: a figure that it returns is shown to the model as
        it is. It is for `detail`, and for tools that run with the SDK as well.

        Parameters
        ----------
        value
            A figure of matplotlib (or its axes), plotly or altair; an image of Pillow; the bytes of
            a PNG, JPEG, GIF or WebP; an array of pixels; a frame; any object with a
            ``_repr_png_``.
        detail : {"low", "high", "auto"}, optional
            How closely the model looks at it.

        Raises
        ------
        UserError
            There is no image of it.

        Examples
        --------
        >>> ToolOutputImage.of(b"GIF89a\x01\x00\x01\x00").image_url
        'data:image/gif;base64,R0lGODlhAQABAA=='
        """
        image = pixels_of(value)
        why = "it is no figure, image or chart, and has no _repr_png_"
        if image is None and is_displayable(value):
            content = content_of(value)
            image, why = content.image, content.text
        if image is None:
            raise UserError(f"There is no image of this {type(value).__name__}: {why[:500]}")
        return cls(image_url=image.url, detail=detail)


class ToolOutputImageDict(TypedDict, total=False):
    """`ToolOutputImage` as a dict; attributes are as of `ToolOutputImage`.

    Examples
    --------
    >>> ToolOutputImageDict(type="image", file_id="file_1")["file_id"]
    'file_1'
    """

    type: Literal["image"]
    image_url: NotRequired[str]
    file_id: NotRequired[str]
    detail: NotRequired[Literal["low", "high", "auto"]]


class ToolOutputFileContent(BaseModel):
    """A file as a tool's output; the model reads it.

    Attributes
    ----------
    file_data : str or None
        The file in base64.
    file_url : str or None
        Its address.
    file_id : str or None
        Id of an uploaded file. One of the three is needed.
    filename : str or None
        The file's name.
    type : str
        ``"file"``.

    Examples
    --------
    >>> ToolOutputFileContent(file_url="https://example.org/report.pdf").type
    'file'
    """

    type: Literal["file"] = "file"
    file_data: str | None = None
    file_url: str | None = None
    file_id: str | None = None
    filename: str | None = None

    @model_validator(mode="after")
    def check_at_least_one_required_field(self) -> ToolOutputFileContent:
        """A file needs a source.

        Raises
        ------
        ValueError
            There is none.
        """
        if self.file_data is None and self.file_url is None and self.file_id is None:
            raise ValueError("At least one of file_data, file_url, or file_id must be provided")
        return self


class ToolOutputFileContentDict(TypedDict, total=False):
    """`ToolOutputFileContent` as a dict; attributes are as of `ToolOutputFileContent`.

    Examples
    --------
    >>> ToolOutputFileContentDict(type="file", file_id="file_1")["file_id"]
    'file_1'
    """

    type: Literal["file"]
    file_data: NotRequired[str]
    file_url: NotRequired[str]
    file_id: NotRequired[str]
    filename: NotRequired[str]


MAX_CHARACTERS = 1_000_000
"""Characters of one output that the model gets, unless a run says otherwise.

A quarter of a million tokens: more than nearly every model reads.
"""

RAISE_IT = "RunConfig(tool_execution={'max_output_characters': ...}) sets the limit, None lifts it"


def shortened_note(limit: int | None) -> str:
    """What stands at the end of an output that was stopped at `limit` characters."""
    return f"\n[The tool was stopped here: it gave more than {limit:,} characters.]"


def shortened(text: str, limit: int | None) -> str:
    """Leave out the middle of a text that is longer than `limit`, and say so in its place.

    Examples
    --------
    >>> print(shortened("a" * 50 + "b" * 50, 8))
    aaaaaa
    [92 characters are left out here: the output has 100, and the limit is 8.]
    bb
    """
    if limit is None or len(text) <= limit:
        return text
    end = limit // 4  # A log says at its end how it ended.
    begin = limit - end
    return (
        f"{text[:begin]}\n[{len(text) - limit:,} characters are left out here: the output has "
        f"{len(text):,}, and the limit is {limit:,}.]\n{text[len(text) - end :]}"
    )


ToolOutputPart = ToolOutputText | ToolOutputImage | ToolOutputFileContent

_PARTS: dict[str, type[ToolOutputPart]] = {
    "text": ToolOutputText,
    "image": ToolOutputImage,
    "file": ToolOutputFileContent,
}


def tool_output_param(
    output: Any,
    *,
    json_schema: dict[str, Any] | None = None,
    type_adapter: TypeAdapter[Any] | None = None,
) -> str | list[dict[str, Any]]:
    """The ``output`` of a ``function_call_output`` item, as the Responses API takes it.

    Parameters
    ----------
    output
        What the tool returned. Text, images and files (or a list of them, or their dicts) become
        content parts; anything else becomes text, as `str` writes it.
    json_schema : dict, optional
        The tool's output schema: the output becomes JSON text.
    type_adapter : pydantic.TypeAdapter, optional
        The tool's output type: the output is checked against it and becomes JSON text.

    Raises
    ------
    UserError
        The output is not what the tool's schema or type declares.

    Examples
    --------
    >>> tool_output_param({"a": 1})
    "{'a': 1}"
    >>> tool_output_param(ToolOutputText(text="hi"))
    [{'type': 'input_text', 'text': 'hi'}]
    """
    if json_schema is not None or type_adapter is not None:
        return _json_output(output, type_adapter)
    items = output if isinstance(output, list | tuple) else [output]
    parts = [_part(item) for item in items]
    if parts and all(part is not None for part in parts):
        return [part_param(part) for part in parts if part is not None]
    return str(output)


def displayed_output(value: Any, budget: int) -> Displayed | None:
    """What an output with figures, images or frames in it comes to; None for all others.

    `budget` is in characters of the text of one frame.
    """

    def as_part(one: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        part = _part(one)
        if part is None:
            return None
        param = part_param(part)
        return param, {"type": "part", "part": param}

    return displayed(value, as_part=as_part, budget=budget)


def _part(value: Any) -> ToolOutputPart | None:
    """A content part, from its model or its dict; None for anything else."""
    if isinstance(value, ToolOutputPart):
        return value
    if isinstance(value, dict) and isinstance(value.get("type"), str):
        model = _PARTS.get(value["type"])
        try:
            return None if model is None else model.model_validate(value)
        except ValidationError:
            # A dict of the user's own that has a "type": it goes to the model as text.
            return None
    return None


def part_param(part: ToolOutputPart) -> dict[str, Any]:
    """A content part, as the Responses API takes it."""
    return {**part.model_dump(exclude_none=True), "type": f"input_{part.type}"}


def _json_output(output: Any, adapter: TypeAdapter[Any] | None) -> str:
    """A declared output as JSON text."""
    try:
        if adapter is not None:
            if isinstance(output, str):
                output = adapter.validate_json(output)
            else:
                output = adapter.validate_python(output)
            value = adapter.dump_python(output, mode="json")
        elif isinstance(output, str):
            value = json.loads(output)
        else:
            value = TypeAdapter(Any).dump_python(output, mode="json")
    except ValueError as error:
        raise UserError(
            "Function tool output does not match its declared output schema. "
            f"Return what output_type or output_json_schema declares: {error}"
        ) from error
    if not isinstance(value, dict):
        raise UserError(
            "Function tool output schema requires a JSON object. "
            f"Return a dict, a model or a dataclass; the tool returned {type(output).__name__}."
        )
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
