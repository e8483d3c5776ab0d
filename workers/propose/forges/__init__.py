"""Forges: where a branch of ours becomes a pull request. One file per kind, and one row here.

A door is imported when it is needed: the libraries behind it take their time.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from importlib import import_module

from watcher.settings import AppSettings, ForgeSettings
from workers.git import Login
from workers.propose.forges.forge import Forge
from workers.propose.forges.key import token_of
from workers.propose.forges.rest import Patience

_DOORS = {"github": "GitHub", "gitlab": "GitLab", "gitea": "Gitea"}
"""What opens the door of a kind of forge, in the file of its name: called with settings, project, branch, contact."""
_USERS = {"github": "x-access-token", "gitlab": "oauth2", "gitea": "oauth2"}
"""The user name with which git shows a token."""


@contextlib.contextmanager
def open_forge(app: AppSettings, contact: str = "", patience: Patience | None = None) -> Iterator[Forge | None]:
    """The forge of an app, or None for one that has none, while the block lasts. `contact` is how people reach you.

    With `patience` it is not asked while it wants to be left alone, whichever app it told so. Raises `ForgeRefused` if
    its secret cannot be read, or is no good.
    """
    if app.forge is None:
        yield None
        return
    module = import_module(f"workers.propose.forges.{app.forge.kind}")
    door: Callable[..., AbstractContextManager[Forge]] = getattr(module, _DOORS[app.forge.kind])
    with (
        patience.towards(app.forge) if patience else contextlib.nullcontext(),
        door(app.forge, app.forge.project_of(app.repository), app.branch, contact) as forge,
    ):
        yield forge


def login_of(app: AppSettings) -> Login | None:
    """How git logs in to the app's repository with the forge's credentials, if it is on the forge's own host."""
    forge = app.forge
    if forge is None or not _is_at_home(app.repository, forge):
        return None
    return lambda: (_USERS[forge.kind], token_of(forge, forge.project_of(app.repository)))


def _is_at_home(repository: str, forge: ForgeSettings) -> bool:
    """Whether the repository's address begins with the forge's: a token is shown to nobody else."""
    return repository.startswith(f"{forge.address}/")
