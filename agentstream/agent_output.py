"""The type of an agent's final output: its JSON schema, and the check of what the model answers."""

from __future__ import annotations

import abc
from dataclasses import dataclass, field
from typing import Any, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from typing_extensions import TypedDict

from ._utils.json import encodable_json
from .exceptions import ModelBehaviorError, UserError
from .strict_schema import ensure_strict_json_schema

WRAPPER_KEY = "response"
_EXCERPT_CHARACTERS = 200


class AgentOutputSchemaBase(abc.ABC):
    """Base of output schemas; subclass it to define your own.

    Examples
    --------
    >>> class Shout(AgentOutputSchemaBase):
    ...     def is_plain_text(self): return False
    ...     def name(self): return "Shout"
    ...     def json_schema(self): return {"type": "object"}
    ...     def is_strict_json_schema(self): return False
    ...     def validate_json(self, json_str): return json_str.upper()
    >>> Shout().validate_json('{"a": 1}')
    '{"A": 1}'
    """

    @abc.abstractmethod
    def is_plain_text(self) -> bool:
        """Whether the output is text, with no schema."""

    @abc.abstractmethod
    def name(self) -> str:
        """The type's name."""

    @abc.abstractmethod
    def json_schema(self) -> dict[str, Any]:
        """The JSON schema that the model's answer must fit."""

    @abc.abstractmethod
    def is_strict_json_schema(self) -> bool:
        """Whether the schema is strict, so that the answer always fits."""

    @abc.abstractmethod
    def validate_json(self, json_str: str) -> Any:
        """The output from the model's answer, `json_str`.

        Raises
        ------
        ModelBehaviorError
            The answer is no JSON, or does not fit.
        """


@dataclass(init=False)
class AgentOutputSchema(AgentOutputSchemaBase):
    """The schema of a Python type.

    A JSON schema must describe an object, so any type but a pydantic model, a TypedDict and a dict
    is wrapped: the model answers ``{"response": ...}``, and the output is what is in it.

    Parameters
    ----------
    output_type : type
        A pydantic model, a dataclass, a TypedDict, ``list[...]``, ``dict``, a union, ...; `str` is
        plain text.
    strict_json_schema : bool
        Whether the schema is made strict.

    Raises
    ------
    UserError
        The type has no JSON schema, or none that is strict.

    Examples
    --------
    >>> schema = AgentOutputSchema(list[int])
    >>> schema.name(), schema.validate_json('{"response": [1, 2]}')
    ('list[int]', [1, 2])
    """

    output_type: Any
    _type_adapter: TypeAdapter[Any] = field(repr=False)
    _is_wrapped: bool
    _output_schema: dict[str, Any] = field(repr=False)
    _strict_json_schema: bool

    def __init__(self, output_type: Any, strict_json_schema: bool = True) -> None:
        self.output_type = output_type
        self._strict_json_schema = strict_json_schema
        self._is_wrapped = not self.is_plain_text() and not _is_object(output_type)
        try:
            kind = _wrapped(output_type) if self._is_wrapped else output_type
            self._type_adapter = TypeAdapter(kind)
            self._output_schema = self._type_adapter.json_schema()
        except PydanticUserError as error:
            why = str(error).partition("\n")[0]
            raise UserError(
                f"The output type {self.name()} has no JSON schema: {why} Use a pydantic model, a "
                "dataclass, a TypedDict, or a list or union of them; define it before the agent."
            ) from error
        if strict_json_schema and not self.is_plain_text():
            try:
                self._output_schema = ensure_strict_json_schema(self._output_schema)
            except UserError as error:
                raise UserError(
                    "Strict JSON schema is enabled, but the output type is not valid. Either make "
                    "the output type strict, or wrap your type with AgentOutputSchema(YourType, "
                    f"strict_json_schema=False). Output type {self.name()}: {error}"
                ) from error

    def is_plain_text(self) -> bool:
        """Whether the output is text, with no schema."""
        return self.output_type is None or self.output_type is str

    def is_strict_json_schema(self) -> bool:
        """Whether the schema is strict."""
        return self._strict_json_schema

    def json_schema(self) -> dict[str, Any]:
        """The JSON schema that the model's answer must fit.

        Raises
        ------
        UserError
            It is plain text, which has none.
        """
        if self.is_plain_text():
            raise UserError("Output type is plain text, so no JSON schema is available")
        return self._output_schema

    def name(self) -> str:
        """The type's name, as in ``list[int]``."""
        return _type_name(self.output_type)

    def validate_json(self, json_str: str) -> Any:
        """The output from the model's answer, `json_str`.

        Parameters
        ----------
        json_str : str
            The model's answer.

        Raises
        ------
        ModelBehaviorError
            The answer is no JSON, or does not fit the type; the message says what is wrong and how
            the answer begins.
        """
        try:
            # A strict schema is kept to the letter: "5" is no int. Any other as pydantic reads it.
            strict = True if self._strict_json_schema else None
            value = self._type_adapter.validate_json(encodable_json(json_str), strict=strict)
        except ValidationError as error:
            what = "; ".join(
                f"{'.'.join(str(part) for part in e['loc']) or 'the answer'}: {e['msg']}"
                for e in error.errors(include_url=False, include_input=False)[:5]
            )
            excerpt = json_str[:_EXCERPT_CHARACTERS]
            more = "..." if len(json_str) > _EXCERPT_CHARACTERS else ""
            raise ModelBehaviorError(
                f"Invalid JSON when parsing model output for {self.name()}: {what}. The answer was "
                f"{excerpt!r}{more}"
            ) from error
        return value[WRAPPER_KEY] if self._is_wrapped else value


_MOST_SCHEMAS = 64
_schemas: dict[int, tuple[Any, AgentOutputSchema]] = {}


def schema_of(kind: Any) -> AgentOutputSchema:
    """The schema of an output type, made once: it took a third of a short run's processor time.

    By identity and not by equality: ``int | str`` equals ``str | int``, whose schema is another.

    Examples
    --------
    >>> numbers = list[int]
    >>> schema_of(numbers) is schema_of(numbers)
    True
    """
    known = _schemas.get(id(kind))
    if known is not None and known[0] is kind:
        return known[1]
    schema = AgentOutputSchema(kind)
    while len(_schemas) >= _MOST_SCHEMAS:
        _schemas.pop(next(iter(_schemas)), None)
    _schemas[id(kind)] = (kind, schema)
    return schema


def _is_object(kind: Any) -> bool:
    """Whether values of the type are JSON objects, so that it needs no wrapper.

    A dataclass is wrapped all the same, as in the OpenAI Agents SDK.
    """
    origin = get_origin(kind) or kind
    return isinstance(origin, type) and issubclass(origin, BaseModel | dict)


def _wrapped(kind: Any) -> Any:
    # The name is the SDK's; it becomes the schema's title.
    return TypedDict("OutputType", {WRAPPER_KEY: kind})  # type: ignore[operator]


def _type_name(kind: Any) -> str:
    if kind is None:
        return "None"
    arguments = get_args(kind)
    if not arguments:
        return kind.__name__ if isinstance(kind, type) else getattr(kind, "__name__", repr(kind))
    origin: Any = get_origin(kind)
    name = getattr(origin, "__name__", None) or str(origin).removeprefix("typing.")
    return f"{name}[{', '.join(_type_name(argument) for argument in arguments)}]"
