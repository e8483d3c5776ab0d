"""What is asked, what is answered, and what it may cost."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """What is asked. Two requests are two, even if they ask the same.

    An `authorization` or `private-token` header travels to the origin of `url` and to no other. Only GET requests are
    redirected. From a public address that leads into no private network, unless `private` lets it; a `guarded` request,
    whose address is a stranger's word, is led into none from the beginning.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    method: str = "GET"
    body: bytes = field(default=b"", repr=False)
    private: bool = False
    guarded: bool = False


@dataclass(frozen=True, slots=True)
class Response:
    """What was answered. `url` is where it came from after redirects; `headers` have lower-case names.

    Every status is an answer but those that mean "not now": 408, 425, 429 and 5xx.
    """

    url: str
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a request may cost; times are seconds, sizes are unpacked bytes.

    `deadline` is from the first attempt to the last byte, whatever happens in between; `stall` ends an attempt in which
    nothing moves. Of many requests, those that have not begun after `all_begun` are left for the next look. `largest`
    leaves room above PyPI's largest page, which has 21 MB. Of answers beyond `large`, one at a time is read and held. A
    server that wants us to wait longer than `patience` is asked again by the next look. `lag` is what several servers
    need until they all have what one of them has announced.
    """

    at_once: int = 10
    deadline: float = 60.0
    stall: float = 15.0
    all_begun: float = 120.0
    largest: int = 40_000_000
    large: int = 4_000_000
    attempts: int = 3
    pause: float = 0.5
    patience: float = 5.0
    lag: float = 3.0
    redirects: int = 5


def basic(username: str, password: str) -> dict[str, str]:
    """The header of HTTP basic authentication (RFC 7617, UTF-8)."""
    return {"authorization": f"Basic {b64encode(f'{username}:{password}'.encode()).decode()}"}
