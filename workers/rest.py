"""How long nobody looks again after a look."""

import time
from collections.abc import Callable
from typing import TypeVar

LONGEST = 2.0

T = TypeVar("T")


def rested(do: Callable[[], T]) -> tuple[T, float]:
    """What `do` returns, and the seconds to rest after it, so that it takes a quarter of the time at most.

    A look at ten thousand hosts takes a good part of a second, and every host that is ready asks for one.
    """
    began = time.monotonic()
    result = do()
    return result, min(3 * (time.monotonic() - began), LONGEST)
