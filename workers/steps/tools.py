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
from workers.git import Repository
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
        checkout=lambda address, commit, into: _checkout(app, state, address, commit, into),
        cache=state / "wheels",
    )


def _checkout(app: AppSettings, state: Path, address: str, commit: str, into: Path) -> None:
    """With what it takes to log in where the app's own repository is, and nowhere else."""
    is_near = _host(address) == _host(app.repository) != ""
    name = hashlib.sha256(address.encode()).hexdigest()[:16]
    git, login = (app.git, login_of(app)) if is_near else (GitSettings(), None)
    Repository(address, "main", state / "git" / f"source-{name}.git", git, login).export(commit, into)


def _host(address: str) -> str:
    """The host of an address, also of one like `git@git.example:team/shop`; empty for a path."""
    if "://" in address:
        return urlsplit(address).hostname or ""
    match = re.match(r"(?:[^/@:]+@)?([^/@:]+):", address)
    return match[1] if match else ""
