"""What can go wrong with git, told from git's own words (git speaks English here: LC_ALL is C)."""

import re

from watcher.errors import Refused, Temporary, ToplayerError
from watcher.inert import inert
from workers.process import ToolFailed


class GitUnreachable(Temporary):
    """The other side did not answer, or said that it cannot now."""

    def __init__(self, where: str, why: str) -> None:
        self.where, self.why = where, why
        super().__init__(where, why)

    def __str__(self) -> str:
        return f"{self.where} did not answer: {self.why}"


class GitRefused(Refused):
    """Git, or the other side, says no: credentials, a missing branch, a protected branch, a hook, a full disk."""

    def __init__(self, where: str, why: str, hint: str = "") -> None:
        self.where, self.why, self.hint = where, why, hint
        super().__init__(where, why, hint)

    def __str__(self) -> str:
        return f"{self.where}: {self.why}"


class BranchMoved(Temporary):
    """The branch is not where we saw it last. Nothing was pushed; the next look works on what is there now."""

    def __init__(self, where: str, branch: str) -> None:
        self.where, self.branch = where, branch
        super().__init__(where, branch)

    def __str__(self) -> str:
        return f"the branch `{self.branch}` of {self.where} moved in the meantime"


class MirrorDamaged(Temporary):
    """The local copy is not whole. It has been thrown away, and the next look makes a new one."""

    def __init__(self, where: str, why: str) -> None:
        self.where, self.why = where, why
        super().__init__(where, why)

    def __str__(self) -> str:
        return f"the local copy {self.where} was damaged and is made anew: {self.why}"


_CREDENTIALS = "check apps.*.git in the configuration: username, password or ssh_key, and what they may do there"
_REFUSALS = (
    (r"couldn't find remote ref", "check apps.*.branch"),
    (r"could not read (Username|Password)|Authentication failed|error: 40[13]\b|Permission denied", _CREDENTIALS),
    (r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED", "check the host's key, then known_hosts"),
    (r"certificate|SSL", "name the authority's certificates in the environment variable SSL_CERT_FILE"),
    (r"not found|does not exist|not appear to be a git repository|error: 404\b", "check apps.*.repository"),
    (r"No space left on device|Disk quota exceeded", "make room on the disk"),
    (r"Read-only file system|unable to create|could not create|Permission denied", "check the owner and the mode"),
    (r"ambiguous argument|not our ref|unadvertised object|bad object|Not a valid object", "was the history rewritten?"),
    (r"transport '.*' not allowed|dumb http transport|invalid path|not a valid", ""),
)
_NOT_NOW = (
    r"Could not resolve host|Connection (refused|reset|timed out|closed)|Failed to connect|timed out|"
    r"Operation too slow|Temporary failure|Network is unreachable|No route to host|error: (429|5\d\d)\b|"
    r"unexpected disconnect|early EOF|hung up unexpectedly"
)
_DAMAGE = (
    r"(loose )?object( file)? \S+ (is empty|is corrupt|\(stored in)|packfile .* (too short|is corrupt|not match)|"
    r"bad object refs/|did not send all necessary objects|not a git repository: '|unable to read tree|bad config|"
    r"index file .* is too small|inflate: data stream error"
)


def is_damage(error: ToolFailed) -> bool:
    """Whether git complains of its own files here, rather than of anything that anybody did."""
    return re.search(_DAMAGE, error.said) is not None


def translated(error: ToolFailed, where: str, *, far: bool) -> ToplayerError:
    """The failure of a git command at `where` as an error of ours. `far`: what is not clear is worth a second try."""
    if error.code == 127:
        return GitRefused(where, error.said, error.hint)
    why = plain(error.said)
    # `hung up unexpectedly` follows many a clear refusal, so refusals are looked for first, but not in the way of an
    # answer that says "later" in numbers.
    if not re.search(r"error: (429|5\d\d)\b|Could not resolve host", error.said):
        for sign, hint in _REFUSALS:
            if re.search(sign, error.said):
                return GitRefused(where, why, hint)
    return GitUnreachable(where, why) if far else GitRefused(where, why)


def plain(said: str) -> str:
    """What git and the other side said, on one line, without advice to people who sit at a terminal."""
    lines = [re.sub(r"^((remote|fatal|error|warning): +)+", "", line).strip(" \ufffd") for line in said.splitlines()]
    kept = list(dict.fromkeys(line for line in lines if line and not _ADVICE.match(line)))
    kept = kept if len(kept) <= 6 else [*kept[:3], "…", *kept[-2:]]
    return inert("; ".join(kept), 600) or "git ended without a word"


_ADVICE = re.compile(
    r"hint:|To (\S+://|/|\S+:)|failed to push some refs|Please make sure you have|and the repository exists|"
    r"Cloning into|Could not read from remote repository|remote:$|To add an exception|git config --global"
)
