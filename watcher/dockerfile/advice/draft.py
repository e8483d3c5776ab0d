"""A stage that is being rewritten: its instructions as texts that can be moved, and what is known of each."""

import posixpath
import re
import shlex
from dataclasses import dataclass

from watcher.dockerfile.content import Place, of_files
from watcher.dockerfile.install import Install, installs
from watcher.dockerfile.parse import Instruction, Parsed, parse
from watcher.dockerfile.project import Project
from watcher.dockerfile.stages import Stage, stages
from watcher.image import Platform

_SILENCED = re.compile(r"toplayer:\s*ignore\b\s*(.*)")
_NOT_PLAIN = re.compile(r"[;|`(){}<>\n]|\$\(|(?<!&)&(?!&)")


@dataclass(frozen=True, slots=True)
class Piece:
    """One instruction: its text in the file (comments above it included), and the directory that it works in."""

    text: str
    instruction: Instruction
    directory: str

    @property
    def keyword(self) -> str:
        return self.instruction.keyword

    def silences(self, code: str) -> bool:
        """Whether a comment above it says `toplayer: ignore`, of everything or of this code."""
        for comment in self.instruction.comments:
            found = _SILENCED.search(comment)
            if found and (not found[1].strip() or code in re.split(r"[\s,]+", found[1])):
                return True
        return False

    def placed(self, project: Project) -> dict[str, str]:
        """Of a COPY or an ADD from the context: where each file comes to lie, and the file. Empty for anything else."""
        one = self.instruction
        plain = not one.flag("from") and not one.heredocs and not any("$" in word.text for word in one.words)
        if one.keyword not in ("COPY", "ADD") or not plain or one.flag("parents") or one.flag("exclude"):
            return {}
        *named, to = [word.text for word in one.words]
        if any("://" in name for name in named):
            return {}
        area = posixpath.normpath(posixpath.join(self.directory, to))
        place = Place.of(one, area, to.endswith("/") or to in (".", "") or len(named) > 1)
        found: dict[str, str] = {}
        for name in named:
            content = of_files(dict.fromkeys(project.files, ""), name, place)
            found |= {path: file for path, (_, file) in (content.placed or {}).items()}
        return found

    def chain(self) -> list[str] | None:
        """The commands of a RUN that is nothing but commands joined by `&&`; None for any other."""
        one = self.instruction
        if one.keyword != "RUN" or one.in_json or one.heredocs or not one.words:
            return None
        text = " ".join(one.words[0].text.split())
        if _NOT_PLAIN.search(text):
            return None
        parts = [part.strip() for part in text.split("&&")]
        try:
            words = [shlex.split(part) for part in parts]
        except ValueError:
            return None
        return parts if all(words) else None


@dataclass(frozen=True, slots=True)
class Draft:
    """A Dockerfile, and one stage of it in pieces. `head` is everything up to the stage's FROM, `tail` what follows."""

    head: str
    origin: str
    pieces: tuple[Piece, ...]
    tail: str
    stage: Stage

    def text(self, pieces: "list[Piece | str] | None" = None, *, before: str = "", head: str | None = None) -> str:
        """The file with other pieces in the place of the stage's. `before` comes in front of the stage."""
        rows = [
            piece if isinstance(piece, str) else piece.text for piece in (self.pieces if pieces is None else pieces)
        ]
        body = "".join(f"{row.rstrip()}\n" for row in rows)
        return f"{self.head if head is None else head}{before}{self.origin}\n{body}{self.tail}"


def drafts(parsed: Parsed) -> list[Draft]:
    """Every stage of a Dockerfile, ready to be rewritten."""
    found = stages(parsed, {}, Platform("linux", "amd64"))
    return [_draft(parsed, stage) for stage in found.all]


def _draft(parsed: Parsed, stage: Stage) -> Draft:
    text = parsed.text
    own = stage.own
    starts = [_start(text, one) for one in own]
    end = own[-1].span.end if own else stage.origin.span.end
    directory, pieces = "/", []
    for start, one in zip(starts, own, strict=True):
        if one.keyword == "WORKDIR" and "$" not in one.words[0].text:
            directory = posixpath.normpath(posixpath.join(directory, one.words[0].text))
        finish = _end(text, one)
        pieces.append(Piece(text[start:finish].rstrip("\n"), one, directory))
    tail = text[_end(text, own[-1]) if own else end :]
    tail = tail.removeprefix("\r").removeprefix("\n") if not own else tail
    return Draft(
        text[: stage.origin.span.start],
        text[stage.origin.span.start : stage.origin.span.end],
        tuple(pieces),
        tail,
        stage,
    )


def _start(text: str, one: Instruction) -> int:
    """Where the instruction begins, with the comments right above it."""
    start = text.rfind("\n", 0, one.span.start) + 1
    while start:
        above = text.rfind("\n", 0, start - 1) + 1
        if not text[above:start].lstrip().startswith("#"):
            break
        start = above
    return start


def _end(text: str, one: Instruction) -> int:
    """Where the next line begins. `span` ends with the last line, that of a heredoc's name included."""
    end = text.find("\n", one.span.end)
    return len(text) if end < 0 else end + 1


def install_of(command: str) -> Install | None:
    """What one command installs."""
    parsed = parse(f"FROM x\nRUN {command}\n").instructions[1]
    found = installs(parsed)
    return found[0] if found else None
