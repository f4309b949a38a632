"""A function's signature and docstring as the JSON schema of its arguments.

Pydantic makes the schema, from a model with one field for each parameter; the same model checks
what the language model sends. See `docstrings` and `strict_schema`.
"""

from __future__ import annotations

import inspect
import re
import sys
import types
import typing
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUserError
from pydantic.fields import FieldInfo

from ..exceptions import ModelBehaviorError, UserError
from ..run_context import RunContextWrapper
from ..strict_schema import ensure_strict_json_schema
from .docstrings import DocstringStyle, Documentation, read_docstring

_CONTEXT_NAME = re.compile(r"^([\w.]+\.)?(RunContextWrapper|ToolContext)(\[.*\])?$", re.S)
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass
class FuncSchema:
    """A function as a tool sees it.

    Attributes
    ----------
    name : str
        The function's name, or its override.
    description : str or None
        What it does, for the model.
    params_pydantic_model : type
        The pydantic model of its arguments.
    params_json_schema : dict
        The JSON schema of its arguments.
    signature : inspect.Signature
        The function's signature.
    takes_context : bool
        Whether its first parameter is the run's context.
    strict_json_schema : bool
        Whether the schema is strict.
    return_annotation
        The annotation of what it returns.
    """

    name: str
    description: str | None
    params_pydantic_model: type[BaseModel]
    params_json_schema: dict[str, Any]
    signature: inspect.Signature
    takes_context: bool = False
    strict_json_schema: bool = True
    return_annotation: Any = inspect.Signature.empty

    def to_call_args(self, data: BaseModel) -> tuple[list[Any], dict[str, Any]]:
        """The positional and keyword arguments for a call, without the context.

        Raises
        ------
        ModelBehaviorError
            The model passed an argument twice: by its name, and among those of ``**kwargs``.
        """
        positional: list[Any] = []
        keywords: dict[str, Any] = {}
        parameters = list(self.signature.parameters.values())[1 if self.takes_context else 0 :]
        for parameter in parameters:
            value = getattr(data, _field_name(parameter.name))
            if parameter.kind is parameter.VAR_POSITIONAL:
                positional.extend(value or [])
            elif parameter.kind is parameter.VAR_KEYWORD:
                self._check_keywords(parameter.name, value or {})
                keywords.update(value or {})
            elif parameter.kind is parameter.KEYWORD_ONLY:
                keywords[parameter.name] = value
            else:
                positional.append(value)
        return positional, keywords

    def _check_keywords(self, variadic: str, keywords: dict[str, Any]) -> None:
        by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        for parameter in self.signature.parameters.values():
            if parameter.kind in by_name and parameter.name in keywords:
                raise ModelBehaviorError(
                    f"Invalid arguments for tool {self.name}: '{parameter.name}' is both a named "
                    f"parameter and a key in '{variadic}'. Pass each argument once, as a named "
                    "parameter."
                )


def function_schema(
    func: Callable[..., Any],
    docstring_style: DocstringStyle | None = None,
    name_override: str | None = None,
    description_override: str | None = None,
    use_docstring_info: bool = True,
    strict_json_schema: bool = True,
) -> FuncSchema:
    """Read the schema of a function's arguments from its signature and docstring.

    Parameters
    ----------
    func : callable
        The function. Its first parameter may be a `RunContextWrapper` or `ToolContext`.
    docstring_style : {"google", "numpy", "sphinx"}, optional
        Style of the docstring; found out by default.
    name_override, description_override : str, optional
        Name and description in place of the function's own.
    use_docstring_info : bool
        Whether descriptions are read from the docstring.
    strict_json_schema : bool
        Whether the schema is made strict, so that the model's arguments always fit it.

    Raises
    ------
    UserError
        The signature cannot become a schema; the message names the parameter and the way out.

    Examples
    --------
    >>> def weather(city: str, days: int = 1):
    ...     "Forecast of the weather."
    >>> schema = function_schema(weather)
    >>> schema.description, sorted(schema.params_json_schema["properties"])
    ('Forecast of the weather.', ['city', 'days'])
    """
    name = name_override or str(getattr(func, "__name__", type(func).__name__))
    documented = _documented(func)
    docs = (
        read_docstring(inspect.getdoc(documented), docstring_style)
        if use_docstring_info
        else Documentation()
    )
    parameters, result = _signature(func, name)
    takes_context = bool(parameters) and _is_context(parameters[0].annotation)
    arguments = parameters[1 if takes_context else 0 :]
    _check_parameters(func, name, arguments, strict_json_schema)
    model, schema = _argument_schema(name, arguments, docs.parameters, strict_json_schema)
    return FuncSchema(
        name=name,
        description=description_override or docs.description,
        params_pydantic_model=model,
        params_json_schema=schema,
        signature=inspect.Signature(parameters),
        takes_context=takes_context,
        strict_json_schema=strict_json_schema,
        return_annotation=result,
    )


@dataclass
class FuncDocumentation:
    """What a function's docstring says, for the model.

    Attributes
    ----------
    name : str
        The function's name.
    description : str or None
        What it does.
    param_descriptions : dict or None
        Parameter to what it is.
    """

    name: str
    description: str | None
    param_descriptions: dict[str, str] | None


