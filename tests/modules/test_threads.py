"""The number of BLAS threads within and after a search."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController, threadpool_info, threadpool_limits

from modules.threads import one_blas_thread


def blas_threads() -> set[int]:
    np.ones((4, 4)) @ np.ones((4, 4))
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def three():
    """Three BLAS threads, which any thread may change."""
    before = threadpool_limits(3, user_api="blas")
    let_go()
    assert blas_threads() == {3}
    yield
    let_go()
    before.restore_original_limits()
    let_go()


def let_go() -> None:
    for library in ThreadpoolController().select(internal_api="openblas").lib_controllers:
        library.clear_controlling_thread(force=True)


def test_one_within_and_as_before_afterwards():
    with one_blas_thread():
        assert blas_threads() == {1}
        with one_blas_thread():
            assert blas_threads() == {1}
        assert blas_threads() == {1}
    assert blas_threads() == {3}


def test_an_error_within_sets_it_back():
    with pytest.raises(ZeroDivisionError), one_blas_thread():
        raise ZeroDivisionError
    assert blas_threads() == {3}


def test_the_first_of_several_threads_sets_it_back():
    """Not the last one, which would set it to what it found: one."""
    entered, leave = threading.Barrier(2), threading.Event()
    seen = []

    def other() -> None:
        with one_blas_thread():
            seen.append(blas_threads())
            entered.wait(10)
            assert leave.wait(10)

    thread = threading.Thread(target=other)
    with one_blas_thread():
        thread.start()
        entered.wait(10)
    assert blas_threads() == {3}
    leave.set()
    thread.join(10)
    assert seen == [{1}]
    assert blas_threads() == {3}


def test_another_thread_may_be_the_next():
    def other() -> None:
        with one_blas_thread():
            seen.append(blas_threads())

    seen = []
    for _ in range(3):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(10)
        with one_blas_thread():
            seen.append(blas_threads())
    assert seen == [{1}] * 6
    assert blas_threads() == {3}
