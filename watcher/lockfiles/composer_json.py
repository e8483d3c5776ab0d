"""composer.json: what a PHP project asks for, and where its packages may come from.

The format: https://getcomposer.org/doc/04-schema.md; the order of repositories and what they filter:
https://getcomposer.org/doc/articles/repository-priorities.md.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from pydantic_core import from_json

from watcher.address import normal
from watcher.lockfiles.place import Place

PACKAGIST = "https://repo.packagist.org"
"""What every project asks last, unless it says that it does not."""
_PACKAGE = re.compile(r"[a-z0-9]++(?:[_.-][a-z0-9]++)*+/[a-z0-9]++(?:(?:[_.]|-{1,2})[a-z0-9]++)*+")
_PLATFORM = re.compile(
    r"php(?:-64bit|-ipv6|-zts|-debug)?|hhvm|(?:ext|lib)-[a-z0-9]++(?:[_.-][a-z0-9]++)*+"
    r"|composer(?:-(?:plugin|runtime)-api)?"
)
_ADDRESS = re.compile(r"(?:https?|file)://[\x21-\x7e]{1,2000}")
_DEFAULTS = ("packagist.org", "packagist")
_VCS = frozenset(("vcs", "git", "github", "gitlab", "bitbucket", "git-bitbucket", "svn", "hg", "fossil", "perforce"))
_MOST_REPOSITORIES = 1_000


@dataclass(frozen=True, slots=True)
class Repository:
    """A place that packages come from. `kind` is `composer` for an index, `vcs` for what Composer reads versions from,
    else what Composer calls it.

    `packages` are the names that an inline repository defines. A repository that is not the last word lets those behind
    it have versions of the same packages, too.
    """

    kind: str
    url: str = ""
    only: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    is_last_word: bool = True
    packages: frozenset[str] = frozenset()

    def admits(self, package: str) -> bool:
        """Whether the project lets the package come from here at all. Patterns know `*` and nothing else."""
        if self.packages and package not in self.packages:
            return False
        if self.only and not any(_matches(pattern, package) for pattern in self.only):
            return False
        return not any(_matches(pattern, package) for pattern in self.exclude)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What composer.json says, as far as it matters to a lock. `requires` and `dev` are constraints by package."""

    requires: Mapping[str, str]
    dev: Mapping[str, str]
    repositories: tuple[Repository, ...]
    config: Mapping[str, Any]

    def ways(self, package: str) -> tuple[Repository, ...]:
        """The repositories that a package may come from, in the order in which Composer asks them."""
        return tuple(repository for repository in self.repositories if repository.admits(package))


def package_name(text: str) -> str:
    """The one spelling of a package's name; a `ValueError` if it is none."""
    name = text.lower()
    if len(name) > 200 or not _PACKAGE.fullmatch(name):
        raise ValueError
    return name


def is_platform(name: str) -> bool:
    """Whether a name stands for PHP, one of its extensions, a library or Composer, and for no package."""
    return _PLATFORM.fullmatch(name.lower()) is not None


def document(text: str, path: str) -> dict[str, Any]:
    """A file of JSON that is an object; a `LockfileUnreadable` if it is not."""
    place = Place(path)
    try:
        # Composer reads files with a byte order mark, too.
        data = from_json(text.removeprefix("\ufeff"), allow_inf_nan=False)
    except ValueError as error:
        raise place.wrong("JSON", str(error)) from None
    return place.a(dict, data, "an object")


def mapping(value: object, place: Place) -> dict[str, Any]:
    """An object, or nothing. PHP writes an empty one as an empty list."""
    return {} if value is None or value == [] else place.a(dict, value, "an object")


def manifest(text: str, path: str) -> Manifest:
    """composer.json, read. A `LockfileUnreadable` names the place of what is not as the format has it."""
    data, place = document(text, path), Place(path)
    return Manifest(
        requires=_links(data.get("require"), place.at("require")),
        dev=_links(data.get("require-dev"), place.at("require-dev")),
        repositories=tuple(_repositories(data.get("repositories"), place.at("repositories"))),
        config=mapping(data.get("config"), place.at("config")),
    )


def _links(value: object, place: Place) -> dict[str, str]:
    """Constraints by package, without those on the platform."""
    links = mapping(value, place).items()
    return {
        place.read(name, package_name, "the name of a package"): place.at(name).a(str, constraint, "a constraint")
        for name, constraint in links
        if not is_platform(name)
    }


def _repositories(value: object, place: Place) -> Iterator[Repository]:
    rows = list(value.items()) if isinstance(value, dict) else list(enumerate(place.a(list, value or [], "a list")))
    if len(rows) > _MOST_REPOSITORIES:
        raise place.wrong(f"at most {_MOST_REPOSITORIES:,} repositories", str(len(rows)))
    without_packagist = False
    for key, row in rows:
        at = Place(place.path, f"{place.where}[{key}]") if isinstance(key, int) else place.at(key)
        if row is False:
            without_packagist |= key in _DEFAULTS
        elif isinstance(row, dict) and len(row) == 1 and False in row.values():
            without_packagist |= next(iter(row)) in _DEFAULTS
        else:
            yield _repository(at.a(dict, row, "a repository, or false"), at)
            without_packagist |= key in _DEFAULTS
    if not without_packagist:
        yield Repository("composer", PACKAGIST)


def _repository(row: dict[str, Any], place: Place) -> Repository:
    kind = place.at("type").a(str, row.get("type"), "the type of a repository")
    url = place.at("url").a(str, row.get("url", ""), "an address")
    defined = row.get("package", [])
    inline = [one for one in (defined if isinstance(defined, list) else [defined]) if isinstance(one, dict)]
    return Repository(
        kind="vcs" if kind in _VCS else kind,
        url=normal(url) if _ADDRESS.fullmatch(url) else url,
        only=_patterns(row, "only", place),
        exclude=_patterns(row, "exclude", place),
        is_last_word=row.get("canonical", True) is not False,
        packages=frozenset(str(one.get("name", "")).lower() for one in inline) if kind == "package" else frozenset(),
    )


def _patterns(row: Mapping[str, Any], key: str, place: Place) -> tuple[str, ...]:
    at = place.at(key)
    return tuple(at.a(str, one, "a name, or a pattern").lower() for one in at.a(list, row.get(key) or [], "a list"))


def _matches(pattern: str, package: str) -> bool:
    # Only the asterisk means something to Composer: `[` and `?` stand for themselves.
    return fnmatchcase(package, re.sub(r"([\[?])", r"[\1]", pattern))
