"""A stage that is being rewritten: its instructions as texts that can be moved, and what is known of each."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from watcher.dockerfile.advice.paths import ROOT, unknown, within
from watcher.dockerfile.advice.silence import silenced
from watcher.dockerfile.commands import Command, chain
from watcher.dockerfile.content import Place, of_files
from watcher.dockerfile.install import Install, install
from watcher.dockerfile.parse import Instruction, Parsed, parse
from watcher.dockerfile.project import Project
from watcher.dockerfile.source import Span
from watcher.dockerfile.stages import SCRATCH, Stage, mounts, sources, stages
from watcher.image import Platform

_SHELLS = ("sh", "bash", "ash", "dash")
_ODD = re.compile(r"[*?\[\]\\$\"'`\n]|^<<|^-")
"""What makes a name of a file something else where it is written after COPY."""

Edit = tuple[Span, str]
"""A part of the file, and what comes in its place."""


@dataclass(frozen=True)
class Piece:
    """One instruction: its text in the file, everything above it included, and the place where that begins. It works in
    `directory`, as `user` (empty: as the base image says); `plain_shell`: what it runs is run by a shell as we read
    it."""

    text: str
    start: int
    instruction: Instruction
    directory: str
    user: str
    plain_shell: bool

    @property
    def keyword(self) -> str:
        return self.instruction.keyword

    @property
    def copies(self) -> bool:
        return self.keyword in ("COPY", "ADD")

    @property
    def by_root(self) -> bool:
        """Whether it is done as root, if nothing but the base image could say otherwise."""
        return self.user.partition(":")[0] in ("", "root", "0")

    @cached_property
    def chain(self) -> tuple[Command, ...] | None:
        """The commands of a RUN that is nothing but plain commands joined by `&&`; None for any other."""
        return chain(self.instruction) if self.plain_shell else None

    @cached_property
    def installs(self) -> tuple[Install | None, ...]:
        """What each command of the chain installs."""
        return tuple(install(command.texts) for command in self.chain or ())

    def silences(self, code: str) -> bool:
        """Whether a comment above it says `toplayer: ignore`, of everything or of this code."""
        return silenced(self.instruction.comments, code)

    @property
    def to(self) -> str:
        """Of a COPY or an ADD: where it copies to."""
        return within(self.directory, self.instruction.words[-1].text)

    @property
    def into(self) -> bool:
        """Of a COPY or an ADD: whether a file comes below that by its own name."""
        to = self.instruction.words[-1].text
        return to.endswith("/") or to in (".", "") or len(self.instruction.words) > 2

    def placed(self, project: Project) -> dict[str, str]:
        """Of a COPY or an ADD from the context: where each file comes to lie, and the file. Empty for anything else."""
        one = self.instruction
        plain = not one.flag("from") and not one.heredocs and not any("$" in word.text for word in one.words)
        if not self.copies or not plain or one.flag("parents") or one.flag("exclude") or len(one.words) < 2:
            return {}
        named = [word.text for word in one.words[:-1]]
        if any("://" in name or name.startswith("git@") for name in named):
            return {}
        found: dict[str, str] = {}
        for name in named:
            content = of_files(dict.fromkeys(project.files, ""), name, Place.of(one, self.to, self.into))
            if content.placed is None:
                return {}
            found |= {path: file for path, (_, file) in content.placed.items()}
        return found

    def flags(self, *names: str) -> str:
        """Those of its flags that have one of these names, or all, as they are written after the keyword."""
        kept = [flag for flag in self.instruction.flags if not names or flag.name in names]
        return "".join(f"--{flag.name}={flag.value} " for flag in kept)

    def edited(self, edits: Iterable[Edit]) -> str:
        """Its text with some parts of it in other words."""
        text = self.text
        for span, new in sorted(edits, key=lambda edit: edit[0], reverse=True):
            text = text[: span.start - self.start] + new + text[span.end - self.start :]
        return text

    @property
    def above(self) -> str:
        """What stands above the instruction: comments and empty lines."""
        begin = self.instruction.span.start - self.start
        return self.text[: self.text.rfind("\n", 0, begin) + 1]

    @property
    def bare(self) -> str:
        """The instruction, and of what stands above it only what silences us."""
        return self.quiet + self.text[len(self.above) :].rstrip("\n")

    @property
    def quiet(self) -> str:
        """The comments above it that silence us: they hold for every part of it."""
        return "".join(f"{row.strip()}\n" for row in self.above.splitlines() if "toplayer:" in row)


@dataclass(frozen=True)
class Draft:
    """A Dockerfile, and one stage of it in pieces. `head` is everything up to the stage's FROM and what is said of it,
    `origin` these, `tail` what follows."""

    parsed: Parsed
    head: str
    origin: str
    pieces: tuple[Piece, ...]
    tail: str
    stage: Stage

    def text(self, pieces: "Sequence[Piece | str] | None" = None, *, before: str = "") -> str:
        """The file with other pieces in the place of the stage's. `before` comes in front of the stage."""
        rows = [one if isinstance(one, str) else one.text for one in (self.pieces if pieces is None else pieces)]
        body = "".join(row if row.endswith("\n") else f"{row}\n" for row in rows)
        origin = self.origin if self.origin.endswith("\n") else f"{self.origin}\n"
        return f"{self.head}{before}{origin}{body}{self.tail}"

    def again(self, name: str) -> str:
        """A FROM of the same base, for another stage."""
        flags = "".join(f"--{flag.name}={flag.value} " for flag in self.stage.origin.flags)
        return f"FROM {flags}{self.stage.word.text} AS {name}"

    @property
    def takes_stages(self) -> bool:
        """Whether another stage can be put in front of this one: none is called by its number."""
        return not any(name.isdigit() for name in _called(self.parsed))

    def free(self, name: str) -> str:
        """A name for another stage: this one, or one like it that means nothing yet."""
        taken = {one.lower() for one in _called(self.parsed)} | {
            one.words[2].text.lower()
            for one in self.parsed.instructions
            if one.keyword == "FROM" and len(one.words) == 3
        }
        return next(one for one in (name, *(f"{name}-{n}" for n in range(2, 1000))) if one not in taken)


