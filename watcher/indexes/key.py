"""How an index is shown that we may come in."""

from collections.abc import Mapping

from watcher.errors import IndexRefused
from watcher.http import basic
from watcher.settings import IndexSettings


def key_of(settings: IndexSettings, url: str) -> Mapping[str, str]:
    """The headers with the key to the index at `url`; none, if there is no key to it.

    The ways are those of Composer's `auth.json`: `http-basic`, `bearer` and `gitlab-token`. An `IndexRefused` says that
    the key is not where the settings say that it is.
    """
    if settings.password is None:
        return {}
    try:
        secret = settings.password.reveal()
    except LookupError as error:
        raise IndexRefused(url, str(error.args[0])) from error
    match settings.auth:
        case "basic":
            return basic(settings.username, secret)
        case "bearer":
            return {"authorization": f"Bearer {secret}"}
        case "gitlab-token":
            return {"private-token": secret}
