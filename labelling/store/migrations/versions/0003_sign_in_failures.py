"""Sign-ins: completed failures in place of attempts, and the browsers that an account has signed in on."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # What it counted is of another kind (attempts, right ones too), and a quarter of an hour old at most.
    op.drop_index("ix_sign_ins_time", table_name="sign_ins")
    op.drop_table("sign_ins")
    op.create_table(
        "sign_in_failures",
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("failures", sa.Double(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "key", name=op.f("pk_sign_in_failures")),
    )
    op.create_index("ix_sign_in_failures_time", "sign_in_failures", ["time"], unique=False)
    op.create_table(
        "devices",
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(length=200), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_devices")),
    )
    op.create_index("ix_devices_account", "devices", ["account", "time"], unique=False)
