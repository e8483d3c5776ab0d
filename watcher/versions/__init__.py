"""One file per version scheme. Versions are compared by their ecosystem's scheme: never as text, never by date."""

from typing import Any, Protocol

from watcher.versions import pep440


class Scheme(Protocol):
    """How an ecosystem writes and orders versions."""

    def normal(self, version: str) -> str:
        """The one spelling of `version`; a `ValueError` if it is not a version."""
        ...

    def key(self, version: str) -> Any:
        """What to sort by: newer versions have greater keys. A `ValueError` if it is not a version."""
        ...

    def is_prerelease(self, version: str) -> bool:
        """Whether the version says of itself that it is not ready."""
        ...

    def allows(self, constraint: str, version: str) -> bool:
        """Whether `constraint` (empty: anything) admits `version`; a `ValueError` if it is not a constraint."""
        ...


SCHEMES: dict[str, Scheme] = {"pypi": pep440.Pep440()}
