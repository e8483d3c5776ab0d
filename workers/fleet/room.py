"""What an image lacks on a host, and whether the disk has room for it. Pure but for the questions to the engine.

The Engine API does not say how much of a disk is free. A container's root file system lies on the disk of the engine's
data, so whoever asks inside of one knows: the helper that pulls, or `df` in the container that runs.
"""

from collections.abc import Callable, Iterable, Sequence

from watcher.errors import ToplayerError
from workers.oci.manifest import Descriptor, ImageConfig, Manifest

TIMES = 4
"""Bytes of disk for a compressed byte: it is kept while it is unpacked, to some three times its size."""
FULL = "no space left on device"

_DF = ("df", "-Pk", "/")


def lacking(manifest: Manifest, config: ImageConfig, held: Iterable[Sequence[str]]) -> tuple[Descriptor, ...]:
    """The layers that an engine has to be given, from the bottom up, if it holds images of these diff IDs.

    With the classic store a layer counts as there only on top of all that is below it.
    """
    if len(config.diff_ids) != len(manifest.layers):
        return manifest.layers
    wanted = tuple(map(str, config.diff_ids))
    longest = max((_common(wanted, ids) for ids in held), default=0)
    return manifest.layers[longest:]


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    pairs = zip(one, other, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def needed(layers: Iterable[Descriptor], *, carried: bool = False) -> int:
    """The bytes of disk that these layers take while they arrive; `carried`: once more beside the engine's own data."""
    return (TIMES + carried) * sum({layer.digest: layer.size for layer in layers}.values())


def free(run: Callable[[tuple[str, ...]], tuple[int | None, str]]) -> int | None:
    """The free bytes of the engine's disk, by `df` in a container; None if it cannot tell.

    `run` runs a command in the container: its exit code and its output. The format is that of POSIX `df -P`.
    """
    try:
        code, said = run(_DF)
    except ToplayerError:
        return None
    words = said.splitlines()[-1].split() if said.strip() else []
    return int(words[3]) * 1024 if code == 0 and len(words) >= 6 and words[3].isdigit() else None


def short_of(needs: int, has: int) -> str:
    """Why there is no room, in words that the engine's own refusal has, too; empty if there is."""
    return f"{FULL}: the image needs some {needs} bytes while it arrives, and {has} are free" if has < needs else ""
