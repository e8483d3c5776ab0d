"""What answers in the place of a build backend, so that none of them is ever run.

To learn what a source distribution needs, Python's lock tools start a process that runs its build backend: whatever its
authors wrote, as us. The text of this file is put on the way of that process; there it says what the source itself says
of its needs, or that it does not say. It is read by the Pythons of all projects: so it imports nothing of ours, and
nothing that is younger than Python 3.8.
"""

from __future__ import annotations

import email
import json
import os
import re
from contextlib import suppress
from email.message import Message
from pathlib import Path
from typing import Any

BUILDS_NOTHING = "toplayer builds nothing, and"
"""How an answer begins that is none."""
NAME = "toplayer_stand_in"
SITE = f"""\
import os

if "_PYPROJECT_HOOKS_BUILD_BACKEND" in os.environ:
    import {NAME}
"""
"""Python runs this whenever it starts; the variable is set by who wants to ask a build backend."""


def files() -> dict[str, str]:
    """The files that have to lie in a directory of `PYTHONPATH`: texts by name."""
    return {"sitecustomize.py": SITE, f"{NAME}.py": Path(__file__).read_text(encoding="utf-8")}


def answer(hook: str, tree: Path) -> str | list[str]:
    """What a build backend says when `hook` is asked: core metadata, or a list. A `LookupError` if only it knows."""
    if hook.startswith("get_requires_for_") or hook == "_supported_features":
        return []
    if hook.startswith("prepare_metadata_for_build_"):
        return metadata(tree)
    raise LookupError(f"it is asked to {hook}")


def metadata(tree: Path) -> str:
    """What the source in a directory says of itself: in PKG-INFO, in pyproject.toml, or in what setuptools left in it.

    Raises a `LookupError` if it leaves to its build what it needs.
    """
    text = _text(tree / "PKG-INFO")
    about = email.message_from_string(text)
    left_open = [str(name).lower() for name in about.get_all("Dynamic", [])]
    is_static = _number(about) >= (2, 2)
    if is_static and "requires-dist" not in left_open:
        return text
    made = _of_project(tree)
    if made:
        return made
    if is_static or not text:
        raise LookupError(f"{about.get('Name') or tree.name} leaves to its build what it needs")
    head = [line for line in text.split("\n\n")[0].splitlines() if not line.startswith("Requires-Dist:")]
    return "\n".join([*head, *_noted(tree)]) + "\n"


def _number(about: Message) -> tuple[int, ...]:
    return tuple(int(part) for part in str(about.get("Metadata-Version", "0")).split(".") if part.isdigit())


def _of_project(tree: Path) -> str:
    """Core metadata from a pyproject.toml that says what is needed; else nothing. A version that is left open is 0."""
    try:
        project = _toml(_text(tree / "pyproject.toml")).get("project", {})
    except (ImportError, ValueError):
        return ""
    if not project.get("name") or {"dependencies", "optional-dependencies"} & set(project.get("dynamic", ())):
        return ""
    rows = ["Metadata-Version: 2.1", f"Name: {project['name']}", f"Version: {project.get('version', 0)}"]
    if project.get("requires-python"):
        rows.append(f"Requires-Python: {project['requires-python']}")
    rows += [f"Requires-Dist: {one}" for one in project.get("dependencies", ())]
    for extra, needed in project.get("optional-dependencies", {}).items():
        rows += [f"Provides-Extra: {extra}", *(_row(one, f'extra == "{extra}"') for one in needed)]
    return "\n".join(rows) + "\n"


def _toml(text: str) -> dict[str, Any]:
    try:
        from tomllib import loads
    except ImportError:  # Python 3.10 and older
        from pip._vendor.tomli import loads  # type: ignore[no-redef,import-not-found,unused-ignore]
    return loads(text)


def _noted(tree: Path) -> list[str]:
    """What setuptools noted when it packed the source. Without its notes it was distutils, which knows of no needs."""
    notes = [*tree.glob("*.egg-info/requires.txt"), *tree.glob("src/*.egg-info/requires.txt")]
    rows, condition = [], ""
    for words in filter(None, map(str.strip, _text(notes[0]).splitlines() if notes else ())):
        if words.startswith("["):
            extra, _, marker = words.strip("[]").partition(":")
            parts = (marker and f"({marker})", extra and f'extra == "{extra}"')
            condition = " and ".join(filter(None, parts))
            rows += [f"Provides-Extra: {extra}"] if extra else []
        else:
            rows.append(_row(words, condition))
    return list(dict.fromkeys(rows))


def _row(requirement: str, condition: str) -> str:
    body, _, marker = requirement.partition(";")
    both = " and ".join(filter(None, (marker.strip() and f"({marker.strip()})", condition)))
    return f"Requires-Dist: {body.strip()}" + (f" ; {both}" if both else "")


def _text(place: Path) -> str:
    try:
        return place.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _main() -> None:
    """The whole life of the process that would run a backend (see `pyproject_hooks`, which starts it)."""
    hook, control = Path("/proc/self/cmdline").read_bytes().decode().split("\0")[-3:-1]
    given = json.loads((Path(control) / "input.json").read_text(encoding="utf-8"))["kwargs"]
    try:
        said = answer(hook, Path.cwd())
    except LookupError as error:
        # Not all of those who ask show what a build says: so it is said on their own stderr.
        for screen in (f"/proc/{os.getppid()}/fd/2", "/proc/self/fd/2"):
            with suppress(OSError), Path(screen).open("w") as theirs:
                theirs.write(f"{BUILDS_NOTHING} {error.args[0]}\n")
        os._exit(1)
    if isinstance(said, str):
        about = email.message_from_string(said)
        name = re.sub(r"[-_.]+", "_", str(about["Name"])).lower()
        place = Path(given["metadata_directory"]) / f"{name}-{about['Version']}.dist-info"
        place.mkdir(parents=True)
        (place / "METADATA").write_text(said, encoding="utf-8")
        said = place.name
    told = {"unsupported": False, "return_val": said, "warnings": []}
    (Path(control) / "output.json").write_text(json.dumps(told), encoding="utf-8")
    os._exit(0)


if __name__ == NAME:
    _main()
