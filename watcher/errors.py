"""Errors answer one question: who must act?

`Temporary`: nobody; the same step, tried later, can succeed. `Refused`: a human; it fails again until somebody changes
something. Every error keeps its facts as arguments and speaks in `__str__`, so it survives a queue that rebuilds it
from `args`. `hint` says what to do next, or is empty.
"""

from collections.abc import Sequence


class ToplayerError(Exception):
    """The root of every error that toplayer raises on purpose."""

    hint: str = ""

    @property
    def advice(self) -> str:
        """What it says, and what to do next."""
        return f"{self} ({self.hint})" if self.hint else str(self)


class Temporary(ToplayerError):
    """Nobody has to act: the look tries again later."""

    retry_after: float | None = None
    """Seconds that the other side asked us to wait, if it said so."""


class Refused(ToplayerError):
    """A human has to act: trying again changes nothing."""


class Unfit(Refused):
    """What was to come in cannot, as things are: nothing is wrong on the way there. It fails again until something else
    is in the lock, on an index or in the policy.
    """


class Overtaken(Temporary):
    """Somebody else changed the entry between our reading and our writing."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(what)

    def __str__(self) -> str:
        return f"{self.what} was changed by somebody else in the meantime"


class LedgerUnreachable(Temporary):
    """The ledger's database does not answer, or is locked for too long."""

    def __init__(self, where: str, why: str) -> None:
        self.where, self.why = where, why
        super().__init__(where, why)

    def __str__(self) -> str:
        return f"the ledger at {self.where} does not answer: {self.why}"


class LedgerRefused(Refused):
    """The ledger's database cannot be used as it is: wrong version, no permission, disk full."""

    def __init__(self, where: str, why: str, hint: str = "") -> None:
        self.where, self.why, self.hint = where, why, hint
        super().__init__(where, why, hint)

    def __str__(self) -> str:
        return f"the ledger at {self.where} cannot be used: {self.why}"


class SettingsRefused(Refused):
    """The configuration has faults; all of them are here, each with its path in the file."""

    hint = "config/toplayer.example.toml shows every setting; `toplayer init` writes a fresh copy"

    def __init__(self, path: str, faults: Sequence[str]) -> None:
        self.path, self.faults = path, tuple(faults)
        super().__init__(path, self.faults)

    def __str__(self) -> str:
        if len(self.faults) == 1:
            return f"{self.path}: {self.faults[0]}"
        return "\n".join([f"{self.path} has {len(self.faults)} faults:", *(f"  {fault}" for fault in self.faults)])


class LockfileUnreadable(Refused):
    """A lockfile is not what its name says."""

    def __init__(self, path: str, where: str, expected: str, got: str) -> None:
        self.path, self.where, self.expected, self.got = path, where, expected, got
        super().__init__(path, where, expected, got)

    def __str__(self) -> str:
        place = f"{self.path}: {self.where}" if self.where else self.path
        return f"{place}: expected {self.expected}, got {self.got}"


class IndexUnreachable(Temporary):
    """An index did not answer, or answered that it cannot now: the state of the package is *unknown*."""

    def __init__(self, url: str, why: str, retry_after: float | None = None) -> None:
        self.url, self.why, self.retry_after = url, why, retry_after
        super().__init__(url, why, retry_after)

    def __str__(self) -> str:
        return f"{self.url} did not answer: {self.why}"


class IndexLied(Temporary):
    """An index answered with something that is not an answer. Temporary: it is the index that has to mend it."""

    def __init__(self, url: str, where: str, expected: str, got: str) -> None:
        self.url, self.where, self.expected, self.got = url, where, expected, got
        super().__init__(url, where, expected, got)

    def __str__(self) -> str:
        return f"{self.url}: {self.where}: expected {self.expected}, got {self.got}"


class IndexRefused(Refused):
    """An index will not let us in, or our key to it is missing."""

    hint = "see `username` and `password` of this index in the configuration"

    def __init__(self, url: str, why: str) -> None:
        self.url, self.why = url, why
        super().__init__(url, why)

    def __str__(self) -> str:
        return f"{self.url} does not let us in: {self.why}"


class NotFound(Refused):
    """The person asked about something that is not there."""

    def __init__(self, what: str, name: str, known: Sequence[str] = (), otherwise: str = "") -> None:
        self.what, self.name, self.known, self.otherwise = what, name, tuple(known), otherwise
        super().__init__(what, name, self.known, otherwise)

    def __str__(self) -> str:
        return f"there is no {self.what} `{self.name}`"

    @property
    def hint(self) -> str:  # type: ignore[override]
        known = f"known: {', '.join(self.known)}" if self.known else ""
        return "; ".join(filter(None, (known, self.otherwise)))
