"""One file per version scheme. Versions are compared by their ecosystem's scheme: never as text, never by date."""

from collections.abc import Iterable
from typing import Any, Protocol

from watcher.versions import composer, digest, pep440
from watcher.versions.kind import Kind
from watcher.versions.line import Line


class Scheme(Protocol):
    """How an ecosystem writes and orders versions."""

    def normal(self, version: str) -> str:
        """The one spelling of `version`; a `ValueError` if it is not a version."""
        ...

    def key(self, version: str) -> Any:
        """What to sort by: newer versions have greater keys. A `ValueError` if it is not a version."""
        ...

    def is_newer(self, version: str, than: str) -> bool:
        """Whether a pin that is at `than` would go forward to `version`. A `ValueError` if one is not a version."""
        ...

    def is_prerelease(self, version: str) -> bool:
        """Whether the version says of itself that it is not ready."""
        ...

    def allows(self, constraint: str, version: str) -> bool:
        """Whether `constraint` (empty: anything) admits `version`; a `ValueError` if it is not a constraint."""
        ...

    def kind(self, before: str, after: str) -> Kind:
        """How large the update from one version to the other is; a `ValueError` if one of them is not a version."""
        ...

    def line(self, versions: Iterable[str]) -> Line:
        """Versions in normal form, in their order, for who asks about many stretches of it."""
        ...


SCHEMES: dict[str, Scheme] = {
    "oci": digest.ByDigest(),
    "packagist": composer.Composer(),
    "pypi": pep440.Pep440(),
}
