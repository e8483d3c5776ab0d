"""requirements.txt, or pylock.toml, as `uv pip compile` made it: its own command again, with the one package moved."""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from watcher.lockfiles.compiled import Compiled, compiled, header
from watcher.lockfiles.lines import lines
from watcher.lockfiles.wanted import included, inside
from workers.propose.header import Kind, Word, like, options, unsettled
from workers.propose.header import words as header_words
from workers.propose.manifest import unbuilt
from workers.propose.move import Move
from workers.propose.pylock_edit import valid
from workers.propose.requirement_edit import raised_in, reach
from workers.propose.uv import Uv, upgrades
from workers.propose.uv_settings import configuration
from workers.propose.workshop import Workshop

_KNOWN = options(
    {
        Kind.FLAG: "--all-extras --emit-build-options --emit-index-annotation --generate-hashes --no-annotate "
        "--no-deps --no-sources --no-strip-extras --no-strip-markers --strip-extras --universal",
        Kind.VALUE: "--annotation-style --exclude-newer --exclude-newer-package --extra --fork-strategy --group "
        "--index-strategy --no-binary --no-emit-package --no-sources-package --only-binary --prerelease "
        "--prerelease-package --python-platform --python-version --resolution --torch-backend",
        Kind.FILE: "-c --constraint --constraints --excludes --override --overrides",
        Kind.INDEX: "-i --default-index --extra-index-url --index --index-url",
        Kind.PYTHON: "-p --python",
        Kind.OUTPUT: "-o --output-file",
        Kind.PAST: "--no-build -U --upgrade -n --no-cache --no-progress --offline -q --quiet --refresh --system-certs "
        "-v --verbose --emit-index-url --emit-find-links",
        Kind.PAST_VALUE: "--color -P --refresh-package --upgrade-package",
    }
)


def _made(text: str, path: str) -> Compiled | None:
    """How the file was made, as its header tells."""
    if posixpath.basename(path).startswith("pylock."):
        return header(text, path)
    return compiled(lines(text, path), path) if path.endswith((".txt", ".in")) else None


class UvCompile:
    """The header's command, where the header says that uv made the file."""

    def keeps(self, text: str, path: str) -> bool:
        made = _made(text, path)
        return made is not None and made.argv[0] == "uv"

    def beside(self, text: str, path: str) -> tuple[str, ...]:
        """Everything that the command names, and uv's configuration; of a requirements file, what it includes."""
        made = _made(text, path)
        if made is not None and made.argv[0] == "uv":
            return (*_named(made), *configuration(made.directory))
        return included(text, path) if path.endswith((".txt", ".in")) else ()

    def run(self, files: Mapping[str, str], path: str, moves: Sequence[Move], shop: Workshop) -> Mapping[str, str]:
        made = _made(files[path], path)
        assert made is not None
        asked = reach(files, _named(made))
        edits = raised_in(files, asked, moves, shop.uv.target.environment)
        target = _target(files[path], path, shop.uv)
        with shop.uv.bench(unbuilt({**files, **edits})) as bench:
            bench.compile(argv(made, path, moves, target), made.directory)
            new = {**edits, path: like(files[path], bench.read(path))}
            if moves:
                bench.write(path, new[path])
                bench.compile(argv(made, path, (), target), made.directory)
                unsettled(path, {**files, **new}, bench.read(path))
            if path.endswith(".toml"):
                valid(new[path], path)
            return new


def _named(made: Compiled) -> list[str]:
    """The files that the command names."""
    return [inside(made.directory, word.value) for word in words(made) if word.kind == Kind.FILE]


def _target(text: str, path: str, uv: Uv) -> tuple[str, str]:
    """What counts where the header leaves it open: the image's Python, or the one that the lock itself is for."""
    python, platform = uv.for_target
    said = re.search(r'(?m)^requires-python = ">=(3[\d.]*)"$', text) if path.endswith(".toml") else None
    return f"--python-version={said[1]}" if said else python, platform


def words(made: Compiled) -> Iterator[Word]:
    """What the command says that still counts. `Unsolved` for what toplayer does not do."""
    return header_words(made.argv[3:], made.directory, _KNOWN)


def argv(made: Compiled, path: str, moves: Sequence[Move], target: Iterable[str]) -> list[str]:
    """The words behind `uv pip compile`: the header's, the moves, and of `target` (`--option=value`) what is open."""
    given = [word for word in words(made) if word.kind != Kind.OUTPUT]
    said = [text for word in given for text in word.spelled()]
    output = ["--output-file", posixpath.relpath(path, made.directory or ".")]
    free = [] if "--universal" in said else [word for word in target if word.partition("=")[0] not in said]
    return [*said, *output, *upgrades(moves), *free, "--quiet"]
