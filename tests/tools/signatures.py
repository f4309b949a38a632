"""Functions with all kinds of signatures and docstrings, for the schemas of tools.

Annotations are real objects here (no ``from __future__ import annotations``); `postponed` in
`tests/tools/postponed.py` has those that are strings.
"""

# ruff: noqa: B006, B008, RUF002, UP007, UP045 -- these are what users write

import dataclasses
import datetime
import decimal
import enum
import pathlib
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, NewType, NotRequired, Optional, Union

from pydantic import BaseModel, Field
from typing_extensions import TypedDict


class City(BaseModel):
    """A city."""

    name: str
    country: str = Field("PT", description="ISO code")


class Strict(BaseModel):
    model_config = {"extra": "forbid"}
    value: int | None = None


class Open(BaseModel):
    model_config = {"extra": "allow"}
    value: int


class Tree(BaseModel):
    value: int
    children: list["Tree"] = []


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: float


class Dog(BaseModel):
    kind: Literal["dog"]
    bark: str


class Colour(enum.Enum):
    RED = "r"
    BLUE = "b"


class Size(enum.IntEnum):
    S = 1
    L = 2


@dataclasses.dataclass
class Point:
    """A point."""

    x: int
    y: float = 1.0


class Options(TypedDict):
    key: str
    extra: NotRequired[int]


class Pair(NamedTuple):
    left: int
    right: str = "z"


UserId = NewType("UserId", int)


class Service:
    """Holds methods."""

    def method(self, a: int) -> int:
        """A method.

        Args:
            a: the a
        """
        return a

    @classmethod
    def of_class(cls, a: int) -> int:
        """A class method."""
        return a

    @staticmethod
    def static(a: int) -> int:
        """A static method."""
        return a


def plain() -> dict[str, Callable[..., Any]]:
    """Functions without a context, by name."""

    def nothing(): ...
    def untyped(a, b=1): ...
    def defaults(a: int, *, b: str = "q", c: Optional[int] = None, d: int | str | None = None): ...
    def models(city: City, colour: Colour, point: Point, options: Options, pair: Pair): ...
    def model_defaults(city: City = City(name="x"), colours: list[Colour] = [Colour.RED]): ...
    def optional_models(cities: list[City] | None = None, tree: Optional[Tree] = None): ...
    def literals(a: Literal["x", "y"] = "x", b: Literal[1, "a", None, True] = 1): ...
    def sizes(a: Size, b: bool, c: None): ...
    def described(a: Annotated[int, "the a"], b: Annotated[str, Field(description="bb")]): ...
    def two_texts(a: Annotated[int, "x", "y"], b: Annotated[int, 3, "text"]): ...
    def text_and_field(a: Annotated[int, "text", Field(description="field", ge=0)]): ...
    def text_and_default(a: Annotated[str, "text"] = Field("d"), b: Annotated[int, "t"] = 3): ...
    def fields(c: int = Field(3, description="see", ge=1), d: int = Field(..., gt=0)): ...
    def field_twice(a: Annotated[int, Field(ge=1)] = Field(default=4, le=9)): ...
    def field_wins(b: Annotated[str, Field(description="no")] = Field("k", description="yes")): ...
    def field_extras(a: int = Field(title="T", examples=[1], json_schema_extra={"k": 1})): ...
    def factory(a: list[int] = Field(default_factory=list)): ...
    def alias(a: Annotated[int, Field(alias="xx")]): ...
    def discriminated(pet: Annotated[Union[Cat, Dog], Field(discriminator="kind")]): ...
    def recursive(tree: Tree): ...
    def forbidding(a: Strict): ...
    def open_model(a: Open): ...
    def dicts(a: dict, b: dict[str, int]): ...
    def mappings(a: Mapping[str, int] | None = None): ...
    def sequences(a: Sequence[int], b: Iterable[str], c: set[int], d: frozenset[str]): ...
    def tuples(a: tuple[int, str], b: tuple[int, ...]): ...
    def standard(a: datetime.datetime, b: datetime.date, c: uuid.UUID, d: decimal.Decimal): ...
    def more_standard(a: pathlib.Path, b: bytes, c: datetime.timedelta, d: complex): ...
    def anything(a: Any, b: object): ...
    def positional_only(a: int, /, b: int): ...
    def variadic(*args: int): ...
    def annotated_variadic(*args: Annotated[int, "nn"], b: int = 1): ...
    def keywords(a: int, **kw: str): ...
    def all_kinds(a: int, /, b: int = 2, *args: int, c: int = 5, **kw: int): ...
    def nested_variadic(*args: list[int], **kw: dict[str, str]): ...
    def keyword_names(class_: int, from_: str): ...
    def model_prefix(model_x: int, model_y: str = ""): ...
    def forward(x: "int | None" = None, y: "list[City]" = ()): ...  # type: ignore[assignment]
    def new_type(a: UserId): ...
    def unions(x: int | str | list[int] = 3): ...
    def ellipsis(x: int = ...): ...  # type: ignore[assignment]
    def returning(a: int) -> list[City]: ...
    def not_a_number(x: float = float("nan")): ...
    async def coroutine(a: int): ...

    found = {name: function for name, function in locals().items() if callable(function)}
    found |= {
        "bound": Service().method,
        "class_method": Service.of_class,
        "static_method": Service.static,
        "lambda": lambda x, y=2: x,
        "builtin": len,
    }
    return found


