"""What apt leaves in a layer besides what was asked for."""

from collections.abc import Sequence

from watcher.dockerfile.commands import commands
from watcher.dockerfile.install import Install
from watcher.dockerfile.parse import Instruction
from watcher.dockerfile.stages import mounts

APT = ("apt-get", "apt")
LISTS = "/var/lib/apt/lists"


def is_update(words: Sequence[str]) -> bool:
    """Whether a command fetches the lists of all packages."""
    return words[0] in APT and next((word for word in words[1:] if not word.startswith("-")), "") == "update"


def leaves_lists(instruction: Instruction) -> bool:
    """Whether a RUN fetches the lists, and they are still in its layer."""
    return keeps_lists(instruction) and any(is_update(words) for words in commands(instruction))


def keeps_lists(instruction: Instruction) -> bool:
    """Whether a RUN leaves the lists where they are, and they are in its layer."""
    cached = [mount.get("target", "") for mount in mounts(instruction)]
    if any(f"{LISTS}/".startswith(f"{target.rstrip('/')}/") for target in cached):
        return False
    return not any(
        words[0] in ("rm", "find") and any(LISTS in word for word in words) for words in commands(instruction)
    )


def takes_recommends(one: Install) -> bool:
    """Whether an install brings what the packages recommend, too: apt's default."""
    told = [option.value or "" for option in one.options if option.name in ("-o", "--option")]
    return not one.has("--no-install-recommends", "--install-recommends") and not any(
        "ecommends" in row for row in told
    )
