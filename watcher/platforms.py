"""What is said of an image for several platforms."""

from collections.abc import Mapping, Sequence


def together(said: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """What is said of each platform, as one text: once where it is said of all of them, else with whom it is about."""
    whom: dict[str, dict[str, None]] = {}
    for platform, lines in said.items():
        for line in lines:
            whom.setdefault(line, {})[platform] = None
    return tuple(
        line if len(platforms) == len(said) else f"{', '.join(platforms)}: {line}" for line, platforms in whom.items()
    )
