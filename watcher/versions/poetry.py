"""Poetry's spelling of constraints: https://python-poetry.org/docs/dependency-specification/#version-constraints."""

import re

from watcher.versions.pep440 import specifiers

_PART = re.compile(r"(\^|~(?!=)|)\s*v?(\d+(?:\.\d+)*)((?:\.\*)?)((?:(?:a|b|rc|\.?post|\.?dev)\d+)*)")


def allows(constraint: str, version: str) -> bool:
    """Whether a constraint in Poetry's spelling, alternatives and all, lets the version in.

    A `ValueError` if it is no constraint.
    """
    return any(specifiers(_meant(one)).contains(version, prereleases=True) for one in re.split(r"\|\|?", constraint))


def _meant(text: str) -> str:
    said = specifier(text)
    if not said and text.strip() != "*":
        raise ValueError(f"expected a constraint, got {text!r}")
    return said


def specifier(text: str) -> str:
    """A constraint in Poetry's spelling (`^1.2`, `~1.2`, `1.2`, `1.*`) as PEP 440 has it.

    Empty for one that has no such spelling (`^1 || ^2`): Poetry judges it itself.
    """
    parts = [part.strip() for part in text.split(",")]
    try:
        return "" if text.strip() == "*" else str(specifiers(",".join(map(_part, parts))))
    except ValueError:
        return ""


def _part(text: str) -> str:
    match = _PART.fullmatch(text)
    if match is None:
        return text
    sign, numbers, wild, _ = match.groups()
    if wild or not sign:
        return f"=={text}"
    release = [int(number) for number in numbers.split(".")]
    # Of a caret, the first number that is not zero stays; of a tilde, the second one, if there is one.
    kept = next((n for n, number in enumerate(release) if number), len(release) - 1) if sign == "^" else 1
    kept = min(kept, len(release) - 1)
    upper = [*release[:kept], release[kept] + 1]
    return f">={text.lstrip('^~ ')},<{'.'.join(map(str, upper))}"