def documented() -> dict[str, Callable[..., Any]]:
    """Functions with docstrings in all styles, by name."""

    def one_line(a):
        "Just text with Args: a"

    def empty(a):
        ""

    def google(a, b=1, *args, c=2):
        """Do it.

        It is done
        on two lines.

        Args:
            a: the a
                on two lines
            b (int): the b: with a colon
            *args: more
            c (int, optional): the c

        Returns:
            Something.
        """

    def google_tight(a, b):
        """Summary.
        Args:
            a: first
                and second line

            b: other
        Returns:
            zz
        """

    def google_sections(a):
        """Head.

        Note:
            careful

        Arguments:
            a: x

        Raises:
            ValueError: never

        Example:
            >>> 1
        """

    def google_first(a):
        """
        Args:
            a (int): the a
        """

    def numpy(a, b):
        """Sum.

        Longer.

        Parameters
        ----------
        a : int
            The a
            continued.
        b
            The b.

        Returns
        -------
        str
            r
        """

    def numpy_together(a, b):
        """
        Head.

        Parameters
        ----------
        a, b : int
            both
        """

    def sphinx(a, b):
        """Sphinx.

        More.

        :param a: The a
            on two lines
        :type a: int
        :param int b: The b
        :returns: x
        """

    def sphinx_only(a):
        """:param a: only"""

    def unicode(a):
        """Überschrift – 中文 ✓.

        Args:
            a: ünï
        """

    def docs_win(a: Annotated[int, "text"], b: int = Field(3, description="field")):
        """Head.

        Args:
            a: from the docs
            b: from the docs
        """

    def docs_of_models(city: City, tree: Optional[Tree] = None, colour: Colour = Colour.RED):
        """Head.

        Args:
            city: a city
            tree: maybe
            colour: of it
        """

    def unknown_parameter(a):
        """Head.

        Args:
            a: known
            z: not there
        """

    return {name: function for name, function in locals().items() if callable(function)}


def with_context(run_context: Any, tool_context: Any) -> dict[str, Callable[..., Any]]:
    """Functions whose first parameter is a context of these classes, by name."""

    def wrapper(ctx: run_context, a: int): ...
    def subscripted(ctx: run_context[dict], a: int): ...
    def tool(ctx: tool_context[Any], a: int): ...
    def only(ctx: tool_context): ...
    def annotated(ctx: Annotated[run_context, "hey"], a: int): ...
    def documented_context(ctx: run_context, a: int):
        """Head.

        Args:
            ctx: the context
            a: the a
        """

    return {
        f.__name__: f for f in (wrapper, subscripted, tool, only, annotated, documented_context)
    }
