"""State dicts in PyTorch's old form are read without pickle's loader; everything else is refused in words."""

from __future__ import annotations

import os
import pickle
import pickletools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.encoders import torch_file as module
from modules.encoders.torch_file import read_state_dict
from modules.errors import InputError
from tests.torch_files import Storage, torch_bytes, torch_file

DRAW = np.random.default_rng(0)
TRANSPOSED = DRAW.normal(size=(3, 3, 4, 5)).astype(np.float32).transpose(3, 2, 0, 1)
ARRAYS = {
    "stem.weight": TRANSPOSED,
    "norm.weight": DRAW.normal(size=7).astype(np.float32),
    "norm.num_batches_tracked": np.array(5),
    "head.weight": DRAW.normal(size=(2, 1, 3)).astype(np.float32),
    "empty": np.zeros((0, 4), np.float32),
}
WHOLE = torch_bytes(ARRAYS)


def test_every_tensor_comes_back_with_its_shape_and_type() -> None:
    tensors = read_state_dict("a.pth", WHOLE)
    assert list(tensors) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert tensors[name].dtype == array.dtype and tensors[name].shape == array.shape
        np.testing.assert_array_equal(tensors[name], array)


@given(
    st.lists(st.integers(1, 4), max_size=4).flatmap(
        lambda shape: st.tuples(st.just(shape), st.permutations(range(len(shape))))
    )
)
def test_any_transposed_view_comes_back(case: tuple[list[int], list[int]]) -> None:
    shape, order = case
    array = np.arange(int(np.prod(shape)), dtype=np.float32).reshape(shape).copy().transpose(order)
    np.testing.assert_array_equal(read_state_dict("a.pth", torch_bytes({"x": array}))["x"], array)


@given(st.integers(0, len(WHOLE) - 1))
def test_a_file_that_is_cut_off_is_refused(end: int) -> None:
    with pytest.raises(InputError, match="old form"):
        read_state_dict("a.pth", WHOLE[:end])


@settings(max_examples=500)
@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_changed_bytes_are_read_or_refused_and_never_crash(changes: list[tuple[int, int]]) -> None:
    data = bytearray(WHOLE)
    for place, value in changes:
        data[place] = value
    try:
        tensors = read_state_dict("a.pth", bytes(data))
    except InputError:
        return
    assert sum(tensor.nbytes for tensor in tensors.values()) <= len(ARRAYS) * len(data)


@given(st.binary(max_size=300))
def test_any_bytes_for_a_state_dict_are_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        read_state_dict("a.pth", torch_file(data))


class _Runs:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch ran",)


def _call(arguments: bytes) -> bytes:
    """A pickle that calls ``_rebuild_tensor_v2`` with a tuple."""
    return b"\x80\x02}X\x01\x00\x00\x00xctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"Rs."


def _storage(count: int) -> bytes:
    key = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x001X\x03\x00\x00\x00cpu"
    return key + pickle.dumps(count, 2)[2:-1] + b"NtQ"


