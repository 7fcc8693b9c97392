"""Classes that other distributions add to those that come with the package, by Python entry points.

The names are read from the installed distributions' metadata. A distribution's code is imported only when its name is
asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar, get_args

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo, ValidatorFunctionWrapHandler
from pydantic_core import PydanticCustomError, core_schema

from modules.errors import InputError, Problem, did_you_mean, reason

NAME_PATTERN = "^[a-z][a-z0-9_]*$"
"""What the name of a kind looks like in a workflow file."""

UNKNOWN_KIND = "unknown_kind"
"""Type of the validation error about a name that nobody provides; its context has ``tag`` and ``kinds``."""

T = TypeVar("T")


class EntryPoints(Generic[T]):
    """The classes that installed distributions provide in one entry point group.

    Args:
      group: the group's name, such as ``shelfmark.sinks``.
      what: what one of the classes is called in a message, such as ``sink``.
      base: the class that all of them derive from.
      reserved: names that come with the package, which no distribution may use.
    """

    def __init__(self, group: str, what: str, base: type[T], reserved: Iterable[str]):
        self.group = group
        self.what = what
        self.base = base
        self.reserved = tuple(reserved)
        self._loaded: dict[str, type[T]] = {}

    def names(self) -> list[str]:
        """The names of all kinds, those of the package first.

        Raises:
          InputError: a distribution uses a name of the package, or of another distribution.
        """
        return [*self.reserved, *self._provided]

    def get(self, name: str) -> type[T]:
        """The class that a distribution provides under ``name``.

        Raises:
          InputError: there is none, its distribution cannot be imported, or it is something else than such a class.
        """
        if name not in self._loaded:
            if name not in self._provided:
                raise InputError(self.unknown(name))
            self._loaded[name] = self._load(self._provided[name])
        return self._loaded[name]

    def unknown(self, name: str, key: str = "", file: str = "") -> Problem:
        """The problem that nobody provides ``name``, with the names that there are."""
        known = self.names()
        expected = f"expected one of: {', '.join(known)}"
        return Problem(file, expected, key=key, value=name, hint=did_you_mean(name, known))

    @cached_property
    def _provided(self) -> dict[str, EntryPoint]:
        by_name: dict[str, EntryPoint] = {}
        problems = []
        for entry in sorted(entry_points(group=self.group), key=lambda entry: (entry.name, entry.value)):
            other = by_name.get(entry.name)
            if entry.name in self.reserved:
                problems.append(self._collision(entry, "Shelfmark has one of that name"))
            elif other is not None and (other.value, _owner(other)) != (entry.value, _owner(entry)):
                problems.append(self._collision(entry, f"{_owner(other)} provides one of that name"))
            else:
                by_name[entry.name] = entry
        if problems:
            raise InputError(problems)
        return by_name

    def _collision(self, entry: EntryPoint, other: str) -> Problem:
        expected = f"expected another name for the {self.what} {entry.name!r} of {_owner(entry)}: {other}"
        hint = "rename its entry point, or uninstall the distribution"
        return Problem(f"entry points {self.group}", expected, hint=hint)

    def _load(self, entry: EntryPoint) -> type[T]:
        place, hint = f"entry points {self.group}", "mend, upgrade or uninstall the distribution"
        provided = f"the {self.what} {entry.name!r} of {_owner(entry)} ({entry.value})"
        try:
            loaded = entry.load()
        except (Exception, SystemExit) as error:  # a distribution's code may do anything while it is imported
            raise InputError(Problem(place, f"{provided} cannot be imported: {reason(error)}", hint=hint)) from error
        if not (isinstance(loaded, type) and issubclass(loaded, self.base)):
            expected = f"expected a subclass of {self.base.__module__}.{self.base.__qualname__} as {provided}"
            raise InputError(Problem(place, expected, hint=hint))
        return loaded


class Kinds(EntryPoints[T]):
    """The classes that come with the package, by name, and those of its entry point group."""

    def __init__(self, group: str, what: str, base: type[T], builtin: Mapping[str, type[T]]):
        super().__init__(group, what, base, builtin)
        self.builtin = dict(builtin)

    def get(self, name: str) -> type[T]:
        """The class of this name, of the package or of a distribution; raises as :meth:`EntryPoints.get`."""
        return self.builtin[name] if name in self.builtin else super().get(name)


def _owner(entry: EntryPoint) -> str:
    return f"the distribution {entry.dist.name} {entry.dist.version}" if entry.dist is not None else "a distribution"


def collisions(groups: Iterable[EntryPoints[Any]]) -> list[Problem]:
    """What is wrong with the names of the installed entry points; imports none of their distributions."""
    problems: list[Problem] = []
    for points in groups:
        try:
            points.names()
        except InputError as error:
            problems += error.problems
    return problems


class KindName:
    """Annotation of a setting whose text names a kind.

    Args:
      kinds: those that there are.
      others: words that the setting takes as well, such as ``auto``.
    """

    def __init__(self, kinds: Kinds[Any], *others: str):
        self._kinds = kinds
        self._others = others

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> Any:
        names = [*self._others, *self._kinds.builtin]
        return {"anyOf": [{"enum": names, "type": "string"}, {"pattern": NAME_PATTERN, "type": "string"}]}

    def _check(self, name: str) -> str:
        if name not in (*self._others, *self._kinds.builtin):
            _checked(self._kinds, name, (*self._others, *self._kinds.reserved))
        return name


class WithEntryPoints:
    """Annotation of a union of settings classes, told apart by ``kind``, that takes those of entry points as well.

    Args:
      points: where they come from.
      base: the class that those for this union derive from.
    """

    def __init__(self, points: EntryPoints[Any], base: type[BaseModel]):
        self._points = points
        self._base = base

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        members = {member.model_fields["kind"].default: member for member in get_args(source)}

        def validate(value: Any, inner: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
            if isinstance(value, self._base) and type(value) not in members.values():
                return value
            name = value.get("kind") if isinstance(value, dict) else None
            if not isinstance(name, str) or name in members:
                return inner(value)
            cls = _checked(self._points, name, tuple(members))
            if not issubclass(cls, self._base):
                raise ValueError(f"expected a {self._points.what} that derives from {self._base.__qualname__}")
            return cls.model_validate(value, strict=info.mode == "python")

        schema = core_schema.with_info_wrap_validator_function(validate, handler(source))
        # By the value's own class, since the union knows nothing of the classes that entry points add.
        schema["serialization"] = core_schema.wrap_serializer_function_ser_schema(
            lambda value, serialize: serialize(value), schema=core_schema.any_schema()
        )
        return schema

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> Any:
        """The union's, with a mapping of any other kind as one more member: a file cannot know what is installed."""
        node = handler(schema)
        pattern = f"^(?!(?:{'|'.join(self._points.reserved)})$){NAME_PATTERN.removeprefix('^')}"
        kind = {"pattern": pattern, "type": "string"}
        other = {"type": "object", "properties": {"kind": kind}, "required": ["kind"]}
        return {**node, "oneOf": [*node["oneOf"], other]}


def _checked(points: EntryPoints[T], name: str, members: tuple[str, ...]) -> type[T]:
    """The class that a distribution provides, or the error that validation reports at the place of the setting."""
    try:
        provided = [other for other in points.names() if other not in points.reserved]
        if name not in provided:
            kinds = [*members, *provided]
            raise PydanticCustomError(
                UNKNOWN_KIND, "expected one of: {names}", {"tag": name, "kinds": kinds, "names": ", ".join(kinds)}
            )
        return points.get(name)
    except InputError as error:
        raise ValueError("; ".join(str(problem) for problem in error.problems)) from error
