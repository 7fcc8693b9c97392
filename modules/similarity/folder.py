"""An index on disk: a folder with a manifest that says what is in it and by whom it may be read."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from modules.errors import InputError, Problem, reason
from modules.settings.base import Settings
from modules.similarity.items import Embedding

VERSION = 2
"""Of the format; raised whenever an older program could not read what this one writes."""

MANIFEST = "manifest.json"

_Kind = TypeVar("_Kind", bound=Settings)
_FORMAT = "shelfmark index"
_REBUILD = "build the index again with `shelfmark run --from ScannIndex`"


class File(TypedDict):
    """``sha256``: 64 hex digits; ``bytes``: the size."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """What ``manifest.json`` holds.

    Attributes:
      kind: :attr:`modules.similarity.protocol.Index.kind`.
      embedding: what made the vectors. dimension, count: of the vectors.
      settings: of the index, as JSON values. facts: what was measured, as JSON values.
      files: of each file by name.
    """

    kind: str
    embedding: Embedding
    dimension: Annotated[int, Field(ge=0)]
    count: Annotated[int, Field(ge=0)]
    settings: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    files: dict[str, File] = field(default_factory=dict)
    version: int = VERSION


_MANIFEST = TypeAdapter(Manifest)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Writes the manifest over all files that lie in ``folder`` and below; the last thing to be written."""
    files = {name: file for name, file in files_of(folder).items() if Path(name).name != MANIFEST}
    _write(folder, replace(manifest, files=files))


def files_of(folder: Path, *, prefix: str = "", without: Collection[str] = ()) -> dict[str, File]:
    """Size and checksum of each file in ``folder`` and below.

    Args:
      prefix: what is put before each name.
      without: names of folders directly in ``folder`` that are left out.
    """
    paths = {path.relative_to(folder): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {
        prefix + name.as_posix(): {"sha256": sha256(path), "bytes": path.stat().st_size}
        for name, path in paths.items()
        if name.parts[0] not in without
    }


def write_facts(folder: Path, facts: dict[str, Any]) -> None:
    """Puts other facts into the manifest that is there; the files are not looked at."""
    _write(folder, replace(read_manifest(folder, verify=False), facts=facts))


def _write(folder: Path, manifest: Manifest) -> None:
    document = {"format": _FORMAT, **asdict(manifest)}
    temporary = folder / f".{MANIFEST}.part"
    temporary.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(temporary, folder / MANIFEST)


def read_manifest(
    folder: str | Path, kind: str | None = None, embedding: Embedding | None = None, verify: bool = True
) -> Manifest:
    """Reads and checks a manifest.

    Args:
      kind: the kind of index that is expected; None: any.
      embedding: what the caller's vectors come from; None: any.
      verify: compare every file with its checksum.

    Raises:
      InputError: there is no manifest; another format, version, kind or embedding; a file is missing or differs.
    """
    path = Path(folder) / MANIFEST
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(Problem(str(path), "an index; there is none", hint=_REBUILD)) from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(Problem(str(path), f"a manifest of an index ({reason(error)})", hint=_REBUILD)) from None
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise InputError(Problem(str(path), "a manifest of an index", hint=_REBUILD))
    if document.get("version") != VERSION:
        version = str(document.get("version"))
        raise InputError(Problem(str(path), f"format version {VERSION}", key="version", value=version, hint=_REBUILD))
    try:
        manifest = _MANIFEST.validate_python({name: document[name] for name in Manifest.__dataclass_fields__})
    except KeyError as error:
        raise InputError(Problem(str(path), f"a whole manifest, with {error}", hint=_REBUILD)) from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        raise InputError(Problem(str(path), first["msg"], key=key, hint=_REBUILD)) from None
    if kind is not None and manifest.kind != kind:
        raise InputError(Problem(str(path), f"an index of kind {kind}", key="kind", value=manifest.kind))
    if embedding is not None and manifest.embedding != embedding:
        key = "embedding.model" if manifest.embedding.model != embedding.model else "embedding.column"
        value = manifest.embedding.model if key.endswith("model") else manifest.embedding.column
        expected = embedding.model if key.endswith("model") else embedding.column
        hint = f"its vectors cannot be compared; {_REBUILD}"
        raise InputError(Problem(str(path), expected, key=key, value=value, hint=hint))
    _check_files(Path(folder), manifest.files, verify)
    return manifest


def settings_of(kind: type[_Kind], manifest: Manifest, folder: str | Path) -> _Kind:
    """An index' settings; what an older version had and this one has no more is passed over.

    Raises:
      InputError: a value does not fit.
    """
    known = {name: value for name, value in manifest.settings.items() if name in kind.model_fields}
    try:
        return kind.model_validate(known)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(["settings", *map(str, first["loc"])])
        raise InputError(Problem(str(Path(folder) / MANIFEST), first["msg"], key=key, hint=_REBUILD)) from None


def _check_files(folder: Path, files: Mapping[str, File], verify: bool) -> None:
    problems = []
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        # A hidden one is no part of an index: file systems and object stores leave such.
        if name not in files and name != MANIFEST and path.is_file() and not path.name.startswith("."):
            problems.append(Problem(str(path), "only files that the manifest names", hint=_REBUILD))
    for name, file in files.items():
        path = folder / name
        if Path(name).is_absolute() or ".." in Path(name).parts:
            problems.append(Problem(str(folder / MANIFEST), "names of files inside the folder", key=name))
        elif not path.is_file():
            problems.append(Problem(str(path), "a file of the index; it is missing", hint=_REBUILD))
        elif path.stat().st_size != file["bytes"] or (verify and sha256(path) != file["sha256"]):
            problems.append(Problem(str(path), "the checksum of the manifest; the file is damaged", hint=_REBUILD))
    if problems:
        raise InputError(problems)


def indexes_in(folder: Path) -> dict[str, Path]:
    """The folders in ``folder`` that hold an index, by name: a method's. One that is called by a number is a version of
    the whole, and one with a dot before its name is being written; neither is a method."""
    folders = sorted(manifest.parent for manifest in folder.glob(f"*/{MANIFEST}"))
    return {
        index_folder.name: index_folder
        for index_folder in folders
        if not index_folder.name.isdigit() and not index_folder.name.startswith(".")
    }


def sha256(path: Path) -> str:
    """64 hex digits of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def new_folder(folder: str | Path) -> Path:
    """The folder, made if it is not there.

    Raises:
      InputError: there is something in it.
    """
    path = Path(folder)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError(Problem(str(path), "a new or empty folder to write to"))
    path.mkdir(parents=True, exist_ok=True)
    return path


def write_table(path: Path, table: pa.Table) -> None:
    """An Arrow file of one batch, uncompressed, so that it can be mapped."""
    table = table.combine_chunks()
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        for batch in table.to_batches(max_chunksize=None):
            writer.write_batch(batch)


def map_table(path: Path) -> pa.Table:
    """The table of :func:`write_table`, mapped: what is not looked at is not read."""
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def write_vectors(path: Path, vectors: npt.NDArray[Any]) -> None:
    """npy without pickle, block by block, so that a memory map is never read whole."""
    with path.open("wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(vectors.dtype), "fortran_order": False, "shape": vectors.shape}
        np.lib.format.write_array_header_2_0(file, header)
        block = max(1, (1 << 24) // max(1, vectors.shape[1] * vectors.dtype.itemsize))
        for start in range(0, len(vectors), block):
            file.write(np.ascontiguousarray(vectors[start : start + block]).data)
