"""Where publications go. A kind is a file of this folder and a line of :data:`TARGETS`, or an entry point."""

from __future__ import annotations

from modules.errors import InputError, Problem, did_you_mean
from modules.plugins import Kinds
from modules.secrets import text_behind
from publishing.targets.base import Options, Target
from publishing.targets.database import DatabaseTarget
from publishing.targets.folder import FolderTarget
from publishing.targets.kafka import KafkaTarget
from publishing.targets.opensearch import OpenSearchTarget
from publishing.targets.parquet import ParquetTarget
from publishing.targets.rabbitmq import RabbitTarget
from publishing.targets.webhook import WebhookTarget

_BUILTIN: tuple[type[Target], ...] = (
    FolderTarget,
    ParquetTarget,
    DatabaseTarget,
    WebhookTarget,
    RabbitTarget,
    OpenSearchTarget,
    KafkaTarget,
)

TARGETS: Kinds[Target] = Kinds(
    "shelfmark.targets",
    "target of publications",
    Target,  # type: ignore[type-abstract]
    {scheme: kind for kind in _BUILTIN for scheme in kind.schemes or ("",)},
)
"""By the scheme of their addresses; a path has none."""


def target_for(text: str, options: Options) -> Target:
    """The target behind an address, or behind ``env:NAME`` or ``file:PATH`` that hold one.

    Raises:
      InputError: no kind has such addresses, the address cannot be used, or the distribution that provides the kind
        cannot be imported.
    """
    address, is_hidden = text_behind(text, "TARGET")
    scheme, separator, _ = address.partition("://")
    # What stands before a plus sign is the database, behind it Python's driver.
    scheme = scheme.partition("+")[0].lower() if separator else ""
    if scheme in TARGETS.names():
        return TARGETS.get(scheme)(address, options, is_hidden)
    known = [name for name in TARGETS.names() if name]
    expected = f"expected a folder, or an address that begins with {', '.join(f'{name}://' for name in known)}"
    # The address may hold a password; the scheme does not.
    hint = did_you_mean(scheme, known)
    raise InputError(Problem("", expected, key="TARGET", value=f"{scheme}://…", hint=hint))
