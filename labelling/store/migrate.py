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


def upgrade(engine: Engine, name: str) -> None:
    """Runs the migrations that the store lacks, in one transaction; two processes at once do it once.

    Raises:
      InputError: a newer version of Shelfmark made the store.
    """
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    scripts = ScriptDirectory.from_config(config)
    known = {revision.revision for revision in scripts.walk_revisions()}
    with engine.connect() as connection:
        revision = MigrationContext.configure(connection).get_current_revision()
    if revision is not None and revision not in known:
        hint = "install the version that made it, or a newer one"
        raise InputError(Problem(name, "a newer version of Shelfmark made this label store", hint=hint))
    if revision == scripts.get_current_head():
        return

    def missing(revision: Any, _context: MigrationContext) -> Any:
        return scripts._upgrade_revs("head", revision)

    with engine.connect() as plain:
        connection = plain.execution_options(writes=True)
        with connection.begin(), EnvironmentContext(config, scripts, fn=missing) as environment:
            if engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            environment.configure(connection=connection, transactional_ddl=True)
            environment.run_migrations()
