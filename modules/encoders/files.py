"""Files of an encoder's folder, whatever the encoder reads: settings, weights, checksums; read with limits."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import pydantic

from modules.arrays import Float32Array
from modules.errors import InputError, Problem, reason

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    WeightArray = npt.NDArray[np.floating[Any]]

SETTINGS_FILE = "encoder.json"
WEIGHTS_FILE = "weights.safetensors"
CHECK_FILE = "check.safetensors"
CHECK_TENSOR = "vectors"
MAX_SETTINGS_BYTES = 1_000_000
MAX_WEIGHTS_BYTES = 4_000_000_000
NO_CHECKSUM = "0" * 64
"""Of a file that is not written yet."""

Checksum = Annotated[str, pydantic.Field(pattern=r"^[0-9a-f]{64}$")]
Model = TypeVar("Model", bound=pydantic.BaseModel)


def load_settings(folder: str | Path, models: Mapping[str, type[Model]], reads: str) -> Model:
    """``encoder.json`` by the model of its ``type``.

    Args:
      folder: of the encoder.
      models: settings by the type of network that they are of.
      reads: what encoders of these types read, for messages.

    Raises:
      InputError: there is no encoder, its type is another one, or its settings cannot be read.
    """
    path = Path(folder) / SETTINGS_FILE
    data = read_bytes(path, MAX_SETTINGS_BYTES)
    try:
        document: Any = json.loads(data)
    except (ValueError, RecursionError):
        document = None  # what is wrong with it the model says
    kind = document.get("type") if isinstance(document, dict) else None
    if isinstance(kind, str) and kind not in models:
        expected = f"expected an encoder of {reads} ({' or '.join(models)})"
        hint = "shelfmark encoder list shows what each encoder reads"
        raise InputError(Problem(str(path), expected, key="type", value=kind, hint=hint))
    model = models[kind] if isinstance(kind, str) else next(iter(models.values()))
    try:
        return model.model_validate_json(data)
    except pydantic.ValidationError as error:
        raise InputError(
            Problem(
                str(path),
                "".join(("expected an encoder's settings, but ", entry["msg"][:1].lower(), entry["msg"][1:])),
                key=".".join(str(part) for part in entry["loc"]),
                hint="add the encoder again: shelfmark encoder add",
            )
            for entry in error.errors(include_url=False, include_context=False, include_input=False)
        ) from error


def fingerprint_of(settings: pydantic.BaseModel) -> str:
    """SHA-256 in hexadecimal of all that a vector depends on: the settings, which hold the other files' checksums."""
    relevant = settings.model_dump(mode="json", exclude={"name", "licence", "origin"})
    return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()


def tensor_bytes(tensors: Mapping[str, WeightArray]) -> bytes:
    """Tensors as a file of safetensors.

    Its library writes an array's memory as it lies. One that is transposed, or keeps PyTorch's strides, would be read
    in another order of axes: here each is brought into the order of its shape first.
    """
    import numpy as np
    from safetensors.numpy import save

    return save({name: np.ascontiguousarray(values) for name, values in tensors.items()})


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes a folder, which is there as a whole or not at all.

    Raises:
      InputError: it holds something, or cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            for name, data in files.items():
                (part / name).write_bytes(data)
            part.chmod(0o755)
            part.rename(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise InputError(Problem(str(folder), f"the encoder cannot be written here: {reason(error)}")) from error


def check_weights(file: str, weights: Mapping[str, WeightArray], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raises an InputError that names every tensor that is missing, too much, of another shape, or not finite."""
    import numpy as np

    problems = []
    for name, shape in shapes.items():
        tensor = weights.get(name)
        if tensor is None:
            problems.append(Problem(file, "this tensor is missing", key=name))
        elif tensor.shape != shape:
            problems.append(Problem(file, f"expected the shape {shape}, it is {tensor.shape}", key=name))
        elif tensor.dtype not in (np.float16, np.float32):
            problems.append(Problem(file, f"expected float16 or float32, it is {tensor.dtype}", key=name))
        elif not np.isfinite(tensor).all():
            problems.append(Problem(file, "expected finite numbers alone", key=name))
    problems += [
        Problem(file, "this tensor belongs to no encoder of these settings", key=name)
        for name in sorted(weights.keys() - shapes.keys())
    ]
    if problems:
        raise InputError(problems)


def read_bytes(path: Path, limit: int) -> bytes:
    """A file of at most ``limit`` bytes; an InputError if it is larger, or cannot be read."""
    try:
        size = path.stat().st_size
        if size > limit:
            raise InputError(Problem(str(path), f"expected at most {limit:,} bytes, it has {size:,}"))
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            Problem(
                str(path),
                f"an encoder's folder holds this file, but it cannot be read: {reason(error)}",
                hint="shelfmark encoder list shows the encoders that are there",
            )
        ) from error


def read_checked(path: Path, limit: int, checksum: str) -> bytes:
    """The same; an InputError as well if its SHA-256 is another one."""
    data = read_bytes(path, limit)
    if hashlib.sha256(data).hexdigest() != checksum:
        raise InputError(
            Problem(
                str(path),
                f"the file is damaged or was changed: its SHA-256 is not the one of {SETTINGS_FILE}",
                hint="remove the encoder and add it again: shelfmark encoder add",
            )
        )
    return data


def tensors_of(path: Path, data: bytes) -> dict[str, WeightArray]:
    """Tensors of a safetensors file; an InputError if it is none."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return load(data)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise InputError(Problem(str(path), f"expected a safetensors file: {reason(error)}")) from error


def read_weights(folder: Path, checksum: str, shapes: Mapping[str, tuple[int, ...]]) -> Mapping[str, WeightArray]:
    """The network's tensors; an InputError unless the file has this SHA-256 and they these shapes."""
    path = folder / WEIGHTS_FILE
    weights = tensors_of(path, read_checked(path, MAX_WEIGHTS_BYTES, checksum))
    check_weights(str(path), weights, shapes)
    return weights


def read_check(folder: Path, rows: int, width: int) -> Float32Array:
    """The check vectors, float32 (rows, width); an InputError if they are others."""
    path = folder / CHECK_FILE
    tensors = tensors_of(path, read_bytes(path, MAX_WEIGHTS_BYTES))
    check_weights(str(path), tensors, {CHECK_TENSOR: (rows, width)})
    return tensors[CHECK_TENSOR].astype("float32")
