"""Values that stay packed until somebody looks: a thousand lookups are read, and of few of them the releases."""

import zlib
from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar, overload

from pydantic import TypeAdapter

T = TypeVar("T")


class Packed(Sequence[T], Generic[T]):
    """A sequence of dataclasses of one kind, made of what `pack` made. Equal to every sequence with the same values."""

    __slots__ = ("_kind", "_values", "data")

    def __init__(self, kind: type[T], data: bytes) -> None:
        self._kind, self.data = kind, data
        self._values: tuple[T, ...] | None = None

    def _unpacked(self) -> tuple[T, ...]:
        if self._values is None:
            self._values = tuple(_adapter(self._kind).validate_json(zlib.decompress(self.data)))
        return self._values

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[T]: ...
    def __getitem__(self, place: int | slice) -> T | Sequence[T]:
        return self._unpacked()[place]

    def __len__(self) -> int:
        return len(self._unpacked()) if self.data else 0

    def __iter__(self) -> Iterator[T]:
        return iter(self._unpacked())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Packed) and self.data == other.data:
            return True
        return isinstance(other, Sequence) and self._unpacked() == tuple(other)

    def __hash__(self) -> int:
        return hash(self._unpacked())

    def __repr__(self) -> str:
        return repr(self._unpacked())


def pack(kind: type[T], values: Sequence[T]) -> bytes:
    """The values as bytes; those that never were unpacked stay as they are."""
    if isinstance(values, Packed):
        return values.data
    return zlib.compress(_adapter(kind).dump_json(tuple(values)), 1)


_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {}


def _adapter(kind: type[T]) -> TypeAdapter[tuple[T, ...]]:
    """Made when it is first needed: that takes longer than to use it."""
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(tuple[kind, ...])  # type: ignore[valid-type]
    return _ADAPTERS[kind]
