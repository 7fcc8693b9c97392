"""State dicts in PyTorch's old form (before 1.6): read as data, since pickle's own loader would run what a file says.

A file is five things in a row: three small pickles (a magic number, the form's version, the machine's number sizes),
the pickle of the state dict, whose tensors name storages, and the pickle of the list of storages; then each storage's
elements. :func:`read_state_dict` goes through the opcodes itself, knows those few that such a file needs, and
resolves four global names to marks of its own: nothing is imported and nothing is called.
"""

from __future__ import annotations

import io
import math
import pickletools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modules.errors import InputError, Problem, reason

if TYPE_CHECKING:
    import numpy.typing as npt

    TensorArray = npt.NDArray[Any]

MAX_BYTES = 1_000_000_000
MAX_PICKLE_BYTES = 16_000_000
"""Of all five pickles; the tensors' names and shapes take some 150 bytes each."""
MAX_TENSORS = 20_000
MAX_DIMENSIONS = 8
MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001
_ORDERED_DICT = "collections OrderedDict"
_REBUILD = "torch._utils _rebuild_tensor_v2"
_STORAGES = {"torch FloatStorage": "<f4", "torch LongStorage": "<i8"}


def read_state_dict(file: str, data: bytes) -> dict[str, TensorArray]:
    """Tensors by name, float32 or int64: views of ``data``, which they keep and cannot write to.

    Args:
      file: as messages call it.
      data: the file's bytes.

    Raises:
      InputError: it is of another form, damaged, too large, or holds anything else than tensors without gaps.
    """
    if len(data) > MAX_BYTES:
        raise InputError(Problem(file, f"expected at most {MAX_BYTES:,} bytes, it has {len(data):,}"))
    if data[:4] == b"PK\x03\x04":
        hint = "torch.save(..., _use_new_zipfile_serialization=False) writes the old one"
        raise InputError(Problem(file, "expected PyTorch's old form; this is the zip form of version 1.6", hint=hint))
    stream = io.BytesIO(data[:MAX_PICKLE_BYTES])
    try:
        _check_head(_Reader(stream).read(), _Reader(stream).read(), _Reader(stream).read())
        reader = _Reader(stream)
        tensors = _of_dict(reader.read())
        keys = _Reader(stream).read()
        begins = _storages(data, stream.tell(), keys, reader.storages)
    except _Refused as error:
        hint = "only a state dict of float and long tensors is read, and nothing of the file is run"
        raise InputError(Problem(file, f"expected PyTorch's old form: {error}", hint=hint)) from error
    return {name: _array(data, tensor, begins[tensor.storage.key]) for name, tensor in tensors.items()}


class _Refused(Exception):
    """What is wrong with the file, in words."""


class _Mark:
    """Where a tuple or the items of a dict begin on the stack."""


@dataclass(frozen=True, eq=False)
class _Global:
    name: str


@dataclass(frozen=True, eq=False)
class _Storage:
    key: str
    dtype: str
    count: int


@dataclass(frozen=True, eq=False)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    order: tuple[int, ...]
    """Axes from the longest stride to the shortest: weights that came from TensorFlow are transposed views."""


