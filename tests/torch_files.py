"""Files in PyTorch's old form, which tests write without PyTorch: its classes are stand-ins of the same names."""

from __future__ import annotations

import collections
import io
import pickle
import sys
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from modules.encoders.torch_file import MAGIC, VERSION

SIZES = {"protocol_version": VERSION, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


@dataclass(frozen=True)
class Storage:
    """What a tensor's persistent id is made of."""

    kind: type
    key: str
    values: np.ndarray


class Tensor:
    """Pickled as a tensor: a call of ``_rebuild_tensor_v2`` with its storage."""

    def __init__(self, array: np.ndarray, storage: Storage, rebuild: Any, offset: int = 0):
        self.array, self.storage, self.rebuild, self.offset = array, storage, rebuild, offset

    def __reduce__(self) -> tuple[Any, ...]:
        strides = tuple(stride // self.array.itemsize for stride in self.array.strides)
        own = (self.storage, self.offset, self.array.shape, strides, False, collections.OrderedDict())
        return self.rebuild, own


class _Pickler(pickle.Pickler):
    def persistent_id(self, value: Any) -> Any:
        if not isinstance(value, Storage):
            return None
        return "storage", value.kind, value.key, "cpu", value.values.size, None


@contextmanager
def fake_torch() -> Iterator[tuple[dict[str, type], Any]]:
    """Storage types by dtype, and ``_rebuild_tensor_v2``, which pickle finds in modules of PyTorch's names."""

    def rebuild() -> None:
        """Never called."""

    rebuild.__module__, rebuild.__qualname__, rebuild.__name__ = "torch._utils", *["_rebuild_tensor_v2"] * 2
    kinds = {
        dtype: type(name, (), {"__module__": "torch"})
        for dtype, name in (("float32", "FloatStorage"), ("int64", "LongStorage"), ("float64", "DoubleStorage"))
    }
    modules = {"torch": types.ModuleType("torch"), "torch._utils": types.ModuleType("torch._utils")}
    for kind in kinds.values():
        setattr(modules["torch"], kind.__name__, kind)
    modules["torch._utils"]._rebuild_tensor_v2 = rebuild  # type: ignore[attr-defined]
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules |= modules
    try:
        yield kinds, rebuild
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def torch_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """A state dict in the old form; an array that is a transposed view stays one, as weights from TensorFlow do."""
    with fake_torch() as (kinds, rebuild):
        state: Any = collections.OrderedDict()
        storages = []
        for number, (name, array) in enumerate(arrays.items()):
            base = array if array.base is None else array.base
            flat = np.asarray(base).reshape(-1)
            storages.append(Storage(kinds[str(array.dtype)], str(1000 + number), flat))
            state[name] = Tensor(array, storages[-1], rebuild)
        state._metadata = collections.OrderedDict({"": {"version": 1}})
        return torch_file(_pickled(state), storages)


def _pickled(value: Any) -> bytes:
    stream = io.BytesIO()
    _Pickler(stream, 2).dump(value)
    return stream.getvalue()


def torch_file(state: bytes, storages: list[Storage] | None = None) -> bytes:
    """The old form around a state dict's pickle, which may be anything."""
    storages = storages or []
    head = b"".join(pickle.dumps(value, 2) for value in (MAGIC, VERSION, SIZES))
    rest = b"".join(len(s.values).to_bytes(8, "little") + s.values.tobytes() for s in storages)
    return head + state + pickle.dumps([storage.key for storage in storages], 2) + rest
