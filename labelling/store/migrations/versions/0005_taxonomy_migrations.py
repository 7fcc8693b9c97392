"""Taxonomies that the labels were carried over to, and how rows of the log read since then."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "taxonomy_migrations",
        sa.Column("number", KEY, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("old", sa.String(length=64), nullable=False),
        sa.Column("new", sa.String(length=64), nullable=False),
        sa.Column("targets", sa.JSON(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_taxonomy_migrations")),
        sa.UniqueConstraint("id", name=op.f("uq_taxonomy_migrations_id")),
    )
    op.create_table(
        "relabelled",
        sa.Column("label", KEY, nullable=False),
        sa.Column("migration", KEY, nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("until", KEY, nullable=True),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("value", sa.String(length=20), nullable=True),
        sa.ForeignKeyConstraint(["label"], ["labels.id"], name=op.f("fk_relabelled_label")),
        sa.ForeignKeyConstraint(["migration"], ["taxonomy_migrations.number"], name=op.f("fk_relabelled_migration")),
        sa.PrimaryKeyConstraint("label", "migration", "part", name=op.f("pk_relabelled")),
    )
