"""requirements.txt as pip-tools made it: the command of its header again, with the packages moved."""

import posixpath
from collections.abc import Iterator, Mapping, Sequence

from watcher.inert import inert
from watcher.lockfiles.compiled import Compiled, compiled
from watcher.lockfiles.lines import lines
from watcher.lockfiles.wanted import included, inside
from workers.propose.bench import Unsolved
from workers.propose.manifest import unbuilt
from workers.propose.move import Move
from workers.propose.requirement_edit import raised_in
from workers.propose.uv_compile import like
from workers.propose.workshop import Workshop

_FLAGS = (
    *(
        "--all-extras",
        "--allow-unsafe",
        "--annotate",
        "--emit-options",
        "--generate-hashes",
        "--header",
        "--no-annotate",
    ),
    *("--no-allow-unsafe", "--no-emit-options", "--no-strip-extras", "--pre", "--strip-extras"),
)
_VALUES = ("--annotation-style", "--extra", "--newline", "--resolver", "--unsafe-package")
_FILES = ("-c", "--constraint")
_OUTPUT = ("-o", "--output-file")
_PAST = ("-U", "--upgrade", "-q", "--quiet", "-v", "--verbose", "--no-emit-index-url", "--no-emit-trusted-host")
_PAST_VALUES = ("-P", "--upgrade-package")


class PipCompile:
    """The header's command, where the header says that pip-tools made the file. It says no version: any will do."""

    def keeps(self, text: str, path: str) -> bool:
        made = _made(text, path)
        return made is not None and made.argv[0] != "uv"

    def beside(self, text: str, path: str) -> tuple[str, ...]:
        """Everything that the command names; of a requirements file, what it includes."""
        made = _made(text, path)
        if made is not None:
            return (*made.inputs, *made.limits)
        return included(text, path) if path.endswith((".txt", ".in")) else ()

    def run(self, files: Mapping[str, str], path: str, moves: Sequence[Move], shop: Workshop) -> Mapping[str, str]:
        made = _made(files[path], path)
        assert made is not None
        url = shop.uv.index.url
        env = {"PIP_INDEX_URL": url} if url else {}
        edits = raised_in(files, set(files) - {path}, moves)
        with shop.uv.bench(unbuilt({**files, **edits})) as bench:
            # pip would build a source distribution to learn what it needs.
            env |= {"PIP_ONLY_BINARY": ":all:", "PIP_CONFIG_FILE": "/dev/null", "PIP_NO_INPUT": "1"}
            env["PIP_TOOLS_CACHE_DIR"] = str(shop.uv.state / "pip-tools")
            bench.tool("pip-compile", "", argv(made, path, moves), made.directory, of="pip-tools", **env)
            text = bench.read(path)
            if "--only-binary" not in files[path]:
                text = text.replace("#\n--only-binary :all:\n\n", "#\n", 1).replace("\n--only-binary :all:\n", "\n", 1)
            return {**edits, path: like(files[path], text)}


def _made(text: str, path: str) -> Compiled | None:
    return compiled(lines(text, path), path) if path.endswith(".txt") else None


def argv(made: Compiled, path: str, moves: Sequence[Move]) -> list[str]:
    """The words behind `pip-compile`. `Unsolved` for what toplayer does not do."""
    output = ["--output-file", posixpath.relpath(path, made.directory or ".")]
    moved = [word for move in moves for word in ("--upgrade-package", f"{move.package}=={move.version}")]
    private = ["--no-emit-index-url", "--no-emit-trusted-host", "--no-config"]
    return [*_kept(made), *output, *moved, *private, "--quiet"]


def _kept(made: Compiled) -> Iterator[str]:
    rest = list(made.argv[1 if made.argv[0] == "pip-compile" else 4 :])
    while rest:
        argument = rest.pop(0)
        option, equals, value = argument.partition("=") if argument.startswith("-") else ("", "=", argument)
        if option in _FLAGS and not equals:
            yield option
        elif option in _PAST and not equals:
            continue
        elif option in (*_VALUES, *_FILES, *_OUTPUT, *_PAST_VALUES, ""):
            value = value if equals or not rest else rest.pop(0)
            if not value or value.startswith("-") or (option in ("", *_FILES) and not inside(made.directory, value)):
                raise Unsolved(f"its header says `{inert(argument, 80)}`, which is not a file in the repository")
            if posixpath.basename(value) in ("setup.py", "setup.cfg"):
                raise Unsolved(f"its header says `{inert(value, 80)}`, which has to be built to be read")
            if option not in (*_OUTPUT, *_PAST_VALUES):
                yield from filter(None, (option, value))
        else:
            raise Unsolved(f"its header asks for `{inert(option, 80)}`, which toplayer does not do")