def _tensor(storage: bytes, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> bytes:
    parts = b"".join(pickle.dumps(value, 0 + 2)[2:-1].replace(b"q\x00", b"") for value in (offset, shape, strides))
    return _call(b"(" + storage + parts + b"\x89Nt")


HOSTILE = {
    "a call of the system": (pickle.dumps({"x": _Runs()}, 2), "no state dict needs"),
    "a newer protocol": (pickle.dumps({"x": _Runs()}, 4), "opcode"),
    "a builtin": (b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85R.", "builtins.eval"),
    "an object's class": (b"\x80\x02(cos\nsystem\no.", "os.system"),
    "a storage that is called": (b"\x80\x02ctorch\nFloatStorage\n)R.", "calls something else"),
    "an ordered dict of pairs": (b"\x80\x02ccollections\nOrderedDict\n]\x85R.", "calls something else"),
    "an extension": (b"\x80\x02\x82\x01.", "EXT1"),
    "a number for a tensor": (pickle.dumps({"x": 1}, 2), "something else than tensors"),
    "no dict": (pickle.dumps([1], 2), "something else than tensors"),
    "keys that are no strings": (pickle.dumps({1: 1}, 2), "no string"),
    "a value that is not there": (b"\x80\x02h\x07.", "refers to a value"),
    "an empty stack": (b"\x80\x02.", "not there"),
    "a mark as value": (b"\x80\x02(.", "not there"),
    "no mark": (b"\x80\x02}u.", "no beginning"),
    "something left": (b"\x80\x02NN.", "leaves values"),
    "a storage beyond all bounds": (_tensor(_storage(10**30), 0, (1,), (1,)), "description"),
    "a negative storage": (_tensor(_storage(-4), 0, (1,), (1,)), "description"),
    "a tensor beyond its storage": (_tensor(_storage(4), 2, (3,), (1,)), "beyond its storage"),
    "a negative offset": (_tensor(_storage(4), -1, (3,), (1,)), "description"),
    "one element many times": (_tensor(_storage(1), 0, (10**6, 10**6), (0, 0)), "without gaps"),
    "every other element": (_tensor(_storage(8), 0, (4,), (2,)), "without gaps"),
    "too few strides": (_tensor(_storage(8), 0, (2, 2), (1,)), "strides"),
    "too many dimensions": (_tensor(_storage(1), 0, (1,) * 9, (1,) * 9), "description"),
    "truth for a length": (_tensor(_storage(1), 0, (True,), (1,)), "description"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_are_refused_and_nothing_runs(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    state, words = HOSTILE[case]
    with pytest.raises(InputError, match=words):
        read_state_dict("a.pth", torch_file(state))
    assert not list(tmp_path.iterdir())


def test_what_the_tests_call_a_system_call_is_one() -> None:
    assert any(
        op.name == "GLOBAL" and "system" in arg for op, arg, _ in pickletools.genops(HOSTILE["a call of the system"][0])
    )


@pytest.mark.parametrize("ends", [b"s.", b"\x85h\x01s.", b"."])
def test_a_value_that_holds_itself_twice_a_hundred_times_over_costs_nothing(ends: bytes) -> None:
    doubled = b"X\x01\x00\x00\x00x" + b"q\x00h\x00\x86" * 100
    with pytest.raises(InputError):
        read_state_dict("a.pth", torch_file(b"\x80\x02}q\x01" + doubled + doubled + ends))


def test_a_storage_is_described_in_one_way() -> None:
    with pytest.raises(InputError, match="in two ways"):
        read_state_dict("a.pth", torch_file(b"\x80\x02" + _storage(4) + _storage(5) + b"."))


@pytest.mark.parametrize("change", [1, -1, 10**6])
def test_a_storage_of_another_size_than_the_file_holds_is_refused(change: int) -> None:
    storage = Storage(object, "1", np.zeros(8, np.float32))
    state = _tensor(_storage(8 + change), 0, (1,), (1,))
    with pytest.raises(InputError, match="ends before|number of elements|behind the last"):
        read_state_dict("a.pth", torch_file(state, [storage]))


def test_limits_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TENSORS", 4)
    with pytest.raises(InputError, match="at most 4"):
        read_state_dict("a.pth", WHOLE)
    monkeypatch.setattr(module, "MAX_BYTES", 100)
    with pytest.raises(InputError, match="at most 100 bytes"):
        read_state_dict("a.pth", WHOLE)


def test_a_long_pickle_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PICKLE_BYTES", 200)
    with pytest.raises(InputError, match="cut off|no end"):
        read_state_dict("a.pth", WHOLE)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PK\x03\x04" + bytes(100), "zip form"),
        (WHOLE + b"\0", "behind the last storage"),
        (pickle.dumps(1, 2) + WHOLE, "magic number"),
        (WHOLE.replace(pickle.dumps(1001, 2), pickle.dumps(1002, 2), 1), "version"),
        (WHOLE.replace(b"little_endian", b"little_indian", 1), "little-endian"),
        (torch_bytes({"x": np.zeros(3)}), "DoubleStorage"),
    ],
)
def test_other_forms_are_named(data: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_state_dict("a.pth", data)
