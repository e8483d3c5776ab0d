"""composer.lock, by `composer update`: the smallest step that works.

A ladder. First only the packages that were asked for; then exactly those that stand in their way, each at the lowest
version that does not; then, where Composer knows how, what it moves with the fewest changes; else it is said what
blocks them. Each rung names packages with versions, so that nothing else may move.
"""

import json
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from watcher.content_hash import content_hash
from watcher.lockfiles.wanted import inside
from watcher.requirement import raised
from watcher.versions import SCHEMES, composer
from workers.composer import words
from workers.propose.bench import Unsolved
from workers.propose.composer import ComposerBench
from workers.propose.json_edit import replaced
from workers.propose.move import Move
from workers.propose.plugins import with_a_say
from workers.propose.workshop import Workshop

_ROUNDS = 5
_FIXED = re.compile(
    r"requires ([a-z0-9_.-]+/[a-z0-9_.-]+) \S.*? -> found \1\[([^\]]*)\] but the package is fixed to (\S+) "
    r"\(lock file version\) by a partial update"
)
_REMOTE = re.compile(r"(?:https?|ssh|git)://\S+|git@\S+")
_HARMLESS = ("composer", "vcs", "git", "github", "gitlab", "bitbucket", "package", "path")
_MINIMAL = (2, 7)


class ComposerLock:
    """Composer's lock, and the exact requirements of its composer.json."""

    def keeps(self, text: str, path: str) -> bool:
        return posixpath.basename(path) == "composer.lock"

    def beside(self, text: str, path: str) -> tuple[str, ...]:
        """The manifest, and those of the packages that lie in the repository."""
        here = posixpath.dirname(path)
        if self.keeps(text, path):
            return (posixpath.join(here, "composer.json"),)
        rows = _repositories(_read(text, path)) if posixpath.basename(path) == "composer.json" else ()
        places = (inside(here, str(row.get("url", ""))) for row in rows if row.get("type") == "path")
        return tuple(posixpath.join(place, "composer.json") for place in places if place)

    def run(self, files: Mapping[str, str], path: str, moves: Sequence[Move], shop: Workshop) -> Mapping[str, str]:
        here = posixpath.dirname(path)
        beside = posixpath.join(here, "composer.json")
        if beside not in files:
            raise Unsolved(f"there is no {beside}")
        _harmless(files, here)
        manifest = _pinned(files[beside], beside, moves)
        with shop.composer.bench({**files, beside: manifest}) as bench:
            if _read(files[path], path).get("content-hash") != content_hash(_read(files[beside], beside)):
                _in_step(bench, files, path, beside, manifest)
            _climb(bench, here, moves, files[path], path)
            made = _like(files[path], bench.read(path))
            _altered(files, path, beside, made)
            bench.write(path, made)
            valid = bench.composer(
                ["validate", "--no-check-all", "--no-check-publish", "--no-plugins"], here, (0, 1, 2)
            )
            if content_hash(_read(manifest, beside)) != _read(made, path).get("content-hash") or valid.code == 2:
                raise Unsolved(f"Composer does not take its own lock: {words(valid.stderr.decode('utf-8', 'replace'))}")
            return {path: made, beside: manifest}


def _climb(bench: ComposerBench, here: str, moves: Sequence[Move], lock: str, path: str) -> None:
    """Rung after rung, until there is a lock."""
    if not moves:
        if why := bench.update(["--lock"], here):
            raise Unsolved(words(why))
        return
    asked = {move.package: move.version for move in moves}
    locked = {str(row["name"]).lower(): str(row["version"]) for row in _packages(_read(lock, path))}
    why = bench.update(arguments(asked), here)
    for _ in range(_ROUNDS):
        more = {name: version for name, version in blockers(why, locked).items() if name not in asked}
        if not why or not more:
            break
        asked |= more
        why = bench.update(arguments(asked), here)
    if why and bench.version() >= _MINIMAL:
        first = arguments({move.package: move.version for move in moves})
        again = bench.update([*first, "-w", "--minimal-changes"], here)
        why = why if again and bench.update([*first, "-W", "--minimal-changes"], here) else ""
    if why:
        raise Unsolved(f"blocked: {words(why)}", missing=_is_missing(why, moves))


def arguments(asked: Mapping[str, str]) -> list[str]:
    """`vendor/name:version` for each: nothing else may move, and these go nowhere else."""
    return [f"{name}:{version}" for name, version in asked.items()]