_MARK = _Mark()
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_LITERALS = frozenset({"BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE"})
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _Reader:
    """One pickle of a stream. Work and memory are linear in its opcodes: values are never copied, compared or hashed.

    Only strings become keys: hashing a tuple that holds another one twice, which does so itself, and so on, never
    ends.
    """

    def __init__(self, stream: io.BytesIO):
        self._stream = stream
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self.storages: dict[str, _Storage] = {}
        self._do: dict[str, Callable[[Any], None]] = {
            "MARK": lambda _: self._stack.append(_MARK),
            "TUPLE": lambda _: self._stack.append(tuple(self._to_mark())),
            "EMPTY_DICT": lambda _: self._stack.append({}),
            "EMPTY_LIST": lambda _: self._stack.append([]),
            "SETITEM": lambda _: self._set([self._pop(), self._pop()][::-1]),
            "SETITEMS": lambda _: self._set(self._to_mark()),
            "APPEND": lambda _: self._extend([self._pop()]),
            "APPENDS": lambda _: self._extend(self._to_mark()),
            "BINPUT": self._put,
            "LONG_BINPUT": self._put,
            "BINGET": self._get,
            "LONG_BINGET": self._get,
            "GLOBAL": self._global,
            "REDUCE": lambda _: self._call(),
            "BINPERSID": lambda _: self._stack.append(self._storage(self._pop())),
            "BUILD": lambda _: self._build(),
        }

    def read(self) -> Any:
        """The pickle's value."""
        for name, value in self._operations():
            if name in _CONSTANTS:
                self._stack.append(_CONSTANTS[name])
            elif name in _LITERALS:
                self._stack.append(value)
            elif name in _TUPLES:
                items = [self._pop() for _ in range(_TUPLES[name])]
                self._stack.append(tuple(items[::-1]))
            elif name == "STOP":
                result = self._pop()
                if self._stack:
                    raise _Refused("a pickle leaves values behind")
                return result
            elif name != "PROTO":
                if name not in self._do:
                    raise _Refused(f"the pickle's opcode {name} is not one that a state dict needs")
                self._do[name](value)
        raise _Refused("a pickle has no end")

    def _operations(self) -> Iterator[tuple[str, Any]]:
        operations = pickletools.genops(self._stream)
        while True:
            try:
                code, value, _ = next(operations)
            except StopIteration:
                return
            except (ValueError, OverflowError, EOFError) as error:
                raise _Refused(f"a pickle is damaged or cut off ({reason(error, 100)})") from error
            yield code.name, value

    def _pop(self) -> Any:
        if not self._stack or self._stack[-1] is _MARK:
            raise _Refused("a pickle takes a value that is not there")
        return self._stack.pop()

    def _to_mark(self) -> list[Any]:
        items: list[Any] = []
        while self._stack:
            item = self._stack.pop()
            if item is _MARK:
                return items[::-1]
            items.append(item)
        raise _Refused("a pickle ends a group that has no beginning")

    def _top(self, kind: type) -> Any:
        if not self._stack or type(self._stack[-1]) is not kind:
            raise _Refused(f"a pickle fills something that is no {kind.__name__}")
        return self._stack[-1]

    def _set(self, items: list[Any]) -> None:
        target = self._top(dict)
        if len(items) % 2 or any(type(key) is not str for key in items[::2]):
            raise _Refused("a dict's key is no string")
        target.update(zip(items[::2], items[1::2], strict=True))

    def _extend(self, items: list[Any]) -> None:
        self._top(list).extend(items)

    def _put(self, place: int) -> None:
        value = self._pop()
        self._stack.append(value)
        self._memo[place] = value

    def _get(self, place: int) -> None:
        if place not in self._memo:
            raise _Refused("a pickle refers to a value that it does not hold")
        self._stack.append(self._memo[place])

    def _global(self, name: str) -> None:
        if name not in (_ORDERED_DICT, _REBUILD, *_STORAGES):
            raise _Refused(f"the file wants {name.replace(' ', '.')}, which no state dict needs")
        self._stack.append(_Global(name))

    def _call(self) -> None:
        arguments, function = self._pop(), self._pop()
        name = function.name if isinstance(function, _Global) else ""
        if name == _ORDERED_DICT and arguments == ():
            self._stack.append({})
        elif name == _REBUILD and type(arguments) is tuple:
            self._stack.append(_tensor(arguments))
        else:
            raise _Refused("a pickle calls something else than OrderedDict() and _rebuild_tensor_v2(...)")

    def _build(self) -> None:
        """Attributes of an OrderedDict: its versions of modules, which say nothing about the tensors."""
        self._pop()
        self._top(dict)

    def _storage(self, given: Any) -> _Storage:
        expected = "a storage's description is not (storage, type, key, device, count, None)"
        if type(given) is not tuple or len(given) != 6:
            raise _Refused(expected)
        word, kind, key, _, count, view = given
        if type(word) is not str or word != "storage" or type(key) is not str or view is not None:
            raise _Refused(expected)
        if not isinstance(kind, _Global) or kind.name not in _STORAGES or not _is_count(count):
            raise _Refused(expected)
        made = self.storages.setdefault(key, _Storage(key, _STORAGES[kind.name], count))
        if (made.dtype, made.count) != (_STORAGES[kind.name], count):
            raise _Refused("a storage is described in two ways")
        return made


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MAX_BYTES


