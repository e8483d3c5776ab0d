"""A requirement that starts at a version that is in use: what `composer bump` makes of a constraint."""

import re

from watcher.versions.semver.constraint import parse
from watcher.versions.semver.interval import cover, is_subset
from watcher.versions.semver.version import is_branch, normalize

_MAJOR = re.compile(r"([1-9][0-9]*|0\.\d+).*", re.ASCII)
_ZEROS = re.compile(r"(?:\.(?:0|9999999))+(-dev)?$")
_NUMBERS = re.compile(r"\d+(?:\.\d+)*", re.ASCII)


def bumped(constraint: str, version: str) -> str:
    """`constraint` with the lower bounds that have the major version of `version` raised to it.

    It comes back as it is where there is nothing to raise: for branches, versions that are not stable, exact versions,
    and ranges that the version is outside of. A `NotComposer` for what is no constraint or no version.
    """
    before, normal = parse(constraint), normalize(version)
    if constraint.startswith("dev-") or is_branch(normal) or cover(before).branches.names:
        return constraint
    short = _ZEROS.sub("", normal)
    if not _NUMBERS.fullmatch(short):
        return constraint
    raised = _raisable(_MAJOR.sub(r"\1", normal)).sub(lambda found: _raised(found[0], short), constraint)
    after = parse(raised)
    return constraint if is_subset(before, after) and is_subset(after, before) else raised


def _raisable(major: str) -> re.Pattern[str]:
    """The ranges that may be raised. Of those that name a major version, only the ones with the version's."""
    its = rf"v?{re.escape(major)}"
    ranges = rf"\^{its}(?:\.\d+)*|~{its}(?:\.\d+){{1,3}}|{its}(?:\.[*x])+|>=v?\d(?:\.\d+)*|\*"
    return re.compile(rf"(?:(?<=[, |])|^)(?:{ranges})(?=[, |@]|$)", re.ASCII)


def _raised(found: str, short: str) -> str:
    """One range, from a version without its last zeros on; what is written with three numbers stays so."""
    dots = found.count(".")
    suffix = ".0" if dots == 2 and short.count(".") == 1 else ""
    if found.startswith("~") and dots > 1:
        numbers = [*short.split("."), *["0"] * dots]
        return "~" + ".".join(numbers[: dots + 1])
    if found == "*" or found.startswith(">="):
        return f">={short}{suffix}"
    return f"^{short}{suffix}"
