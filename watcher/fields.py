"""What settings are made of: the kinds of their values, each of which says what it expected and what it got."""

import re
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w|y)")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_536_000}


def duration(value: object) -> timedelta:
    """`"90s"`, `"15m"`, `"3d"`, or several of them in a row (`"1h30m"`)."""
    if isinstance(value, timedelta):
        return value
    text = value if isinstance(value, str) else ""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f'expected a duration such as "90s", "15m" or "3d", got {value!r}')
    return timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in parts))


def _name(text: str) -> str:
    # What a Docker container, a directory and a part of an image's name may all be called.
    if not re.fullmatch(r"[a-z0-9]+(?:[._-][a-z0-9]+)*", text) or not 2 <= len(text) <= 63:
        expected = (
            "a name of 2 to 63 lower-case letters and digits, with single dots, dashes or underscores between them"
        )
        raise ValueError(f"expected {expected}, got {text[:80]!r}")
    return text


def absolute(text: str) -> str:
    """An absolute path that stays where it says."""
    path = PurePosixPath(text)
    if not path.is_absolute() or ".." in path.parts or "\0" in text:
        raise ValueError(f"expected an absolute path, got {text[:80]!r}")
    return str(path)


def relative(text: str) -> str:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in text:
        raise ValueError(f"expected a path inside the repository, got {text[:80]!r}")
    return str(path)


def without_password(url: str) -> str:
    """An address as it is, if no password stands in it."""
    try:
        password = urlsplit(url).password
    except ValueError as error:
        raise ValueError(f"expected an address, got {url[:80]!r} ({error})") from None
    if password:
        raise ValueError('expected an address without a password; name the secret instead: { env = "NAME" }')
    return url


def _web(url: str) -> str:
    parts = urlsplit(without_password(url))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"expected an http:// or https:// address, got {url[:80]!r}")
    return url


def matching(pattern: str, expected: str) -> AfterValidator:
    """A text that matches all of `pattern`; `expected` says so to people."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"expected {expected}, got {text[:80]!r}")
        return text

    return AfterValidator(check)


def _globs(value: object) -> object:
    """One glob is a list of one."""
    return (value,) if isinstance(value, str) else value


Duration = Annotated[timedelta, BeforeValidator(duration)]
Glob = Annotated[str, matching(r"[A-Za-z0-9*?\[\]!._/-]{1,200}", 'the name of a package, or a glob such as "aws-*"')]
Globs = Annotated[tuple[Glob, ...], BeforeValidator(_globs)]
Name = Annotated[str, AfterValidator(_name)]
Absolute = Annotated[str, AfterValidator(absolute)]
Relative = Annotated[str, AfterValidator(relative)]
Url = Annotated[str, AfterValidator(_web)]
PythonVersion = Annotated[str, matching(r"(3\.\d{1,2}(\.\d{1,3})?)?", 'a Python version such as "3.12"')]
PhpVersion = Annotated[str, matching(r"(\d{1,2}(\.\d{1,3}){1,2})?", 'a PHP version such as "8.2"')]
Branch = Annotated[
    str, matching(r"(?!-|/|.*(\.\.|//|@\{|\.lock$|[/.]$))[^\x00-\x20\x7f~^:?*\[\\]{1,200}", "the name of a branch")
]
Volume = Annotated[
    str, matching(r"[^:\0]+:/[^:\0]*(:ro|:rw)?", '"/host/path:/container/path[:ro]" or "name:/container/path"')
]
Port = Annotated[str, matching(r"((\d+\.){3}\d+:)?\d{1,5}:\d{1,5}(/(tcp|udp))?", '"8080:80" or "127.0.0.1:8080:80"')]

_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


def memory(value: object) -> int:
    """`"256m"`, `"1.5g"`: bytes, by powers of 1024 as engines count them; at least the 6 MB that they ask for."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([kmg]?)b?", value.lower()) if isinstance(value, str) else None
    size = round(float(found[1]) * _UNITS[found[2]]) if found else 0
    if size < 6 * _UNITS["m"]:
        raise ValueError(f'expected an amount of memory such as "256m" or "2g", at least "6m", got {value!r}')
    return size


Memory = Annotated[int, BeforeValidator(memory)]


def rate(value: object) -> int:
    """`"200 kB/s"`, `"1.5 MB/s"`, `"2 Mbit/s"`: bytes in a second, by powers of 1000 as links count them."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kM])(B|bit)/s", value) if isinstance(value, str) else None
    speed = (
        round(float(found[1]) * {"k": 1_000, "M": 1_000_000}[found[2]] / {"B": 1, "bit": 8}[found[3]]) if found else 0
    )
    if speed < 1_000:
        raise ValueError(f'expected a rate such as "200 kB/s" or "2 Mbit/s", at least "1 kB/s", got {value!r}')
    return speed


Rate = Annotated[int, BeforeValidator(rate)]


class Model(BaseModel):
    """No unknown keys, no changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