def blockers(said: str, locked: Mapping[str, str]) -> dict[str, str]:
    """The locked packages that stand in the way, by Composer's words, each with the lowest version that would not."""
    scheme, found = SCHEMES["packagist"], dict[str, str]()
    for name, versions, _ in _FIXED.findall(said):
        if name not in locked:
            continue
        now = scheme.key(locked[name])
        fitting = [one for one in _versions(versions) if scheme.key(one) > now and not scheme.is_prerelease(one)]
        lowest = min(fitting, key=scheme.key, default=None)
        if lowest is not None and (name not in found or scheme.key(lowest) > scheme.key(found[name])):
            found[name] = lowest
    return found


def _versions(text: str) -> Iterator[str]:
    """Composer shows the first and the last of many, and `...` between them."""
    for word in text.split(","):
        try:
            yield SCHEMES["packagist"].normal(word.strip())
        except composer.NotComposer:
            continue


def _is_missing(why: str, moves: Sequence[Move]) -> bool:
    named = "|".join(re.escape(move.package) for move in moves)
    return (
        re.search(rf"requires? ({named}) \S+, (found .* but it does not match|it could not be found)", why) is not None
    )


def _pinned(text: str, path: str, moves: Sequence[Move]) -> str:
    """composer.json with what forbids the moves raised. `Unsolved` if it may not be."""
    for move in moves:
        for key in ("require", "require-dev"):
            for name, constraint in _object(_read(text, path).get(key)).items():
                if name.lower() != move.package:
                    continue
                try:
                    new = raised("packagist", str(constraint), move.version, move.requirement)
                except ValueError:  # `self.version`, say: Composer knows what it is, and whether the release is it
                    continue
                if new is None:
                    hint = f"raise it in {path}, or let the policy do that (`requirement`)"
                    raise Unsolved(f"{path} asks for {name} {constraint}", hint)
                if new != constraint:
                    text = replaced(text, (key, name), new)
    return text


def _in_step(bench: ComposerBench, files: Mapping[str, str], path: str, beside: str, manifest: str) -> None:
    """Raises `Unsolved` if Composer also says that the lock is not for this composer.json."""
    here = posixpath.dirname(path)
    bench.write(beside, files[beside])
    said = bench.composer(["validate", "--no-check-all", "--no-check-publish", "--no-plugins"], here, (0, 1, 2))
    bench.write(beside, manifest)
    if b"lock file" in said.stderr + said.stdout:
        raise Unsolved(
            f"it was made for another {beside}", "run `composer update --lock` once, and commit what comes of it"
        )


def _harmless(files: Mapping[str, str], here: str) -> None:
    """Raises `Unsolved` for a repository that has Composer look around on this machine, or run other programs."""
    for path, text in files.items():
        for row in _repositories(_read(text, path)) if path.endswith(".json") else ():
            kind, url = str(row.get("type", "")), str(row.get("url", ""))
            if kind == "path" and inside(here, url) and not set(url) & set("*?[{"):
                continue
            if kind not in _HARMLESS or kind == "path" or (kind != "package" and not _REMOTE.fullmatch(url)):
                raise Unsolved(
                    f"{path} has a repository of type {kind[:20]!r} at {url[:80]!r}, which toplayer does not ask"
                )


def _altered(files: Mapping[str, str], path: str, beside: str, made: str) -> None:
    """Raises `Unsolved` if a plugin of the project would have come to another lock."""
    before, after = _read(files[path], path), _read(made, path)
    old = {str(one["name"]): one["version"] for one in _packages(before)}
    touched = [str(one["name"]) for one in _packages(after) if old.get(str(one["name"])) != one["version"]]
    if why := with_a_say(before, _read(files[beside], beside), touched):
        raise Unsolved(f"{why}, and toplayer runs no plugins", "move this package by hand")


def _like(old: str, new: str) -> str:
    """`new` with the word of `old` on the plugin API: that of the Composer that wrote it."""
    said = re.search(r'"plugin-api-version": "[^"]*"', old)
    return re.sub(r'"plugin-api-version": "[^"]*"', lambda found: said[0] if said else found[0], new)


def _read(text: str, path: str) -> Mapping[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unsolved(f"{path}: expected JSON: {str(error)[:200]}") from None
    if not isinstance(data, dict):
        raise Unsolved(f"{path}: expected an object")
    return data


def _packages(lock: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    rows = [*(lock.get("packages") or ()), *(lock.get("packages-dev") or ())]
    return [row for row in rows if isinstance(row, dict) and "name" in row and "version" in row]


def _repositories(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    given = manifest.get("repositories") or []
    rows = list(given.values()) if isinstance(given, dict) else given
    return [row for row in rows if isinstance(row, dict) and "type" in row]


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