def _called(parsed: Parsed) -> set[str]:
    """What stands where a stage could be named."""
    found: set[str] = set()
    for one in parsed.instructions:
        if one.keyword == "FROM" and one.words:
            found.add(one.words[0].text)
        found |= set(sources(one))
        if one.keyword == "RUN":
            found |= {mount["from"] for mount in mounts(one) if mount.get("from")}
    return found


def drafts(parsed: Parsed) -> list[Draft]:
    """Every stage of a Dockerfile, ready to be rewritten. None of a file that ends within an instruction."""
    if len(parse(f"{parsed.text}\nLABEL a=1\n").instructions) != len(parsed.instructions) + 1:
        return []
    found: list[Draft] = []
    for stage in stages(parsed, {}, Platform("linux", "amd64")).all:
        below = found[stage.standing_on] if stage.standing_on is not None else None
        found.append(_draft(parsed, stage, below))
    return found


@dataclass
class _State:
    """What an instruction finds."""

    directory: str
    user: str = ""
    plain_shell: bool = True

    def after(self, one: Instruction) -> "_State":
        if one.keyword == "WORKDIR":
            path = one.words[0].text.strip("\"'")
            to = unknown(one.first) if "$" in path else within(self.directory, path)
            return _State(to, self.user, self.plain_shell)
        if one.keyword == "USER":
            return _State(self.directory, one.words[0].text, self.plain_shell)
        if one.keyword == "SHELL":
            program = one.words[0].text.rpartition("/")[2] if one.words else ""
            return _State(self.directory, self.user, program in _SHELLS)
        return self


def _draft(parsed: Parsed, stage: Stage, below: Draft | None) -> Draft:
    text = parsed.text
    state = _State(ROOT if stage.base == SCRATCH else unknown(0), plain_shell=parsed.escape == "\\")
    if below is not None and below.pieces:
        last = below.pieces[-1]
        state = _State(last.directory, last.user, last.plain_shell).after(last.instruction)
    first = _line_start(text, stage.origin.span.start)
    begin, at = _said_above(parsed, first), _line_end(text, stage.origin)
    head, origin = text[:begin], text[begin:at]
    pieces = []
    for one in stage.own:
        state, end = state.after(one), _line_end(text, one)
        pieces.append(Piece(text[at:end], at, one, state.directory, state.user, state.plain_shell))
        at = end
    return Draft(parsed, head, origin, tuple(pieces), text[at:], stage)


def _said_above(parsed: Parsed, start: int) -> int:
    """Where the comments right above a line begin. Those at the top of the file may be directives, and stay there."""
    begin = start
    while begin:
        above = _line_start(parsed.text, begin - 1)
        if not parsed.text[above:begin].lstrip("\ufeff \t").startswith("#"):
            return begin
        begin = above
    return start if parsed.directives or parsed.text.startswith("\ufeff") else begin


def _line_start(text: str, at: int) -> int:
    return text.rfind("\n", 0, at) + 1


def _line_end(text: str, one: Instruction) -> int:
    """Where the next line begins. `span` ends with the last line, that of a heredoc's name included."""
    end = text.find("\n", one.span.end)
    return len(text) if end < 0 else end + 1


def copy(flags: str, names: Sequence[str], to: str) -> str:
    """A COPY of these files; empty if it cannot be written."""
    if not to or any(_ODD.search(name) for name in (*names, to)):
        return ""
    if any(" " in name or "\t" in name for name in (*names, to)):
        return f"COPY {flags}{json.dumps([*names, to], ensure_ascii=False)}"
    return f"COPY {flags}{' '.join([*names, to])}"
