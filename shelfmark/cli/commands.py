"""What all commands have in common: how they take the workflow, and which command a group means without its name."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_origin

import typer
from typer.core import TyperGroup
from typer.models import ArgumentInfo

_FileArgument = Annotated[
    Path | None,
    typer.Argument(metavar="WORKFLOW", help="Workflow file; default: the only one in this folder.", show_default=False),
]
_DemoOption = Annotated[bool, typer.Option("--demo", help="The generated demo's workflow, in place of a file.")]


class Commands(typer.Typer):
    """A group of commands that all take the workflow in the same way.

    A function that has a parameter ``workflow`` (:data:`shelfmark.cli.options.WorkflowOption`) becomes a command that
    also takes ``--demo``, and the file as its last argument; the latter not where it has optional or repeated arguments
    of its own, which nobody could tell from the file.
    """

    def command(  # type: ignore[override]  # all settings but the name are handed on as they are
        self, name: str | None = None, **settings: Any
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """See ``typer.Typer.command``."""
        register = super().command(name, **settings)

        def add(function: Callable[..., Any]) -> Callable[..., Any]:
            register(_taking_workflow(function))
            return function

        return add


def _taking_workflow(function: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(function, eval_str=True)
    if "workflow" not in signature.parameters:
        return function
    own = [parameter.replace(kind=parameter.KEYWORD_ONLY) for parameter in signature.parameters.values()]
    keyword = inspect.Parameter.KEYWORD_ONLY
    added = [inspect.Parameter("demo", keyword, default=False, annotation=_DemoOption)]
    if all(_single(parameter) for parameter in own if _is_argument(parameter)):
        added.append(inspect.Parameter("workflow_file", keyword, default=None, annotation=_FileArgument))

    @functools.wraps(function)
    def command(*, workflow: Path | None, demo: bool = False, workflow_file: Path | None = None, **others: Any) -> Any:
        return function(workflow=_named(workflow, workflow_file, demo), **others)

    parameters = [*own, *added]
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def _is_argument(parameter: inspect.Parameter) -> bool:
    return any(isinstance(said, ArgumentInfo) for said in getattr(parameter.annotation, "__metadata__", ()))


def _single(argument: inspect.Parameter) -> bool:
    """Whether an argument takes one value, always."""
    is_list = get_origin(argument.annotation.__origin__) is list
    return argument.default is argument.empty and not is_list


def _named(option: Path | None, argument: Path | None, demo: bool) -> Path | None:
    """The workflow file that the command line names, None if it names none."""
    from modules.errors import InputError, Problem

    if sum((option is not None, argument is not None, demo)) > 1:
        raise InputError(Problem("", "expected one workflow: its file, --workflow FILE, or --demo"))
    if demo:
        from modules.paths import near
        from pipeline.workflow_file import DEMO_WORKFLOW

        return Path(near(DEMO_WORKFLOW))
    return option or argument


class DefaultCommandGroup(TyperGroup):
    """A group one of whose commands is meant where none is named; a subclass says which, and when.

    Attributes:
      default: that command's name.
    """

    default: str

    def means_default(self, first: str) -> bool:
        """Whether arguments that begin with ``first``, which is no command's name, are those of the default one."""
        raise NotImplementedError

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Puts the default command's name before its arguments."""
        meant = not args and not self.no_args_is_help
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            meant = self.means_default(args[0])
        return super().parse_args(ctx, [self.default, *args] if meant else args)
