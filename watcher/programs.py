"""The programs that an installation needs beside Python, by what its settings name."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from watcher.settings import AppSettings, Settings


def needed(settings: Settings) -> dict[str, str]:
    """The programs by name, each with the Debian package that it comes with; git is always one of them."""
    found = {"git": "git"}
    for app in settings.apps.values():
        found |= dict(_of(app, settings))
    return found


def _of(app: AppSettings, settings: Settings) -> Iterator[tuple[str, str]]:
    if any(PurePosixPath(lock).name == "composer.lock" for lock in app.locks):
        yield "composer", "composer"
    scp = "://" not in app.repository and ":" in app.repository.partition("/")[0]
    hosts = settings.fleets[app.fleet].hosts
    if scp or app.repository.startswith("ssh:") or any(host.address.startswith("ssh:") for host in hosts):
        yield "ssh", "openssh-client"
    if app.git.signing is not None:
        yield ("gpg", "gnupg") if app.git.signing.format == "gpg" else ("ssh-keygen", "openssh-client")
