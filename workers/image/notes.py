"""What is known of an image's components and not in the image, and how it is written down."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NoReturn

from watcher.inert import inert
from workers.image.component import Component
from workers.image.directories import Directories, Directory
from workers.image.places import Places
from workers.image.plan import Group

_ALWAYS = ("size", "requires", "places")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MOST_DIRECTORIES = 100
LARGEST = 2**50
"""Bytes. Whoever says that something is larger says nothing that could be reckoned with."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found out when a component was made: bytes as they travel, and the rest as in `Brought`.

    All of its files are at or below `places`.
    """

    size: int
    requires: tuple[str, ...] = ()
    places: Places = field(default_factory=dict)
    license: str = ""
    sha256: str = ""
    built_on: str = ""


@dataclass(frozen=True, slots=True)
class Notes:
    """What is known of an image's components and not in the image: facts by their keys, the share that one change
    replaces of those that were patched, by their names, the keys of those that share a layer, by the layer's, and whose
    directories are.
    """

    facts: Mapping[str, Facts] = field(default_factory=dict)
    churn: Mapping[str, float] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    directories: Directories = field(default_factory=Directories)

    @classmethod
    def of(
        cls,
        laid: Sequence[Group],
        components: Sequence[Component],
        facts: Mapping[str, Facts],
        churn: Mapping[str, float],
        directories: Directories,
    ) -> "Notes":
        """What is to be kept beside an image with these layers, of all that is known."""
        keys = {one.key for one in components} | {key for group in laid for key in group.keys}
        return cls(
            {key: facts[key] for key in sorted(keys) if key in facts},
            {one.name: churn[one.name] for one in components if one.name in churn},
            {group.key: group.keys for group in laid if len(group.keys) > 1 or group.since},
            directories,
        )

    @classmethod
    def parse(cls, raw: bytes) -> "Notes":
        """The notes from their JSON; a `ValueError` for anything else."""
        try:
            table = json.loads(raw, parse_constant=_odd)
            return cls(
                {str(key): _facts(row) for key, row in table["facts"].items()},
                {str(name): _share(share) for name, share in table["churn"].items()},
                {str(key): _texts(rows) for key, rows in table["groups"].items()},
                _directories(table.get("directories", {})),
            )
        except (LookupError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"these are no notes of ours: {error}") from error

    def json(self) -> bytes:
        """As they are kept."""
        facts = {key: _told(asdict(one)) for key, one in self.facts.items()}
        table: dict[str, Any] = {"facts": facts, "churn": dict(self.churn), "groups": dict(self.groups)}
        if self.directories.key:
            table["directories"] = {"key": self.directories.key, "odd": dict(self.directories.odd)}
        # In ASCII, where names that are no UTF-8 have a spelling, too.
        return json.dumps(table, sort_keys=True, separators=(",", ":")).encode("ascii")


def _facts(row: Mapping[str, Any]) -> Facts:
    size, where = row["size"], row["places"]
    if not isinstance(size, int) or not 0 <= size <= LARGEST:
        _odd(size)
    # Before places said what a file is, they were a list.
    told = {str(path): str(what) for path, what in where.items()} if isinstance(where, dict) else None
    places = dict.fromkeys(_texts(where), "") if told is None else told
    # These are told since then, too.
    terms, sha256 = inert(str(row.get("license", "")), 200), str(row.get("sha256", ""))
    sha256 = sha256 if _SHA256.fullmatch(sha256) else ""
    return Facts(size, _texts(row["requires"]), places, terms, sha256, str(row.get("built_on", "")))


def _directories(row: Mapping[str, Any]) -> Directories:
    """Not more of them than an image can have places."""
    odd = {str(path): Directory(*map(_number, what)) for path, what in row.get("odd", {}).items()}
    return Directories(str(row.get("key", "")), odd) if len(odd) < _MOST_DIRECTORIES else _odd(len(odd))


def _number(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < 2**32 else _odd(value)


def _told(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if value or key in _ALWAYS}


def _texts(rows: Any) -> tuple[str, ...]:
    return tuple(map(str, rows)) if isinstance(rows, list) else _odd(rows)


def _share(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and 0 <= value <= 1 else _odd(value)


def _odd(value: object) -> NoReturn:
    raise ValueError(f"{value!r:.80} is no value of ours")
