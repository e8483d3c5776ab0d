"""Which instructions install packages, by which tool, and what each of them reads to know which."""

import posixpath
import re
from dataclasses import dataclass

from watcher.dockerfile.parse import Instruction

_COMMANDS = re.compile(r"&&|\|\||[;\n|]")
_PYTHON = r"(?:python[\d.]*\s+-m\s+)?"
_TOOLS = (
    ("pip", re.compile(rf"(?:^|[\s/]){_PYTHON}pip[\d.]*\s+(?:\S+\s+)*?install\b"), ()),
    ("pip", re.compile(r"\buv\s+pip\s+(?:install|sync)\b"), ()),
    ("uv", re.compile(r"\buv\s+sync\b"), ("pyproject.toml", "uv.lock")),
    ("poetry", re.compile(r"\bpoetry\s+install\b"), ("pyproject.toml", "poetry.lock")),
    ("composer", re.compile(r"\bcomposer(?:\.phar)?\s+(?:\S+\s+)*?install\b"), ("composer.json", "composer.lock")),
    ("npm", re.compile(r"\bnpm\s+(?:ci|install|i)\b"), ("package.json", "package-lock.json")),
    ("yarn", re.compile(r"\byarn(?:\s+install)?(?:\s+--\S+)*\s*$"), ("package.json", "yarn.lock")),
    ("apt", re.compile(r"\bapt(?:-get)?\s+(?:\S+\s+)*?(?:install|upgrade)\b"), ()),
    ("apk", re.compile(r"\bapk\s+(?:\S+\s+)*?add\b"), ()),
)
_LISTS = re.compile(r"(?:^|\s)(?:-r|--requirement|-c|--constraint)[=\s]*(\S+)")
_TREE = re.compile(r"(?:^|\s)(?:-e|--editable)(?:[=\s]+)(\S+)|\sinstall\s+(?:-\S+\s+)*(\.(?:/\S*)?|/\S+)(?:\s|$)")


@dataclass(frozen=True, slots=True)
class Install:
    """A command that installs packages. `reads` are the paths, as they stand there, of what tells which; `tree`: it
    needs the project itself, and not only the list of what it depends on."""

    tool: str
    command: str
    reads: tuple[str, ...]
    tree: bool = False


def installs(instruction: Instruction) -> tuple[Install, ...]:
    """What a RUN installs, command by command."""
    if instruction.keyword != "RUN":
        return ()
    said = " ".join(word.text for word in instruction.words)
    text = "\n".join([said, *(heredoc.text for heredoc in instruction.heredocs)])
    found = (_install(command.strip()) for command in _COMMANDS.split(text))
    return tuple(one for one in found if one)


def _install(command: str) -> Install | None:
    for tool, pattern, reads in _TOOLS:
        if pattern.search(command):
            if tool == "pip":
                tree = _TREE.search(_LISTS.sub(" ", command))
                own = (posixpath.join(tree[1] or tree[2], "pyproject.toml"),) if tree else ()
                return Install(tool, command, (*_LISTS.findall(command), *own), bool(tree))
            return Install(tool, command, reads)
    return None
