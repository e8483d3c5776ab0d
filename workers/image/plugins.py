"""Composer with a project's plugins or scripts: what they do is done in a sandbox, and what they leave is taken over.

The packages are downloaded and checked outside, where nothing of them runs; the sandbox has them in Composer's cache,
and no network. It needs `php` and `composer` of its own.
"""

import posixpath
from collections.abc import Iterator, Sequence
from pathlib import Path

from watcher.settings import ImageSettings
from workers.image.entry import Entry, tree
from workers.image.sandbox import Job, Sandbox
from workers.image.unpack import emptied

_HOME, _CACHE = "toplayer/home", "toplayer/cache"
_OFF = {"plugins": "--no-plugins", "scripts": "--no-scripts"}


def argv(runs: Sequence[str]) -> list[str]:
    """The command, for what of `plugins` and `scripts` may run."""
    off = [option for name, option in _OFF.items() if name not in runs]
    return ["composer", "install", "--no-dev", "--no-progress", "--no-interaction", "--no-ansi", *off]


def installed(sandbox: Sandbox, image: ImageSettings, name: str, project: Path, directory: str, mine: Path) -> Path:
    """The project once Composer has been through, in a directory below `mine`.

    `project` is what Composer is to find, `directory` the part of it that has the lock, which people call `name`;
    `mine` holds Composer's `home` and `cache`. Raises what a sandbox raises.
    """
    job = Job(
        name=f"composer install of {name}",
        argv=argv(image.composer),
        entries=_entries(project, image, mine),
        out=image.code,
        directory=posixpath.normpath(posixpath.join(image.code, directory)),
        env={
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": f"/{_HOME}",
            "LANG": "C.UTF-8",
            "COMPOSER_HOME": f"/{_HOME}",
            "COMPOSER_CACHE_DIR": f"/{_CACHE}",
            "COMPOSER_DISABLE_NETWORK": "1",
            "COMPOSER_ALLOW_SUPERUSER": "1",
            "COMPOSER_MEMORY_LIMIT": "-1",
            "COMPOSER_HTACCESS_PROTECT": "0",
        },
    )
    sandbox.run(job, emptied(mine / "out"))
    return mine / "out" / posixpath.basename(image.code)


def _entries(project: Path, image: ImageSettings, mine: Path) -> Iterator[Entry]:
    yield Entry(_HOME)
    yield Entry(f"{_HOME}/config.json", mine / "home" / "config.json")
    yield Entry(_CACHE)
    yield from tree(mine / "cache", _CACHE)
    yield Entry(image.code.lstrip("/"))
    yield from tree(project, image.code.lstrip("/"), lambda path, _: posixpath.basename(path) != ".git")
