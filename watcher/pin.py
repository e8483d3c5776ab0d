"""A pin: one package at one version in a lockfile."""

from dataclasses import dataclass

CONFIGURED = "configuration"
"""The source of what no file of the repository pins: the base that the configuration names."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Pin:
    """`package` at `version`, as `lock` (a path in the repository) has it.

    `package` and `version` are in the normal form of their ecosystem. `direct` says that the project itself asks for
    the package, with `constraint` (empty: anything); other pins are there because another package needs them.
    `source` is `index` for what an index serves; a `git`, `path` or `url` pin is never moved by us, and one of the
    `configuration` is watched all the same. `registry` is the
    index's address (`watcher.address.normal`), where the lock names it, and `registries` are several that may have it:
    the first one that does is the one that counts, unless it is one of those `open` to versions that stand behind them.
    `hashes` say which files the lock accepts (`sha256:…`, or what its ecosystem has instead), sorted. `groups` are the
    extras and groups of the project of which one has to be asked for: without any, the package is always installed.
    `stability` is the least stable release that the project lets in, in the word of its ecosystem; empty where only a
    policy has a say in that.
    """

    ecosystem: str
    package: str
    version: str
    lock: str
    direct: bool = True
    constraint: str = ""
    marker: str = ""
    source: str = "index"
    registry: str = ""
    hashes: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    stability: str = ""
    registries: tuple[str, ...] = ()
    open: tuple[str, ...] = ()

    @property
    def is_watched(self) -> bool:
        """Whether an index is asked about it."""
        return self.source in ("index", CONFIGURED)
