"""A release: one version of a package on an index, with its files."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of a release. `yanked` is the reason, or None if it is not yanked.

    `uploaded_at` is UTC or unknown; where it is unknown, `seen_at` is when we first saw the file. `moved` says that it
    is another file than the one that stood there first, and how; empty if it is not.
    """

    filename: str
    url: str
    hashes: Mapping[str, str] = field(default_factory=dict)
    size: int | None = None
    requires_python: str = ""
    uploaded_at: datetime | None = None
    seen_at: datetime | None = None
    yanked: str | None = None
    moved: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One version of one package, as its index has it. `version` is in the normal form of its ecosystem's scheme.

    `needs` are constraints on the place that runs it, by name (`php`), where its ecosystem has such.
    """

    package: str
    version: str
    files: tuple[File, ...] = ()
    needs: Mapping[str, str] = field(default_factory=dict)

    @property
    def released_at(self) -> datetime | None:
        """When the first file appeared (UTC), or None where the index does not tell."""
        return min((file.uploaded_at for file in self.files if file.uploaded_at), default=None)

    @property
    def yanked(self) -> str | None:
        """The reason if every file is yanked (PEP 592), else None."""
        reasons = [file.yanked for file in self.files]
        if not reasons or any(reason is None for reason in reasons):
            return None
        return next((reason for reason in reasons if reason), "no reason given")

    @property
    def moved(self) -> str:
        """That it is not what it was when it was first seen, and how; empty if it is."""
        return next((file.moved for file in self.files if file.moved), "")

    def foreign(self, hashes: Iterable[str]) -> tuple[str, ...]:
        """Those of a lock's hashes that no file of the release has: what has them comes from somewhere else.

        Nothing can be said of a kind of hash that the index does not give for each of its files.
        """
        given: dict[str, set[str]] = {}
        for one in hashes:
            kind, _, value = one.partition(":")
            given.setdefault(kind, set()).add(value)
        found: list[str] = []
        for kind, values in given.items():
            known = {file.hashes.get(kind, "") for file in self.files}
            # Composer has a reference for the archive and one for the sources, and the index tells one of them.
            if known and "" not in known and not (kind == "ref" and values & known):
                found += [f"{kind}:{value}" for value in sorted(values - known)]
        return tuple(found)
