"""What every settings class shares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from modules.errors import Problem

if TYPE_CHECKING:
    from modules.settings.workflow import Workflow

Probability = Annotated[float, Field(ge=0.0, lt=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
NotNegative = Annotated[float, Field(ge=0.0)]


class Settings(BaseModel):
    """Typed and frozen: read once from the workflow file, never changed afterwards; an unknown key is an error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, use_attribute_docstrings=True, allow_inf_nan=False
    )

    def check(self, workflow: Workflow, place: str) -> Iterator[Problem]:
        """Where these settings, or settings inside them, contradict others of the workflow.

        A class that overrides this yields what its parent's method yields as well, so that the settings inside of it
        check themselves.

        Args:
          workflow: the whole workflow, every setting of which is right by itself.
          place: the dotted key of these settings; empty for the workflow.

        Yields:
          Problems with the key that has to change (:func:`contradiction`).
        """
        for name in type(self).model_fields:
            yield from _checked(getattr(self, name), workflow, f"{place}.{name}" if place else name)


def _checked(value: object, workflow: Workflow, place: str) -> Iterator[Problem]:
    """What all settings inside ``value`` say of themselves."""
    if isinstance(value, Settings):
        yield from value.check(workflow, place)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _checked(item, workflow, f"{place}.{key}")
    elif isinstance(value, tuple):
        for number, item in enumerate(value):
            yield from _checked(item, workflow, f"{place}.{number}")


def contradiction(key: str, value: object, expected: str) -> Problem:
    """A setting that is right by itself, but not beside another one.

    Args:
      key: its dotted key.
      value: its value; an empty text shows none.
      expected: the end of the sentence "expected ...".
    """
    return Problem("", f"expected {expected}", key=key, value=None if value == "" else as_yaml(value))


def as_yaml(value: object) -> str:
    """A value as the workflow file has it, on one line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {as_yaml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(as_yaml, value)) + "]"
    return str(value)


@dataclass(frozen=True)
class DefaultTag:
    """Of a discriminated union: the tag that a mapping without one has.

    The JSON Schema names it as OpenAPI 3.2 does, in the discriminator's ``defaultMapping``.

    Args:
      property: the key that tells the union's members apart.
      tag: its default value.
    """

    property: str
    tag: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def tagged(value: Any) -> Any:
            return {self.property: self.tag, **value} if isinstance(value, dict) else value

        return core_schema.no_info_before_validator_function(tagged, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        node = handler(schema)
        union = handler.resolve_ref_schema(node)
        union["discriminator"]["defaultMapping"] = union["discriminator"]["mapping"][self.tag]
        return node
