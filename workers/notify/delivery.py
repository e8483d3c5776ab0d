"""One HTTP request that tells somebody something."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Delivery:
    """A POST of `body` to `url`. Once it is taken, the receiver has everything up to the event with id `cursor`."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes
    cursor: int
