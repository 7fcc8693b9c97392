"""Brings a store's tables up to date with Alembic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

from modules.errors import InputError, Problem

FOLDER = Path(__file__).with_name("migrations")
LOCK = 7_351_226_018
"""Any number: the store's advisory lock in PostgreSQL."""


def check_revision(revision: str, name: str, what: str) -> None:
    """Refuses the revision of a newer version's tables.

    Args:
      name: where it stands. what: that has such tables.

    Raises:
      InputError: no migration here makes such tables.
    """
    if revision not in {known.revision for known in ScriptDirectory(str(FOLDER)).walk_revisions()}:
        hint = "install the version that made it, or a newer one"
        raise InputError(Problem(name, f"a newer version of Shelfmark made this {what}", hint=hint))


def upgrade(engine: Engine, name: str, target: str = "head") -> None:
    """Runs the migrations that the store lacks, in one transaction; two processes at once do it once.

    Args:
      name: of the store, for messages.
      target: another revision than the newest is for a store without tables alone; others stay as they are.

    Raises:
      InputError: a newer version of Shelfmark made the store.
    """
    scripts = ScriptDirectory(str(FOLDER))
    with engine.connect() as connection:
        revision = MigrationContext.configure(connection).get_current_revision()
    if revision is not None:
        check_revision(revision, name, "label store")
    if revision == scripts.get_current_head() or (revision is not None and target != "head"):
        return

    def missing(revision: Any, _context: MigrationContext) -> Any:
        return scripts._upgrade_revs(target, revision)

    with engine.connect() as plain:
        connection = plain.execution_options(writes=True)
        with connection.begin(), EnvironmentContext(Config(), scripts, fn=missing) as environment:
            if engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            environment.configure(connection=connection, transactional_ddl=True)
            environment.run_migrations()
