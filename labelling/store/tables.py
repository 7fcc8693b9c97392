"""The store's tables. The migrations make them; a test holds both together.

Times are whole microseconds since 1970 (UTC): exact in both databases, and in order without a thought of time zones.
``labels``, ``triplets`` and ``audit`` are append-only, which triggers hold against everybody; what reads answers reads
``as_read``.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    case,
    or_,
    select,
)
from sqlalchemy.sql.selectable import Subquery

# Constraints have names, so that a migration can speak of them in either database.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
# SQLite numbers rows by itself only if the column's type is INTEGER.
Key = BigInteger().with_variant(Integer, "sqlite")
Time = BigInteger

APPEND_ONLY = ("labels", "audit", "triplets")

labels = Table(
    "labels",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("product_id", Text, nullable=False),
    Column("objective", String(200), nullable=False),
    Column("category", Text),  # id
    Column("value", String(20), nullable=False),
    Column("annotator", Text, nullable=False),
    Column("time", Time, nullable=False),
    Column("batch", Text),
    Column("source", Text, nullable=False),
    Column("inclusion_probability", Double),
    # What the model said when the label was given.
    Column("suggestion", Text),
    Column("suggestion_probability", Double),
    Column("model", Text),
    Column("seconds", Double),
    Column("note", Text),
    Column("item", Key),
    Column("undoes", Key),
    # A browser sends an answer again until it is acknowledged; the same request never counts twice.
    Column("request", String(64)),
    Column("part", Integer),
    # Of a classifier's answer (source "model"): how sure it says that it is.
    Column("confidence", Double),
    UniqueConstraint("request", "part"),
    Index("ix_labels_product", "product_id", "objective"),
    Index("ix_labels_annotator", "annotator", "id"),
    sqlite_autoincrement=True,
)

batches = Table(
    "batches",
    metadata,
    Column("number", Key, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("kind", String(20), nullable=False),  # batch or review
    Column("objective", String(200), nullable=False),
    Column("state", String(10), nullable=False),  # open or closed
    Column("time", Time, nullable=False),
    Column("run", Text),
    Column("strategy", Text),
    Column("round", Integer),
    Column("uri", Text),
    Column("facts", JSON, nullable=False),
)

items = Table(
    "items",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("batch", Key, ForeignKey("batches.number"), nullable=False),
    Column("rank", Integer, nullable=False),
    Column("product_id", Text, nullable=False),
    Column("objective", String(200), nullable=False),
    # The category of a yes/no question; empty where any category can be the answer. Not null: it is part of a key.
    Column("category", Text, nullable=False, default=""),
    Column("predicted", Text),  # id of the most probable category
    Column("suggestions", JSON, nullable=False),  # [[category id, probability(, names)], ...], most probable first
    Column("utility", Double),
    Column("parts", JSON, nullable=False),
    Column("strategy", Text),
    Column("source", Text, nullable=False),
    Column("inclusion_probability", Double),
    Column("round", Integer),
    Column("seed", BigInteger),
    Column("model", Text),
    Column("split", String(20)),
    Column("reason", JSON),  # of a review: what is suspicious
    Column("state", String(10), nullable=False),  # open, done or closed
    Column("assigned", Text),
    Column("wanted", Integer, nullable=False, default=1),  # how many annotators are to answer
    UniqueConstraint("batch", "product_id", "objective", "category"),
    Index("ix_items_queue", "state", "batch", "rank"),
    Index("ix_items_product", "product_id", "objective"),
)

answers = Table(
    "answers",
    metadata,
    Column("item", Key, ForeignKey("items.id"), primary_key=True),
    Column("annotator", Text, primary_key=True),
    Column("label", Key, nullable=False),
    Column("value", String(20), nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("item", Key, ForeignKey("items.id"), primary_key=True),
    Column("annotator", Text, primary_key=True),
    Column("until", Time, nullable=False),
    Index("ix_leases_annotator", "annotator"),
)

products = Table(
    "products",
    metadata,
    Column("id", Text, primary_key=True),
    Column("fields", JSON, nullable=False),
    Column("image", Text),  # file name relative to image_folder, or a URL
    Column("image_folder", Text),
    Column("rules", JSON, nullable=False),  # ids of the rules that fired
    Column("split", String(20)),
    Column("run", Text),
    Column("time", Time, nullable=False),
)

predictions = Table(
    "predictions",
    metadata,
    Column("product_id", Text, primary_key=True),
    Column("objective", String(200), primary_key=True),
    Column("run", Text, primary_key=True),
    Column("top", JSON, nullable=False),
    Column("scores", JSON, nullable=False),
)

neighbours = Table(
    "neighbours",
    metadata,
    Column("product_id", Text, primary_key=True),
    Column("other", Text, primary_key=True),
    Column("kind", String(20), nullable=False),  # duplicate or labelled
    Column("similarity", Double, nullable=False),
    Column("category", Text),  # the label that the run knew
)

taxonomies = Table(
    "taxonomies",
    metadata,
    Column("fingerprint", String(64), primary_key=True),
    Column("content", Text, nullable=False),
    Column("time", Time, nullable=False),
)

objectives = Table(
    "objectives",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("position", Integer, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("workflow", Text, nullable=False),
    Column("time", Time, nullable=False),
    Column("facts", JSON, nullable=False),
)

category_metrics = Table(
    "category_metrics",
    metadata,
    Column("run", Text, ForeignKey("runs.id"), primary_key=True),
    Column("objective", String(200), primary_key=True),
    Column("category", Text, primary_key=True),
    Column("figures", JSON, nullable=False),
)

confusions = Table(
    "confusions",
    metadata,
    Column("run", Text, ForeignKey("runs.id"), primary_key=True),
    Column("objective", String(200), primary_key=True),
    Column("category", Text, primary_key=True),  # the label
    Column("predicted", Text, primary_key=True),
    Column("products", Integer, nullable=False),
    Column("examples", JSON, nullable=False),
)

rules = Table(
    "rules",
    metadata,
    Column("run", Text, ForeignKey("runs.id"), primary_key=True),
    Column("rule", Text, primary_key=True),
    Column("category", Text, nullable=False),
    Column("condition", JSON, nullable=False),
    Column("figures", JSON, nullable=False),
    Column("examples", JSON, nullable=False),
    Index("ix_rules_category", "run", "category"),
)

category_rules = Table(
    "category_rules",
    metadata,
    Column("run", Text, ForeignKey("runs.id"), primary_key=True),
    Column("category", Text, primary_key=True),
    Column("figures", JSON, nullable=False),
    Column("examples", JSON, nullable=False),
)

accounts = Table(
    "accounts",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("password", Text, nullable=False),
    Column("role", String(20), nullable=False),
    Column("active", Boolean, nullable=False),
    Column("time", Time, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token", String(64), primary_key=True),  # SHA-256: who reads the store cannot sign in with it
    Column("account", Text, nullable=False),
    Column("csrf", String(64), nullable=False),
    Column("until", Time, nullable=False),
)

# Sign-ins whose check was completed, and wrong; see throttle.py.
sign_in_failures = Table(
    "sign_in_failures",
    metadata,
    Column("kind", String(10), primary_key=True),  # device, account or address
    Column("key", String(200), primary_key=True),
    Column("failures", Double, nullable=False),  # at the time of the last one; they fade
    Column("time", Time, nullable=False),
    Index("ix_sign_in_failures_time", "time"),
)

# Browsers that an account has signed in on.
devices = Table(
    "devices",
    metadata,
    Column("token", String(64), primary_key=True),  # SHA-256, as for sessions
    Column("account", String(200), nullable=False),
    Column("time", Time, nullable=False),
    Index("ix_devices_account", "account", "time"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("time", Time, nullable=False),
    Column("account", Text, nullable=False),
    Column("address", Text, nullable=False, default=""),
    Column("action", String(50), nullable=False),
    Column("detail", JSON, nullable=False),
    sqlite_autoincrement=True,
)

triplet_questions = Table(
    "triplet_questions",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("query", Text, nullable=False),
    # In the order of their ids: the same three products are asked about once.
    Column("a", Text, nullable=False),
    Column("b", Text, nullable=False),
    Column("methods", JSON, nullable=False),  # what proposed a and b; empty: not known
    Column("wanted", Integer, nullable=False),  # how many annotators are to answer
    Column("time", Time, nullable=False),
    UniqueConstraint("query", "a", "b"),
)

triplets = Table(
    "triplets",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("query", Text, nullable=False),
    Column("a", Text, nullable=False),  # as it was shown
    Column("b", Text, nullable=False),
    Column("verdict", String(10), nullable=False),
    Column("annotator", Text, nullable=False),
    Column("time", Time, nullable=False),
    Column("methods", JSON, nullable=False),
    Column("question", Key),  # the one that it answers, if it was asked
    Column("request", String(64), unique=True),
    Index("ix_triplets_question", "question", "annotator"),
    sqlite_autoincrement=True,
)

# What other classifiers were asked; their answers are rows of labels.
suggestion_requests = Table(
    "suggestion_requests",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("annotator", Text, nullable=False),
    Column("objective", String(200), nullable=False),
    Column("time", Time, nullable=False),
    Column("asked", Integer, nullable=False),  # products
    Column("answers", Integer, nullable=False),  # those that could be used
    Column("refused", Integer, nullable=False),  # lines of the reply that could not
    Column("cost", Double),  # null: not known
    Column("seconds", Double, nullable=False),
    Index("ix_suggestion_requests_annotator", "annotator", "objective"),
)

# Taxonomies that the labels were carried over to; see moving.py.
taxonomy_migrations = Table(
    "taxonomy_migrations",
    metadata,
    Column("number", Key, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),  # SHA-256 of what was declared
    Column("old", String(64), nullable=False),  # fingerprints
    Column("new", String(64), nullable=False),
    Column("targets", JSON, nullable=False),  # old category's id to the ids of the new ones
    Column("counts", JSON, nullable=False),
    Column("time", Time, nullable=False),
)

# How rows of the log read since a migration: the log itself stays as it was said.
relabelled = Table(
    "relabelled",
    metadata,
    Column("label", Key, ForeignKey("labels.id"), primary_key=True),
    Column("migration", Key, ForeignKey("taxonomy_migrations.number"), primary_key=True),
    Column("part", Integer, primary_key=True),  # a no to a category that was split is a no to several
    Column("until", Key),  # the migration that replaced this reading
    Column("category", Text),
    Column("value", String(20)),  # null: nothing is left of the answer
)


def _as_read() -> Subquery:
    """The columns of ``labels``, with category and value as they read in the newest taxonomy."""
    newest = (relabelled.c.label == labels.c.id) & relabelled.c.until.is_(None)
    moved = {"category": relabelled.c.category, "value": relabelled.c.value}
    columns = [
        case((relabelled.c.label.is_(None), column), else_=moved[column.name]).label(column.name)
        if column.name in moved
        else column
        for column in labels.c
    ]
    stands = or_(relabelled.c.label.is_(None), relabelled.c.value.is_not(None))
    return select(*columns).select_from(labels.outerjoin(relabelled, newest)).where(stands).subquery("as_read")


as_read = _as_read()
"""What all that asks for answers reads, in place of the log."""