def generate_func_documentation(
    func: Callable[..., Any], style: DocstringStyle | None = None
) -> FuncDocumentation:
    """Read what a function's docstring says.

    Parameters
    ----------
    func : callable
        The function.
    style : {"google", "numpy", "sphinx"}, optional
        Style of the docstring; found out by default.

    Examples
    --------
    >>> def weather(city: str):
    ...     "Forecast of the weather."
    >>> generate_func_documentation(weather).description
    'Forecast of the weather.'
    """
    docs = read_docstring(inspect.getdoc(_documented(func)), style)
    name = str(getattr(func, "__name__", type(func).__name__))
    return FuncDocumentation(name, docs.description or None, docs.parameters or None)


def _documented(func: Callable[..., Any]) -> Any:
    """What carries the docstring: for a callable object its ``__call__``, if that has one."""
    if inspect.isroutine(func) or inspect.isclass(func):
        return func
    call = type(func).__call__
    return call if call.__doc__ else type(func)


# ---- the signature, with its annotations resolved


def _signature(func: Callable[..., Any], name: str) -> tuple[list[inspect.Parameter], Any]:
    """The parameters with annotations that are types, and the return annotation."""
    try:
        signature = inspect.signature(func)
    except (ValueError, TypeError, NameError) as error:
        raise UserError(
            f"The signature of function {name} cannot be read ({error}). Put it into an "
            "explicit wrapper function with annotated parameters, and make a tool of that."
        ) from error
    target = inspect.unwrap(func)
    if not inspect.isroutine(target) and not inspect.isclass(target):
        target = type(target).__call__
    names = _namespaces(target)
    parameters = []
    for parameter in signature.parameters.values():
        annotation = _resolve(parameter.annotation, names)
        if isinstance(annotation, NameError | SyntaxError | TypeError):
            raise UserError(
                f"The annotation {parameter.annotation!r} of parameter '{parameter.name}' in "
                f"function {name} cannot be resolved ({annotation}). Import or define its name "
                "where the function is defined."
            ) from annotation
        parameters.append(parameter.replace(annotation=annotation))
    result = _resolve(signature.return_annotation, names)
    # Only a tool with a declared output needs it, and that has output_type.
    return parameters, Any if isinstance(result, Exception) else result


def _namespaces(target: Any) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Where the names of annotations are looked up: the function's own scope, then its callers'.

    Under ``from __future__ import annotations`` a class that is local to a function can be found in
    that function's frame only, as long as it runs: while the decorator does.
    """
    module = sys.modules.get(getattr(target, "__module__", None) or "")
    scope = getattr(target, "__globals__", None) or (vars(module) if module else {})
    cells: dict[str, Any] = {}
    code = getattr(target, "__code__", None)
    for free, cell in zip(
        getattr(code, "co_freevars", ()), getattr(target, "__closure__", None) or (), strict=True
    ):
        try:
            cells[free] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    namespaces = [(scope, cells)]
    frame: types.FrameType | None = sys._getframe(1)
    package = __name__.partition(".")[0] + "."
    while frame is not None and len(namespaces) < 6:
        if not frame.f_globals.get("__name__", "").startswith(package):
            namespaces.append((scope, {**frame.f_locals, **cells}))
        frame = frame.f_back
    return namespaces


def _resolve(annotation: Any, names: Iterable[tuple[dict[str, Any], dict[str, Any]]]) -> Any:
    """The annotation with all names in it resolved; the error where that fails."""
    if annotation is inspect.Parameter.empty:
        return annotation

    def holder() -> None: ...

    holder.__annotations__ = {"it": annotation}
    first: Exception | None = None
    for scope, local in names:
        try:
            return typing.get_type_hints(holder, scope, local, include_extras=True)["it"]
        except (NameError, SyntaxError, TypeError, AttributeError) as error:
            first = first or error
    if isinstance(annotation, str) and _CONTEXT_NAME.match(annotation.strip()):
        # Imported under TYPE_CHECKING only: it need not exist to be recognised.
        return RunContextWrapper
    return first if isinstance(first, NameError | SyntaxError | TypeError) else TypeError(first)


def _is_context(annotation: Any) -> bool:
    """Whether a parameter of this type receives the run's context."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _is_context(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        kinds = [arm for arm in get_args(annotation) if arm is not type(None)]
        return all(_is_context(arm) for arm in kinds)
    kind = origin or annotation
    return isinstance(kind, type) and issubclass(kind, RunContextWrapper)


