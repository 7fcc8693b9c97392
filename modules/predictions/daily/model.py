"""The model that daily predictions are made by, and what of a product it reads."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from modules.encoders.files import fingerprint_of
from modules.encoders.folder import read_settings
from modules.examples import IMAGE, IMAGE_BYTES, TAXONOMY_FILE
from modules.feeds.files import resolve
from modules.feeds.mapping import Product
from modules.feeds.plan import ExampleSettings
from modules.predictions.acceptance import thresholds_in
from modules.predictions.answering import features_of, settings_of, taxonomy_of
from modules.similarity.identity import fingerprint


@dataclass(frozen=True)
class DailyModel:
    """A stored model.

    Attributes:
      folder: of the SavedModel. taxonomy: the file that its classes are written in. settings: see
        :func:`modules.predictions.answering.settings_of`.
      columns: of the products that it reads.
      accepted: objective to each class's threshold, see :class:`modules.predictions.acceptance.Acceptance`.
      key: another one for another model, or other encoders before it.
    """

    folder: str
    taxonomy: str
    settings: str
    columns: tuple[str, ...]
    accepted: dict[str, list[float]]
    key: str

    @classmethod
    def of(cls, folder: Path, published: Path, settings: ExampleSettings, feed_folder: str) -> DailyModel:
        """The model in a folder.

        Args:
          published: the folder with the run's predictions by it: they have its taxonomy, and what is accepted.
          settings: how products are read.

        Raises:
          InputError: an encoder that the workflow names is missing or broken.
        """
        features = features_of(str(folder))
        columns = {column for name, feature in features.items() for column in feature.columns_of(name)}
        if IMAGE_BYTES in columns:
            columns = columns - {IMAGE_BYTES} | {IMAGE}
        encoders = [
            (name, fingerprint_of(read_settings(resolve(feed_folder, encoding.encoder))), encoding.columns)
            for name, encoding in sorted(settings.encodings.items())
            if name in features
        ]
        accepted = thresholds_in(published)
        parts = [fingerprint(folder), encoders, *([repr(accepted)] if accepted else [])]
        key = hashlib.sha256(orjson.dumps(parts)).hexdigest()[:32]
        model, taxonomy = str(folder), taxonomy_of(str(folder), str(published / TAXONOMY_FILE))
        return cls(model, taxonomy, settings_of(model), tuple(sorted(columns)), accepted, key)


def digest_of(product: Product, columns: Sequence[str]) -> bytes:
    """16 bytes that change with what these columns hold, and with nothing else."""
    values = [[have.get(name) for name in columns] for have in (product.text, product.numbers)]
    digest = hashlib.blake2b(orjson.dumps(values), digest_size=16)
    for name in columns:
        vector = product.vectors.get(name)
        if vector is not None:
            digest.update(b"%b\0%d\0" % (name.encode(), len(vector)))
            digest.update(vector.tobytes())
    return digest.digest()
