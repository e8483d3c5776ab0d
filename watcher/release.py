"""A release: one version of a package on an index, with its files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of a release. `yanked` is the reason, or None if it is not yanked.

    `uploaded_at` is UTC or unknown; where it is unknown, `seen_at` is when we first saw the file.
    """

    filename: str
    url: str
    hashes: Mapping[str, str] = field(default_factory=dict)
    size: int | None = None
    requires_python: str = ""
    uploaded_at: datetime | None = None
    seen_at: datetime | None = None
    yanked: str | None = None


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
