"""One version: its normal form, how stable it says it is, and its place in the order of versions."""

import re
from functools import lru_cache

_LONGEST = 500
"""No real version comes near it."""

STABILITIES = ("stable", "RC", "beta", "alpha", "dev")
"""From the most stable on, in Composer's spelling."""

FLAG = "stable|RC|beta|alpha|dev"
MODIFIER = r"[._-]?(?:(stable|beta|b|RC|alpha|a|patch|pl|p)((?:[.-]?\d+)*+)?)?([.-]?dev)?"
"""What may follow the numbers, in three groups: a word, its numbers, and `dev`."""

SPACE = " \t\n\r\0\x0b"
"""What PHP's `trim` takes off."""

_FLAGS = re.ASCII | re.IGNORECASE
ALIAS = re.compile(r"([^,\s]++) ++as ++([^,\s]++)", re.ASCII)
_FLAGGED = re.compile(rf"@(?:{FLAG})$", _FLAGS)
_WITH_BUILD = re.compile(r"([^,\s+]++)\+[^\s]++", re.ASCII)
_NUMBERS = re.compile(rf"v?(\d{{1,5}}+)(\.\d++)?(\.\d++)?(\.\d++)?{MODIFIER}", _FLAGS)
_DATE = re.compile(rf"v?(\d{{4}}(?:[.:-]?\d{{2}}){{1,6}}(?:[.:-]?\d{{1,3}}){{0,2}}){MODIFIER}", _FLAGS)
_NOT_A_DIGIT = re.compile(r"\D", re.ASCII)
_DEV_AT_THE_END = re.compile(r"(.*?)[.-]?dev$", _FLAGS)
_BRANCH = re.compile(r"v?(\d++)(\.(?:\d++|[xX*]))?(\.(?:\d++|[xX*]))?(\.(?:\d++|[xX*]))?", _FLAGS)
_NUMBERED = re.compile(r"((?:\d++\.)*\d++)(?:\.x)?-dev", _FLAGS)
_STABILITY = re.compile(rf"{MODIFIER}(?:\+.*)?$", _FLAGS)
_REFERENCE = re.compile(r"#.+$")
_ANY = "9999999"
_LONG_WORDS = {"a": "alpha", "b": "beta", "p": "patch", "pl": "patch", "rc": "RC"}
_STABILITY_OF = {"a": "alpha", "alpha": "alpha", "b": "beta", "beta": "beta", "rc": "RC"}
_DEFAULT_BRANCHES = ("master", "trunk", "default")
_LARGEST = (1 << 63) - 1
"""PHP reads the numbers of a version as 64 bits, and takes this for all that are larger."""


class NotComposer(ValueError):
    """Composer does not take this for a version, or for a constraint."""

    def __init__(self, expected: str, got: str) -> None:
        self.expected, self.got = expected, got
        super().__init__(expected, got)

    def __str__(self) -> str:
        return f"expected {self.expected}, got {self.got[:80]!r}"


# The same versions are read in every round, thousands of them.
@lru_cache(maxsize=65_536)
def normalize(version: str) -> str:
    """The normal form: four numbers and a suffix (`1.2.0.0-beta1`), a date, or a branch (`dev-main`).

    A `NotComposer` for what Composer refuses.
    """
    found = _normalized(version.strip(SPACE)) if len(version) <= _LONGEST else None
    if found is None:
        raise NotComposer("a version that Composer knows", version)
    return found


def _normalized(version: str) -> str | None:
    alias = ALIAS.fullmatch(version)
    if alias:
        version = alias[1]
    version = _FLAGGED.sub("", version, count=1)
    if version in _DEFAULT_BRANCHES:
        return f"dev-{version}"
    if version[:4].lower() == "dev-":
        return f"dev-{version[4:]}"
    build = _WITH_BUILD.fullmatch(version)
    if build:
        version = build[1]
    numbers = _NUMBERS.fullmatch(version)
    if numbers:
        return _with_suffix("".join(numbers[n] or ".0" for n in range(1, 5)), *numbers.groups()[4:])
    date = _DATE.fullmatch(version)
    if date:
        return _with_suffix(_NOT_A_DIGIT.sub(".", date[1]), *date.groups()[1:])
    dev = _DEV_AT_THE_END.search(version)
    branch = normalize_branch(dev[1]) if dev else "dev-"
    return None if branch.startswith("dev-") else branch


def _with_suffix(numbers: str, word: str | None, its: str | None, dev: str | None) -> str:
    if word == "stable":
        return numbers
    if word:
        short = word.lower()
        numbers += f"-{_LONG_WORDS.get(short, short)}{(its or '').lstrip('.-')}"
    return f"{numbers}-dev" if dev else numbers


def normalize_branch(name: str) -> str:
    """The version that a branch is: `1.x` is `1.9999999.9999999.9999999-dev`, any other name is `dev-name`."""
    name = name.strip(SPACE)
    numeric = _BRANCH.fullmatch(name)
    if numeric is None:
        return f"dev-{name}"
    parts = [part if part and part.lstrip(".") not in "xX*" else f".{_ANY}" for part in numeric.groups()]
    return f"{''.join(map(str, parts))}-dev"


def alias_prefix(branch: str) -> str:
    """What the alias of a numbered branch has to begin with: of `1.2.x-dev` only a `1.2.…` may be one. Empty for every
    other branch, which may stand for any numbers."""
    found = _NUMBERED.fullmatch(branch)
    return f"{found[1]}." if found else ""


def stability(version: str) -> str:
    """One of STABILITIES: how stable a version says it is. What says nothing counts as stable, whatever it is."""
    version = _REFERENCE.sub("", version)
    if version.startswith("dev-") or version.endswith("-dev"):
        return "dev"
    found = _STABILITY.search(version)
    if found is None:
        return "stable"
    return "dev" if found[3] else _STABILITY_OF.get((found[1] or "").lower(), "stable")


def is_branch(normal: str) -> bool:
    """Whether a version in normal form is a branch, which has no place among the numbers."""
    return normal.startswith("dev-")


Key = tuple[tuple[int, int], ...]
_FORMS = (("dev", 0), ("alpha", 1), ("a", 1), ("beta", 2), ("b", 2), ("RC", 3), ("rc", 3), ("pl", 5), ("p", 5))
_NUMBER, _OTHER = 4, -1
_END = (_NUMBER, -1)
_PARTS = re.compile(r"[0-9]+|[^0-9.]+")


@lru_cache(maxsize=65_536)
def key(normal: str) -> Key:
    """What to sort versions in normal form by: the order of PHP's `version_compare`.

    Words go below numbers, but for patches: unknown < dev < alpha < beta < RC < the end < a number < patch.
    """
    parts = _PARTS.findall(_SEPARATORS.sub(".", normal))
    return (*((_NUMBER, min(int(part), _LARGEST)) if part.isdigit() else (_form(part), 0) for part in parts), _END)


_SEPARATORS = re.compile(r"[^0-9A-Za-z]+")


def _form(word: str) -> int:
    return next((order for form, order in _FORMS if word.startswith(form)), _OTHER)


def compare_key(normal: str) -> tuple[bool, Key, str]:
    """What to sort all versions in normal form by, branches included.

    Composer puts `dev-master`, `dev-trunk` and `dev-default` at 9999999 and every other branch below all numbers. It
    knows no order among those: ours is by their names, so that every list has one order.
    """
    if not is_branch(normal):
        return True, key(normal), ""
    is_default = normal[4:] in _DEFAULT_BRANCHES
    return is_default, key(f"{_ANY}-dev") if is_default else (), normal
