"""What can go wrong with a forge, told from its answers."""

import re
import time
from collections.abc import Collection, Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from pydantic import ValidationError

from watcher.errors import Refused, Temporary, ToplayerError
from watcher.inert import inert

NO_WORD = 60.0
"""Seconds to leave a forge alone that limits us and does not say for how long (GitHub: "at least one minute")."""
NONSENSE = (ValueError, TypeError, KeyError, AttributeError, AssertionError, RuntimeError)
"""What the libraries raise of their own when an answer is none: they read before they check."""


class ForgeUnreachable(Temporary):
    """The forge did not answer, or said that it cannot now, or that it wants to be left alone for a while."""

    def __init__(self, where: str, why: str, retry_after: float | None = None) -> None:
        self.where, self.why, self.retry_after = where, why, retry_after
        super().__init__(where, why, retry_after)

    def __str__(self) -> str:
        return f"{self.where} cannot now: {self.why}"


class ForgeLied(Temporary):
    """The forge answered with something that is not an answer. Temporary: it is the forge that has to mend it."""

    def __init__(self, where: str, place: str, expected: str, got: str) -> None:
        self.where, self.place, self.expected, self.got = where, place, expected, got
        super().__init__(where, place, expected, got)

    def __str__(self) -> str:
        return f"{self.where}: {self.place}: expected {self.expected}, got {self.got}"


class ForgeRefused(Refused):
    """The forge says no: to who we are, to what we may do, or to what we ask for."""

    def __init__(self, where: str, why: str, hint: str = "") -> None:
        self.where, self.why, self.hint = where, why, hint
        super().__init__(where, why, hint)

    def __str__(self) -> str:
        return f"{self.where}: {self.why}"


class NotThere(ForgeRefused):
    """The forge knows nothing at this address: the project, or what was looked for in it."""


class BranchBehind(ForgeRefused):
    """The forge merges only what stands on the tip of the branch, and this does not any more."""


_MOVED = "check apps.*.forge.url and apps.*.forge.project: what they name may be called otherwise by now"
_HINTS = {
    **dict.fromkeys((301, 302, 303, 307, 308), _MOVED),
    401: "check the token in apps.*.forge: it may have run out",
    403: "the token in apps.*.forge may not do that; docs/proposals.md says what it needs",
    404: "check apps.*.forge.project, and that the token may see the project",
}
_BEHIND = re.compile(r"behind the base branch|head branch (is|was) (out of date|not up to date)", re.IGNORECASE)
_LIMITED = re.compile(r"rate.?limit", re.IGNORECASE)
_FAILED = re.compile(r"^something went wrong while executing your query", re.IGNORECASE)
_NOT_NOW = (408, 425, 429)


def told(where: str, status: int, why: str, headers: Mapping[str, str], secrets: Collection[str] = ()) -> ToplayerError:
    """The error that an answer is. `headers` are in any case; `why` is the forge's word for it, if it has one.

    GitHub tells its limits with 403 or 429, by `retry-after` or by `x-ratelimit-reset`, and by GraphQL with 200 and
    words (which come here as 400, as does its "something went wrong"); the others with 429. What is there already was
    made by somebody who was faster: the next look finds it.
    """
    for secret in filter(None, secrets):
        why = why.replace(secret, "***")
    said = inert(" ".join(why.split()), 400)
    fields = {name.lower(): value for name, value in headers.items()}
    wait = _wait(fields)
    limited = status == 429 or (status == 403 and wait is not None)
    limited = limited or (status in (400, 403) and _LIMITED.search(said) is not None)
    if limited:
        wait = NO_WORD if wait is None else wait
    if status in (409, 422) and "already exists" in said:
        return ForgeUnreachable(where, f"somebody else was faster: {said}")
    if limited or status >= 500 or status in _NOT_NOW or _FAILED.search(said):
        return ForgeUnreachable(where, f"it says {status}{f': {said}' if said else ''}", wait)
    kind = BranchBehind if _BEHIND.search(said) else NotThere if status in (404, 410) else ForgeRefused
    return kind(where, f"it says {status}{f': {said}' if said else ''}", _HINTS.get(status, ""))


def stay(where: str, home: str, target: str) -> None:
    """Raises a `ForgeRefused` if `target` is not on the server `home`: our token, and our trust, is for that one."""
    if _server(target) != _server(home):
        raise ForgeRefused(where, f"it sends us to {inert(target, 200)}", _MOVED)


def _server(url: str) -> tuple[str, bytes, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
        return parts.scheme, (parts.hostname or "").encode("idna"), port
    except ValueError:
        return "", b"", None


def unreadable(where: str, error: ValidationError) -> ForgeLied:
    """The error that an answer of another shape than expected is."""
    fault = error.errors(include_url=False)[0]
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in fault["loc"]).lstrip(".")
    return ForgeLied(where, place or "answer", inert(fault["msg"], 200), inert(repr(fault["input"]), 80))


def _wait(headers: Mapping[str, str]) -> float | None:
    """Seconds that the forge asks us to wait, by its own clock."""
    asked = headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdigit():
        return float(asked[:9])
    now = _date(headers.get("date", "")) or time.time()
    if asked and (until := _date(asked)):
        return max(until - now, 0.0)
    for prefix in ("x-ratelimit", "ratelimit"):
        reset = headers.get(f"{prefix}-reset", "")
        if headers.get(f"{prefix}-remaining") == "0" and reset.isascii() and reset.isdigit():
            return max(float(reset[:12]) - now, 0.0)
    return None


def _date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
