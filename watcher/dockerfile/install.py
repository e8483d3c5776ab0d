"""Which commands install packages, by which tool, and what each of them reads to know which."""

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass

from watcher.dockerfile.commands import commands
from watcher.dockerfile.installers import YARN, Installer, installer
from watcher.dockerfile.parse import Instruction

_LISTS = ("-r", "--requirement", "--requirements", "-c", "--constraint", "--constraints")
_EDITABLE = ("-e", "--editable")


@dataclass(frozen=True, slots=True)
class Option:
    """`-o`, `-o value`, `-ovalue`, `--option=value`; `at` is the number of its first word."""

    name: str
    value: str | None
    at: int


@dataclass(frozen=True, slots=True)
class Install:
    """A command that installs packages.

    `command` is its text, `words` the same without quotes, of which `verb` is the one that says that it installs (of
    `yarn` alone the program itself). `names` are its arguments that are no options. `reads` are the paths, as they
    stand there, of what tells which packages; `trees` are the projects that it installs themselves, and not only what
    they depend on. `sure`: no word of it is unknown, none has a variable, and it takes and leaves no other file of ours
    than those.
    """

    tool: str
    command: str
    reads: tuple[str, ...]
    words: tuple[str, ...] = ()
    verb: int = 0
    options: tuple[Option, ...] = ()
    names: tuple[str, ...] = ()
    trees: tuple[str, ...] = ()
    sure: bool = False

    @property
    def tree(self) -> bool:
        """Whether it needs a project itself, and not only the list of what it depends on."""
        return bool(self.trees)

    @property
    def editable(self) -> bool:
        """Whether it leaves but a path to a project."""
        return self.tool == "pip" and self.has(*_EDITABLE)

    @property
    def by_uv(self) -> bool:
        """Whether `uv` does it, in pip's place or in its own."""
        return self.words[0].rpartition("/")[2] == "uv"

    def has(self, *names: str) -> bool:
        """Whether any of these options is given."""
        return any(option.name in names for option in self.options)

    def value(self, *names: str) -> str | None:
        """The value of an option, the last one if it is given several times."""
        return next((option.value for option in reversed(self.options) if option.name in names), None)


def installs(instruction: Instruction) -> tuple[Install, ...]:
    """What a RUN installs, command by command."""
    return tuple(one for words in commands(instruction) if (one := install(words)))


def install(words: Sequence[str]) -> Install | None:
    """What a command installs, by its words without quotes; None if it does not."""
    tool, begin = installer(words)
    if tool is None:
        return None
    verb = begin
    while verb < len(words) and words[verb].startswith("-"):
        verb += 2 if words[verb] in tool.globally else 1
    if tool is YARN and all(word.partition("=")[0] in tool.alone for word in words[begin:]):
        verb = begin - 1
    elif verb >= len(words) or words[verb] not in tool.verbs:
        return None
    front, _ = _options(words[:verb], begin, tool)
    options, names = _options(words, verb + 1, tool)
    options = (*front, *options)
    sure = not any("$" in word for word in words) and not any(_unsure(option, tool) for option in options)
    lists = tuple(one.value for one in options if one.name in _LISTS and one.value) if tool.tool == "pip" else ()
    trees: tuple[str, ...] = ()
    if tool.tool == "pip":
        if words[verb] == "sync":
            lists, names = (*lists, *names), ()
        named = [one.value or "" for one in options if one.name in _EDITABLE]
        trees = tuple(_project(path) for path in (*named, *names) if _is_path(path))
        sure = sure and not any(path.endswith((".whl", ".gz", ".zip")) for path in trees)
        lists = (*lists, *(posixpath.join(path, "pyproject.toml") for path in trees))
    elif any(_is_path(name) or "file:" in name for name in names):
        sure = False
    reads = (
        () if names and tool.tool == "npm" and any(one.name in ("-g", "--global") for one in options) else tool.reads
    )
    return Install(tool.tool, " ".join(words), (*lists, *reads), tuple(words), verb, options, names, trees, sure)


def _options(words: Sequence[str], begin: int, tool: Installer) -> tuple[tuple[Option, ...], tuple[str, ...]]:
    """The options from a word on, and what is none."""
    found: list[Option] = []
    names: list[str] = []
    with_value = tool.valued | tool.paths | (frozenset((*_LISTS, *_EDITABLE)) if tool.tool == "pip" else frozenset())
    at = begin
    while at < len(words):
        word, here = words[at], at
        at += 1
        if not word.startswith("-") or word == "-":
            names.append(word)
            continue
        name, equals, value = word.partition("=")
        short = word[:2] if len(word) > 2 and word[1] != "-" and word not in tool.alone else ""
        if short in with_value:
            found.append(Option(short, word[2:].removeprefix("="), here))
        elif equals:
            found.append(Option(name, value, here))
        elif name in with_value:
            found.append(Option(name, words[at] if at < len(words) else None, here))
            at += 1
        else:
            found.append(Option(name, None, here))
    return tuple(found), tuple(names)


def _unsure(option: Option, tool: Installer) -> bool:
    known = tool.alone | tool.valued | (frozenset((*_LISTS, *_EDITABLE)) if tool.tool == "pip" else frozenset())
    return option.name not in known


def _is_path(text: str) -> bool:
    return text.startswith((".", "/")) or text.endswith((".whl", ".deb", ".apk", ".tar.gz", ".tgz"))


def _project(text: str) -> str:
    """The directory of `.[dev]`."""
    return text.partition("[")[0] or "."
