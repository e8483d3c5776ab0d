"""What an engine's answers mean, in the only words that count: who must act, and what to do next. Pure."""

import ssl

import requests
import urllib3
from docker.errors import TLSParameterError

from workers.fleet.host import HostBusy, HostRefused, HostUnreachable

_LONGEST = 500

_HINTS = {
    "port is already allocated": "another container on the host has the port: free it, or change `run.ports`",
    "address already in use": "another program on the host has the port: free it, or change `run.ports`",
    "no space left on device": "free disk space on the host; `docker system df` shows what the engine holds",
    "disk quota exceeded": "free disk space on the host; `docker system df` shows what the engine holds",
    "executable file not found": "check `run.command`, or the image's own command",
    "exec format error": "the image is for another platform than the host's: check `image.platform`",
    "permission denied: unknown": "the command is not executable in the image: check `run.command`",
    "no such image": "the image was removed from the host while it was swapped in; `toplayer deploy` fetches it again",
    "invalid container name": "give the app a name of at least two letters",
    "invalid reference format": "give the app a name without two dots or dashes in a row",
    "client sent an http request to an https server": "the engine speaks TLS: name its certificates under `tls`",
}

_CAME_BETWEEN = (
    "no such container",
    "no such exec",
    "same name as its current name",
    "marked for removal",
    "update out of sequence",
)

_NOT_TRUSTED = (ssl.SSLError, requests.exceptions.SSLError, urllib3.exceptions.SSLError, TLSParameterError)
_BROKE_OFF = (TimeoutError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
"""A connection that ended, and that TLS happened to be spoken over."""

_SWARM = "name one of the swarm's managers, or make it one: docker swarm init"
NO_NETWORK = "create the network on the host, or change `run.network`"

_PULL_REFUSED = {
    "unauthorized": "check the user and password of the registry in the settings, and that they may pull",
    "denied": "check the user and password of the registry in the settings, and that they may pull",
    "no basic auth credentials": "name the user and password of the registry in the settings",
    "manifest unknown": "the image is no longer in the registry: `toplayer build` publishes it again",
    "manifest for": "the image is no longer in the registry: `toplayer build` publishes it again",
    "unknown blob": "the registry lost a part of the image: remove the image there and build it again",
    "blob unknown": "the registry lost a part of the image: remove the image there and build it again",
    # In the words of the containerd store: a part of an image, and all of it.
    "could not fetch content": "the registry lost a part of the image: remove the image there and build it again",
    ": not found": "the image is no longer in the registry: `toplayer build` publishes it again",
    "unsupported media type": "the engine is too old for this image's layers",
    "does not match": "the registry sends other bytes than it should: find out why before anything else",
    "verification failed": "the registry sends other bytes than it should: find out why before anything else",
    "unexpected commit digest": "the registry sends other bytes than it should: find out why before anything else",
    "failed size validation": "the registry sends other bytes than it should: find out why before anything else",
    "server gave http response to https client": (
        "the registry has no TLS: list it under `insecure-registries` of the engine"
    ),
    "x509": "give the host the certificate of the registry's authority (/etc/docker/certs.d)",
    "certificate": "give the host the certificate of the registry's authority (/etc/docker/certs.d)",
    "no space left on device": _HINTS["no space left on device"],
    "disk quota exceeded": _HINTS["disk quota exceeded"],
    "max depth exceeded": "the image has more layers than an engine can stack",
}

_ITS_OWN = "content digest sha256:"
"""What an engine's own store says: it threw away what it had of a pull that failed, while the next one looked at it."""
_SHORT = ("unexpected eof", "416 requested range not satisfiable")


class CutShort(HostBusy):
    """An answer of the registry ended before the blob did: the link was cut, or the blob is shorter than it should be.

    The containerd store has the same words for both.
    """


def answered(host: str, status: int, said: str) -> HostBusy | HostRefused:
    """The error that an HTTP status from 400 on stands for."""
    low = said.lower()
    if status == requests.codes.not_found and "network" in low:
        return HostRefused(host, _short(said), NO_NETWORK)
    if "not a swarm manager" in low:
        return HostRefused(host, "its engine is no manager of a swarm", _SWARM)
    if status in (requests.codes.conflict, 502, 503, 504) or any(sign in low for sign in _CAME_BETWEEN):
        # Names, and containers that come and go: somebody else is at work on the host, or its engine is stopping.
        return HostBusy(host, _short(said))
    return HostRefused(host, _short(said), _hint(_HINTS, low))


def pull_failed(host: str, repository: str, said: str) -> HostBusy | HostRefused:
    """The error that the engine's pull ended with. What is not known to need a person is tried again."""
    why, low = f"cannot pull from {repository}: {_short(said)}", said.lower()
    if any(sign in low for sign in _SHORT):
        return CutShort(host, why)
    hint = _hint(_PULL_REFUSED, low) if _ITS_OWN not in low else ""
    return HostRefused(host, why, hint) if hint else HostBusy(host, why)


def not_answered(host: str, error: BaseException) -> HostUnreachable | HostRefused:
    """The error of a connection that came to nothing."""
    chain = list(_chain(error))
    words = _short(str(chain[-1].strerror if isinstance(chain[-1], OSError) and chain[-1].strerror else chain[-1]))
    if any(isinstance(link, PermissionError) for link in chain):
        hint = "the user that toplayer runs as needs access to the engine's socket: add it to the group `docker`"
        return HostRefused(host, words, hint)
    # By their types: the address stands in the texts, and a host may be called `ssl`.
    if any(isinstance(link, _NOT_TRUSTED) for link in chain) and not isinstance(chain[-1], _BROKE_OFF):
        return HostRefused(host, words, "check the files under `tls` (ca, cert, key) and the name in the address")
    return HostUnreachable(host, words)


def _chain(error: BaseException | None) -> list[BaseException]:
    """The error, and what it came from, the root last. Libraries put the cause into the arguments, too."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        inner = [arg for arg in (*error.args, getattr(error, "reason", None)) if isinstance(arg, BaseException)]
        around = None if error.__suppress_context__ else error.__context__
        error = inner[0] if inner else error.__cause__ or around
    return seen


def _hint(table: dict[str, str], said: str) -> str:
    return next((hint for sign, hint in table.items() if sign in said), "")


def _short(said: str) -> str:
    text = " ".join(said.split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
