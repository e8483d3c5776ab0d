"""Python's versions, by PEP 440. `packaging` is the reference implementation; this file only gives it our shape."""

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version


class Pep440:
    """The scheme of PyPI."""

    def normal(self, version: str) -> str:
        return str(self.key(version))

    def key(self, version: str) -> Version:
        try:
            return Version(version)
        except InvalidVersion as error:
            raise ValueError(f"expected a PEP 440 version, got {version[:80]!r}") from error

    def is_prerelease(self, version: str) -> bool:
        return self.key(version).is_prerelease

    def allows(self, constraint: str, version: str) -> bool:
        try:
            return SpecifierSet(constraint).contains(self.key(version), prereleases=True)
        except InvalidSpecifier as error:
            raise ValueError(f"expected a PEP 440 specifier, got {constraint[:80]!r}") from error