def _check_parameters(
    func: Callable[..., Any], name: str, arguments: list[inspect.Parameter], strict: bool
) -> None:
    """Refuse what can be no tool, with the way out."""
    for argument in arguments:
        if _is_context(argument.annotation):
            raise UserError(
                f"RunContextWrapper/ToolContext param found at non-first position in function "
                f"{name}: make '{argument.name}' the first parameter, or put it into an explicit "
                "wrapper function that has it first."
            )
        if strict and argument.kind is argument.VAR_KEYWORD:
            raise UserError(
                f"Variadic keyword parameter `**{argument.name}` in function {name} cannot use a "
                "strict schema. Set strict_mode=False on the function tool (or "
                "strict_json_schema=False on function_schema) and pass keyword arguments in the "
                f"nested `{argument.name}` object, or use explicit parameters for a strict tool."
            )
    owner = getattr(func, "__qualname__", "").rpartition(".")[0]
    unbound = owner and not owner.endswith("<locals>") and not inspect.ismethod(func)
    first = arguments[0] if arguments else None
    if unbound and first and first.name in ("self", "cls") and first.annotation is first.empty:
        raise UserError(
            f"Function {name} is a method without its object: the model would have to give "
            f"'{first.name}'. Make the tool of the bound method, function_tool(instance.{name}), "
            "or turn it into a function or static method."
        )


# ---- the schema of the arguments


def _argument_schema(
    name: str, arguments: list[inspect.Parameter], descriptions: dict[str, str], strict: bool
) -> tuple[type[BaseModel], dict[str, Any]]:
    """The pydantic model of the arguments and its JSON schema."""
    try:
        return _build(name, arguments, descriptions, strict)
    except _UNFIT as error:
        for argument in arguments:
            try:
                _build(name, [argument], descriptions, strict)
            except _UNFIT as cause:
                raise _unfit(name, argument, cause, strict) from cause
        raise UserError(
            f"The parameters of function {name} cannot become a JSON schema: {error}"
        ) from error


_UNFIT = (UserError, PydanticUserError, PydanticInvalidForJsonSchema, TypeError, ValueError)


def _unfit(name: str, argument: inspect.Parameter, cause: Exception, strict: bool) -> UserError:
    kind = inspect.formatannotation(argument.annotation)
    why = str(cause).partition("\n")[0]
    if strict and isinstance(cause, UserError):
        return UserError(f"Parameter '{argument.name}' ({kind}) of function {name}: {why}")
    return UserError(
        f"Parameter '{argument.name}' ({kind}) of function {name} cannot become a JSON schema: "
        f"{why} Annotate it with a type that JSON can carry (str, int, list, a pydantic model, a "
        "dataclass), or build a FunctionTool with a params_json_schema of your own."
    )


def _build(
    name: str, arguments: list[inspect.Parameter], descriptions: dict[str, str], strict: bool
) -> tuple[type[BaseModel], dict[str, Any]]:
    fields: dict[str, Any] = {_field_name(a.name): _field(a) for a in arguments}
    if any(argument.kind is argument.VAR_KEYWORD for argument in arguments):
        # Further keywords go into the object of **kwargs, so nothing else is expected beside it.
        config = ConfigDict(extra="forbid")
    else:
        config = ConfigDict()
    with warnings.catch_warnings():
        # A default that JSON cannot carry is left out of the schema, and used all the same.
        warnings.simplefilter("ignore")
        model = create_model(f"{name}_args", __config__=config, **fields)
        schema = model.model_json_schema()
    properties = schema.get("properties", {})
    for argument in arguments:
        entry = properties.get(_key(model.model_fields[_field_name(argument.name)], argument.name))
        if entry is None:
            continue
        if described := descriptions.get(argument.name):
            entry["description"] = described
        elif text := _annotated_text(argument.annotation):
            entry["description"] = text
    return model, ensure_strict_json_schema(schema) if strict else schema


def _key(info: FieldInfo, name: str) -> str:
    """The name of a field in the schema."""
    alias = info.validation_alias
    return alias if isinstance(alias, str) else info.alias or name


def _annotated_text(annotation: Any) -> str | None:
    """The description in ``Annotated[int, "how many"]``."""
    if get_origin(annotation) is not Annotated:
        return None
    return next((text for text in get_args(annotation)[1:] if isinstance(text, str)), None)


def _field_name(parameter: str) -> str:
    """The parameter's field in the model; pydantic keeps some names for itself."""
    if parameter.startswith("_") or hasattr(BaseModel, parameter):
        return f"argument_{parameter.lstrip('_')}" + "_" * (
            len(parameter) - len(parameter.lstrip("_"))
        )
    return parameter


def _field(argument: inspect.Parameter) -> tuple[Any, Any]:
    """Type and default of a parameter's field."""
    annotation: Any = Any if argument.annotation is argument.empty else argument.annotation
    if argument.kind in _VARIADIC:
        # What the annotation says holds for each of them, as Python means it: *scores: score.
        positional = argument.kind is argument.VAR_POSITIONAL
        annotation = list[annotation] if positional else dict[str, annotation]
        default: Any = Field(default_factory=list if positional else dict)
    elif argument.default is argument.empty:
        # Annotated[float, Field(default=5.0)] has one of its own, which pydantic then takes.
        has_own = get_origin(annotation) is Annotated and any(
            isinstance(each, FieldInfo) and not each.is_required() for each in get_args(annotation)
        )
        default = Field() if has_own else ...
    else:
        default = argument.default
    if _field_name(argument.name) != argument.name:
        annotation = Annotated[annotation, Field(alias=argument.name)]
    return annotation, default
