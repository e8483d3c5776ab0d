"""Who we are to a server: basic authentication (RFC 7617), and bearer tokens as registries hand them out.

The token protocol: https://distribution.github.io/distribution/spec/auth/token/
"""

import asyncio
import json
import re
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from urllib.parse import urlencode

from workers.oci.answer import HINT, WireFailed

_FIELD = re.compile(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')

Ask = Callable[[str, Mapping[str, str]], Awaitable[bytes]]
"""Asks a token service at an address, with headers, for the bytes of its answer."""


class Keys:
    """A name and a password, shown only to a server that asks for them."""

    def __init__(self, username: str = "", password: str = "") -> None:
        pair = b64encode(f"{username}:{password}".encode()).decode()
        self._basic = f"Basic {pair}" if username or password else ""
        self._now = ""
        self._one_at_a_time = asyncio.Lock()

    @property
    def pair(self) -> str:
        """Name and password as Docker's configuration has them (base64), or an empty text without any."""
        return self._basic.removeprefix("Basic ")

    def header(self) -> dict[str, str]:
        """What to send along: nothing, until the server has asked."""
        return {"authorization": self._now} if self._now else {}

    async def satisfy(self, challenges: Sequence[str], sent: Mapping[str, str], ask: Ask) -> None:
        """Finds what satisfies a 401 with these `challenges` (WWW-Authenticate) to a request with the headers `sent`.

        A `WireFailed` if nothing does.
        """
        async with self._one_at_a_time:
            before = sent.get("authorization", "")
            if before != self._now:
                return  # another request was asked in the meantime, and has the answer
            offered = [_challenge(text) for text in challenges]
            fields = next((fields for scheme, fields in offered if scheme == "bearer"), None)
            if fields is not None:
                self._now = f"Bearer {await self._token(fields, ask)}"
            elif self._basic and before != self._basic:
                self._now = self._basic
            else:
                said = "it does not accept our name and password" if self._basic else "it wants a name and a password"
                raise WireFailed(said, status=401, hint=HINT)

    async def _token(self, fields: Mapping[str, str], ask: Ask) -> str:
        wanted = [("service", fields["service"])] if "service" in fields else []
        wanted += [("scope", scope) for scope in fields.get("scope", "").split()]
        realm = fields.get("realm", "")
        url = f"{realm}{'&' if '?' in realm else '?'}{urlencode(wanted)}"
        try:
            found = json.loads(await ask(url, {"authorization": self._basic} if self._basic else {}))
            token = found.get("token") or found["access_token"]
        except (ValueError, KeyError, AttributeError, RecursionError) as error:
            raise WireFailed("its token service does not answer with a token") from error
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise WireFailed("its token service answers with something that is no token")
        return token


class Shown(Keys):
    """A key that is in headers of its own, and shown without being asked for."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__()
        self._headers = dict(headers)

    def header(self) -> dict[str, str]:
        """See `Keys`."""
        return self._headers

    async def satisfy(self, challenges: Sequence[str], sent: Mapping[str, str], ask: Ask) -> None:
        """See `Keys`."""
        raise WireFailed("it does not accept our key", status=401, hint=HINT)


def _challenge(text: str) -> tuple[str, dict[str, str]]:
    """The scheme of one challenge, in lower case, and its fields (RFC 9110, section 11.6.1)."""
    scheme, _, rest = text.strip().partition(" ")
    return scheme.lower(), {key.lower(): quoted or bare for key, quoted, bare in _FIELD.findall(rest)}
