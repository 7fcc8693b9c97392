"""``shelfmark label account``."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from shelfmark.cli.commands import Commands
from shelfmark.cli.label.store import StoreOption, open_store
from shelfmark.cli.options import SetOption, WorkflowOption

app = Commands(help="Who may sign in to the labelling pages.", no_args_is_help=True, rich_markup_mode=None)


class Role(StrEnum):
    """What an account may do."""

    labeller = "labeller"
    admin = "admin"


NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The account's name: the annotator of its labels.")]


@app.command("put")
def put(
    name: NameArgument,
    role: Annotated[Role | None, typer.Option("--role", help="Default of a new account: labeller.")] = None,
    keep_password: Annotated[bool, typer.Option("--keep-password", help="Change the role alone.")] = False,
    store: StoreOption = None,
    workflow: WorkflowOption = None,
    overrides: SetOption = None,
) -> None:
    """Make an account or change one. The password is asked for, or read from standard input."""
    from labelling.store import accounts
    from labelling.store.database import now

    password = None if keep_password else _password()
    with open_store(store, workflow, overrides, create=True) as opened, opened.write() as connection:
        new = accounts.put(connection, name, now(), password=password, role=role.value if role else None)
    typer.echo(f"{name}: {'made' if new else 'changed'}")


@app.command("list")
def list_(store: StoreOption = None, workflow: WorkflowOption = None, overrides: SetOption = None) -> None:
    """Show the accounts."""
    from labelling.store import accounts

    with open_store(store, workflow, overrides) as opened, opened.read() as connection:
        for account in accounts.everybody(connection):
            typer.echo(f"{account.name}  {account.role}{'' if account.active else '  locked'}")


@app.command("lock")
def lock(
    name: NameArgument, store: StoreOption = None, workflow: WorkflowOption = None, overrides: SetOption = None
) -> None:
    """Lock an account out at once; `put` lets it in again. Its labels stay."""
    from labelling.store import accounts
    from labelling.store.database import now
    from modules.errors import InputError, Problem

    with open_store(store, workflow, overrides) as opened, opened.write() as connection:
        if not accounts.deactivate(connection, name, now()):
            raise InputError(Problem("", "there is no such account", key="account", value=name))
    typer.echo(f"{name}: locked")


def _password() -> str:
    """Twice from a terminal, else the first line of standard input; never an argument, which others could see."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return password
