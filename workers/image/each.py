"""Several things at once, and no more of them than the machine has memory for."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
AT_ONCE = 4
"""Layers that are made, or sent, at the same time. Each takes a few megabytes of memory, whatever its size."""


def each(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """`work` of each item, several at once, in the order of the items. The first failure ends what has not begun."""
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="build") as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
