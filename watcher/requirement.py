"""A project's own requirement that forbids a release: whether it may be raised, and what it says then.

An exact requirement (`1.2.3`, `==1.2.3`) is a pin like one in a lock: it moves with it. Any other one says which
releases the project is ready for, and is only raised if the policy says so.
"""

import re
from collections.abc import Callable
from enum import StrEnum

from packaging.specifiers import Specifier
from packaging.version import Version

from watcher.versions import SCHEMES, composer, poetry


class Raise(StrEnum):
    """What becomes of a requirement that forbids a release.

    `keep`: it stays, and the release stays out. `widen`: it admits the release, and what it admitted before. `bump`: it
    asks for the release at least, as `composer bump` does. Where its form has no room for both (`==1.*`, `~=1.4`),
    widening is bumping.
    """

    KEEP = "keep"
    WIDEN = "widen"
    BUMP = "bump"


def raised(spelling: str, constraint: str, version: str, how: Raise, before: str = "") -> str | None:
    """The constraint that admits `version`: as it is if it does, or what becomes of it. None: it stays and forbids it.

    One that does not admit the version that moves (`before`) is about another one, for another platform, and stays as
    it is. `spelling` is that of an ecosystem, or `poetry`. Order, spaces and precision stay. Raises a `ValueError` if
    it is no constraint.
    """
    allows, change = _SPELLINGS[spelling]
    if allows(constraint, version) or (before and not allows(constraint, before)):
        return constraint
    made = change(constraint, version, how)
    return made if made is not None and allows(made, version) else None


_EXACT = re.compile(
    r"(\s*(?:={1,2}\s*)?v?)\d+(?:\.\d+){0,3}(?:-?(?:alpha|beta|RC|a|b|rc|p|patch)\.?\d*)?(\s*)", re.ASCII
)
_RANGE = re.compile(r"\s*([~^]?v?)(\d+(?:\.\d+)*)((?:\.[*xX])?)\s*", re.ASCII)


def _packagist(constraint: str, version: str, how: Raise) -> str | None:
    exact = _EXACT.fullmatch(constraint)
    if exact:
        return f"{exact[1]}{version}{exact[2]}"
    if how is Raise.KEEP or SCHEMES["packagist"].is_prerelease(version):
        return None
    numbers = [int(number) for number in version.split(".")]
    if how is Raise.WIDEN:
        return _alternative(constraint, numbers, how)
    # Composer raises what has the version's major number already; of another one it knows nothing.
    raised = composer.bumped(constraint, version)
    if composer.satisfies(version, raised):
        return raised
    other = _alternative(constraint, numbers, how)
    return other and composer.bumped(other, version)


def _poetry(constraint: str, version: str, how: Raise) -> str | None:
    exact = _EXACT.fullmatch(constraint)
    if exact:
        return f"{exact[1]}{version}{exact[2]}"
    if not _RANGE.fullmatch(re.split(r"\|\|?", constraint)[-1]):
        return _pypi(constraint, version, how)
    return None if how is Raise.KEEP else _alternative(constraint, [*Version(version).release], how)


def _alternative(constraint: str, numbers: list[int], how: Raise) -> str | None:
    """With the last of its alternatives raised, or with one more; None if that is no caret, tilde or wildcard."""
    last = _RANGE.fullmatch(re.split(r"\|\|?", constraint)[-1])
    if last is None:
        return None
    new = f"{last[1]}{_as_precise(numbers, last[2])}{last[3]}"
    return f"{constraint.rstrip()} || {new}" if how is Raise.WIDEN else new


def _pypi(constraint: str, version: str, how: Raise) -> str | None:
    parts = constraint.split(",")
    exact = all(re.fullmatch(r"\s*={2,3}[^*]*", part) for part in parts)
    return ",".join(_part(part, Version(version), how) for part in parts) if exact or how is not Raise.KEEP else None


def _part(part: str, version: Version, how: Raise) -> str:
    one = Specifier(part.strip())
    number = one.version.removesuffix(".*")
    if one.operator == ">=" and how is Raise.BUMP:
        new = str(version)
    elif one.operator == "!=" or one.contains(version, prereleases=True):
        return part
    elif one.operator == "~=" or one.version.endswith(".*"):
        new = _as_precise([*version.release], number)
    elif one.operator == "<":
        kept = re.sub(r"(\.0)+$", "", number).count(".") + 1
        begin = [*version.release, *[0] * kept][:kept]
        new = _as_precise([*begin[:-1], begin[-1] + 1], number)
    else:
        new = str(version)
    return new.join(part.rsplit(number, 1))


def _as_precise(numbers: list[int], like: str) -> str:
    """As many numbers as `like` has."""
    wanted = like.count(".") + 1
    return ".".join(map(str, [*numbers, *[0] * wanted][:wanted]))


_SPELLINGS: dict[str, tuple[Callable[[str, str], bool], Callable[[str, str, Raise], str | None]]] = {
    "oci": (SCHEMES["oci"].allows, lambda *_: None),  # nobody constrains a digest
    "packagist": (SCHEMES["packagist"].allows, _packagist),
    "pypi": (SCHEMES["pypi"].allows, _pypi),
    "poetry": (poetry.allows, _poetry),
}
