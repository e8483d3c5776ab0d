"""Who we are to a forge: the token that the settings name, or one that a GitHub App gets for an hour."""

import threading
from datetime import UTC, datetime, timedelta

from watcher.settings import ForgeSettings
from workers.propose.forges.errors import ForgeRefused

_SPARE = timedelta(minutes=10)
"""A token is not used in its last minutes: what it was taken for may last that long."""

_lock = threading.Lock()
_tokens: dict[tuple[str, str, str], tuple[str, datetime]] = {}


def token_of(settings: ForgeSettings, project: str) -> str:
    """A token that is good for the project now. A `ForgeRefused` if the secret cannot be read, or is no good."""
    where = f"{settings.address}/{project}"
    try:
        if settings.app is None:
            return settings.token.reveal() if settings.token else ""
        key = settings.app.key.reveal()
    except LookupError as error:
        raise ForgeRefused(where, f"its secret cannot be read: {error}", "see apps.*.forge") from None
    mine = _name(settings, project)
    with _lock:
        token, until = _tokens.get(mine, ("", datetime.min.replace(tzinfo=UTC)))
        if until - datetime.now(UTC) < _SPARE:
            from workers.propose.forges.github import app_token

            token, until = _tokens[mine] = app_token(settings, project, settings.app.id, key)
        return token


def forget(settings: ForgeSettings, project: str) -> None:
    """The token of a GitHub App is no good any more, before its hour is over: the next one asked for is a new one."""
    with _lock:
        _tokens.pop(_name(settings, project), None)


def _name(settings: ForgeSettings, project: str) -> tuple[str, str, str]:
    return settings.address, project, settings.app.id if settings.app else ""
