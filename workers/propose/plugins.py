"""Composer's plugins: those that have a say in what a lock comes to, and those that a project runs. We run none.

What each does is told by its own documentation. One that is in no row may still do the same: so a proposal names all
that the project allows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any


@dataclass(frozen=True, slots=True)
class Say:
    """A plugin that changes what is resolved. `place` is where under `extra` a project tells it to; empty: it always
    does. `about` is how the names of the packages begin for which it does; empty: all.
    """

    place: tuple[str, ...] = ()
    about: tuple[str, ...] = ("",)


SAYS = {
    # Leaves out versions of Symfony's packages that the project does not want.
    "symfony/flex": Say(("symfony", "require"), ("symfony/",)),
    # The same, for Drupal.
    "zaporylie/composer-drupal-optimizations": Say(about=("symfony/",)),
    # Takes requirements from other files.
    "wikimedia/composer-merge-plugin": Say(("merge-plugin",)),
    # Lets packages have another Drupal than they ask for.
    "mglaman/composer-drupal-lenient": Say(("drupal-lenient",), ("drupal/",)),
    # Puts other packages in the place of these.
    "laminas/laminas-dependency-plugin": Say(about=("zendframework/", "zfcampus/")),
}


def with_a_say(lock: Mapping[str, Any], manifest: Mapping[str, Any], touched: Iterable[str]) -> str:
    """Which plugin would have come to another lock when the packages `touched` move, in words; else nothing."""
    names = list(touched)
    for plugin in allowed(lock, manifest):
        say = SAYS.get(plugin)
        if say is None or not any(name.startswith(say.about) for name in names):
            continue
        if not say.place or _at(manifest.get("extra"), say.place):
            told = f" (extra.{'.'.join(say.place)})" if say.place else ""
            return f"the plugin {plugin} has a say in what is resolved{told}"
    return ""


def allowed(lock: Mapping[str, Any], manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """The plugins in the lock that the project lets Composer run, sorted: as `allow-plugins` says, or all.

    Without a word on them Composer asks a person, who is not here; or runs them, if it is older than that question.
    """
    config = manifest.get("config")
    rules = config.get("allow-plugins", True) if isinstance(config, dict) else True
    rows = [row for key in ("packages", "packages-dev") for row in _list(lock.get(key))]
    plugins = [str(row["name"]).lower() for row in rows if row.get("type") == "composer-plugin" and "name" in row]
    return tuple(sorted(name for name in plugins if _lets(rules, name)))


def _lets(rules: object, plugin: str) -> bool:
    if isinstance(rules, dict):
        return next(
            (bool(value) for pattern, value in rules.items() if fnmatchcase(plugin, str(pattern).lower())), False
        )
    return bool(rules)


def _list(value: object) -> Sequence[Mapping[str, Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _at(value: object, place: Sequence[str]) -> object:
    for key in place:
        value = value.get(key) if isinstance(value, dict) else None
    return value
