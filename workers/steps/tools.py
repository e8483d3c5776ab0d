"""What packages are built with that have no wheel: resolvers, checkouts, caches from other rooms."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from watcher import lockfiles
from watcher.image import Platform
from watcher.pin import Pin
from watcher.settings import AppSettings, GitSettings, Settings
from workers.git import GitRefused, Repository
from workers.git.submodules import Bring, is_local
from workers.image.base import open_base
from workers.image.tools import Tools
from workers.propose.forges import login_of
from workers.propose.workshop import Workshop
from workers.steps.rooms import state_of


def tools_of(settings: Settings, app: AppSettings) -> Tools:
    """The tools for an app's image."""
    state, sandbox = state_of(settings), app.image.sandbox
    other = sandbox.base if sandbox else ""
    uv = Workshop.of(app, settings.indexes.values(), state).uv

    def resolve(requirements: Sequence[str]) -> Sequence[Pin]:
        with uv.bench({}) as bench:
            words = (*uv.for_target, "--no-header", "--no-annotate", "-")
            said = bench.compile(words, input="\n".join(requirements))
        return lockfiles.format_of("requirements.txt").pins(said, "build-system.requires", {})

    return Tools(
        base=open_base(other, Platform.parse(app.image.platform), settings.registries) if other else None,
        resolve=resolve,
        checkout=checkout_of(settings, app),
        cache=state / "wheels",
    )


def checkout_of(settings: Settings, app: AppSettings) -> Bring:
    """What fetches other repositories for an app: packages in git, and submodules.

    With what it takes to log in where the app's own repository is, and nowhere else.
    """
    directory = state_of(settings) / "git"

    def bring(address: str, commit: str, into: Path) -> None:
        if is_local(address) and not is_local(app.repository):
            raise GitRefused(address, "is on this machine's own disk, and the app's repository is not")
        is_near = _host(address) == _host(app.repository) != ""
        name = hashlib.sha256(address.encode()).hexdigest()[:16]
        git, login = (app.git, login_of(app)) if is_near else (GitSettings(), None)
        Repository(address, "main", directory / f"source-{name}.git", git, login).export(commit, into, bring)

    return bring


def _host(address: str) -> str:
    """The host of an address, also of one like `git@git.example:team/shop`; empty for a path."""
    if "://" in address:
        return urlsplit(address).hostname or ""
    match = re.match(r"(?:[^/@:]+@)?([^/@:]+):", address)
    return match[1] if match else ""
