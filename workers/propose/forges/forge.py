"""What a forge can be asked for: few things, the same everywhere."""

import re
from dataclasses import dataclass
from typing import Protocol

from watcher.proposal import Proposal

_SEAL = re.compile(r"<!-- toplayer: (\S+) -->")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """What a proposal says: its title, and its body in Markdown. `key` is what it is opened for."""

    branch: str
    title: str
    body: str
    key: str

    @property
    def sealed(self) -> str:
        """The body with the key in its last line, where people do not see it."""
        return f"{self.body.rstrip()}\n\n<!-- toplayer: {self.key} -->\n"


def key_of(body: str | None) -> str:
    """The key in a proposal's body: the last one on a line of its own that is in no block of code. Or an empty text.

    Below it there may be the words of a bot, and above it those of strangers, which we put into blocks.
    """
    key, fence = "", ""
    for line in re.split(r"\r?\n", body or ""):
        mark = _FENCE.fullmatch(line)
        if fence:
            if mark and mark[1].startswith(fence) and not mark[2].strip():
                fence = ""
        elif mark and not (mark[1][0] == "`" and "`" in mark[2]):
            fence = mark[1]
        elif sealed := _SEAL.fullmatch(line.rstrip()):
            key = sealed[1]
    return key


class Opening(Protocol):
    """What it takes to propose. Every method raises `ForgeRefused`, or something `Temporary`."""

    def find(self, branch: str, key: str) -> Proposal | None:
        """The open proposal of the branch; else the one that was opened for `key`, whatever became of it.

        Its checks are not asked for. A branch of the same name in somebody's copy of the project is another one.
        """
        ...

    def write(self, paper: Paper, number: int = 0) -> Proposal:
        """Opens a proposal, or writes the one with this number anew. There is never a second one of a branch."""
        ...

    def invite(self, number: int) -> None:
        """Sets the labels and asks the reviewers that the settings name. Doing it again changes nothing."""
        ...


class Tending(Protocol):
    """What it takes to see a proposal through. Every method raises `ForgeRefused`, or something `Temporary`."""

    def look(self, number: int, branch: str) -> Proposal | None:
        """The proposal as it is now, with its checks if anything depends on them.

        None if the number is no proposal of this branch for ours: it was deleted, or sent to another branch, or the
        settings name another project since, where somebody else's has that number.
        """
        ...

    def ready(self, number: int) -> None:
        """Makes a draft a proposal like any other."""
        ...

    def merge(self, proposal: Proposal) -> None:
        """Asks the forge to merge exactly the commit that `proposal` has: now, or by its queue if it has one.

        A `ForgeRefused` says what it waits for.
        """
        ...

    def close(self, proposal: Proposal, why: str) -> None:
        """Closes the proposal if it is still there (see `look`), open, and written for the same key; and says why."""
        ...


class Forge(Opening, Tending, Protocol):
    """One project on one forge."""

    def greet(self) -> str:
        """Who we are there, in words, if that is enough to propose. A `ForgeRefused` says which right is missing."""
        ...