def _counts(value: Any) -> bool:
    return type(value) is tuple and len(value) <= MAX_DIMENSIONS and all(map(_is_count, value))


def _tensor(arguments: tuple[Any, ...]) -> _Tensor:
    if len(arguments) != 6:
        raise _Refused("a tensor's description has not six parts")
    storage, offset, shape, strides = arguments[:4]
    if not isinstance(storage, _Storage) or not _is_count(offset) or not _counts(shape) or not _counts(strides):
        raise _Refused("a tensor's description is not (storage, offset, shape, strides, ...)")
    if len(strides) != len(shape):
        raise _Refused("a tensor has not as many strides as dimensions")
    order = sorted(range(len(shape)), key=lambda axis: (-strides[axis], shape[axis] > 1))
    step = 1
    for axis in order[::-1]:
        if shape[axis] > 1 and strides[axis] != step and 0 not in shape:
            raise _Refused("a tensor's elements do not fill their part of the storage without gaps")
        step *= shape[axis]
    if offset + math.prod(shape) > storage.count:
        raise _Refused("a tensor reaches beyond its storage")
    return _Tensor(storage, offset, shape, tuple(order))


def _check_head(magic: Any, version: Any, sizes: Any) -> None:
    if type(magic) is not int or magic != MAGIC:
        raise _Refused("the magic number is missing")
    if type(version) is not int or version != VERSION:
        raise _Refused(f"its version is not {VERSION}")
    if type(sizes) is not dict or sizes.get("little_endian") is not True:
        raise _Refused("it was not written on a little-endian machine")


def _of_dict(value: Any) -> dict[str, _Tensor]:
    if type(value) is not dict or not all(isinstance(tensor, _Tensor) for tensor in value.values()):
        raise _Refused("it holds something else than tensors by name")
    if len(value) > MAX_TENSORS:
        raise _Refused(f"at most {MAX_TENSORS:,} tensors are read, and it holds {len(value):,}")
    return value


def _storages(data: bytes, place: int, keys: Any, storages: dict[str, _Storage]) -> dict[str, int]:
    """Where each storage's elements begin: behind its count, in the order of ``keys``, to the file's very end."""
    if type(keys) is not list or any(type(key) is not str for key in keys) or sorted(keys) != sorted(storages):
        raise _Refused("the list of storages is not the one that the tensors name")
    begins = {}
    for key in keys:
        own = storages[key]
        end = place + 8 + own.count * int(own.dtype[-1])
        if end > len(data):
            raise _Refused("the file ends before its storages do")
        if int.from_bytes(data[place : place + 8], "little", signed=True) != own.count:
            raise _Refused("a storage has another number of elements than the tensors say")
        begins[key], place = place + 8, end
    if place != len(data):
        raise _Refused("something stands behind the last storage")
    return begins


def _array(data: bytes, tensor: _Tensor, begin: int) -> TensorArray:
    import numpy as np

    dtype = np.dtype(tensor.storage.dtype)
    values = np.frombuffer(data, dtype, math.prod(tensor.shape), begin + tensor.offset * dtype.itemsize)
    laid = values.reshape([tensor.shape[axis] for axis in tensor.order])
    return laid.transpose([tensor.order.index(axis) for axis in range(len(tensor.order))])
