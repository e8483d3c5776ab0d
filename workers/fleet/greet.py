"""The first words with an engine: which version of its API is spoken, and over what kind of connection.

Nothing is taken from our own environment or from `~/.docker`: no context, no proxy, no certificate bundle.
"""

import contextlib
import socket
import ssl
from typing import Any
from urllib.parse import urlsplit

from docker import APIClient
from docker.constants import DEFAULT_DOCKER_API_VERSION, MINIMUM_DOCKER_API_VERSION
from docker.tls import TLSConfig
from requests.adapters import HTTPAdapter
from requests.exceptions import ConnectionError as BrokeOff
from urllib3.connection import HTTPConnection

from watcher.fleet import TlsSettings
from workers.fleet.host import HostRefused

GREETING = 5.0
"""Seconds that an engine has to say its version. A host that is away is noticed in this time."""
DEAD = 30
"""Seconds after which a TCP connection over which nothing comes back, not even by the kernel, is dead. So a wait for an
answer may be as long as the answer takes."""
_ALIVE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, DEAD // 3),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, DEAD // 6),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD * 1000),
]


def greet(host: str, address: str, tls: TlsSettings | None, answer: float) -> APIClient:
    """A client that speaks to the engine at `address` in the newest version that both know, and waits `answer` seconds
    for its answers. Raises what the library raises, or a `HostRefused` if no engine is there."""
    if address.startswith("unix://"):
        # The library leaves the socket of a failed attempt open; this one is closed.
        with socket.socket(socket.AF_UNIX) as first:
            first.settimeout(GREETING)
            first.connect(address.removeprefix("unix://"))
    try:
        with contextlib.closing(_client(address, tls, MINIMUM_DOCKER_API_VERSION, GREETING)) as stranger:
            spoken = stranger.version(api_version=False)
    except BrokeOff as error:
        raise _alert(address, tls) or error from None
    if "ApiVersion" not in spoken:
        raise HostRefused(host, f"{address} is no Docker engine", "check the host's `address`")
    oldest = spoken.get("MinAPIVersion") or MINIMUM_DOCKER_API_VERSION
    return _client(address, tls, common_version(oldest, spoken["ApiVersion"]), answer)


def common_version(oldest: str, newest: str) -> str:
    """The API version to speak with an engine that knows these two and all between: the newest that we know, too.

    One that is so new that it has forgotten all of ours is spoken to in the oldest that it knows.
    """
    ours: str = DEFAULT_DOCKER_API_VERSION
    return max(oldest, min(newest, ours, key=_number), key=_number)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _client(address: str, tls: TlsSettings | None, version: str, timeout: float) -> APIClient:
    config: TLSConfig | bool = False
    if tls is not None:
        config = TLSConfig((tls.cert, tls.key), tls.ca, verify=True)
    client = APIClient(address, version=version, timeout=timeout, tls=config)
    # Or else REQUESTS_CA_BUNDLE decides which certificates are good, and HTTP_PROXY which way to go.
    client.trust_env = False
    for scheme in ("http://", "https://"):
        client.mount(scheme, _Alive())
    return client


class _Alive(HTTPAdapter):
    """Connections by TCP that notice when there is nobody any more."""

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        super().init_poolmanager(*args, **more, socket_options=[*HTTPConnection.default_socket_options, *_ALIVE])


def _alert(address: str, tls: TlsSettings | None) -> OSError | None:
    """What an engine has against our certificate. It says so after the handshake, and whoever has begun to ask by then
    may see no more than that the connection ends."""
    where = urlsplit(address)
    if tls is None:
        return None
    try:
        context = ssl.create_default_context(cafile=tls.ca)
        context.load_cert_chain(tls.cert, tls.key)
        with (
            socket.create_connection((where.hostname or "", where.port or 0), GREETING) as plain,
            context.wrap_socket(plain, server_hostname=where.hostname) as secure,
        ):
            secure.recv(1)
    except ssl.SSLError as error:
        return error
    except OSError:
        pass
    return None
