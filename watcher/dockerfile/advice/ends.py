"""Line ends: a file that is rewritten keeps those that it had."""

from difflib import SequenceMatcher


def plain(text: str) -> str:
    """The text with the line ends that the advisor reckons with."""
    return text.replace("\r\n", "\n")


def like(original: str, text: str) -> str:
    """A text that was made from `plain(original)`, with the line ends of the original: lines that are still there have
    their own, new ones those of most lines; and an end of the last line only if there was one."""
    old, new = original.split("\n"), text.split("\n")
    windows = sum(row.endswith("\r") for row in old) * 2 > max(len(old) - 1, 1)
    found = [f"{row}\r" if windows else row for row in new]
    matcher = SequenceMatcher(None, [row.removesuffix("\r") for row in old], new, autojunk=False)
    for block in matcher.get_matching_blocks():
        found[block.b : block.b + block.size] = old[block.a : block.a + block.size]
    # The last one is what stands behind the last line end.
    found[-1] = found[-1].removesuffix("\r")
    if not original.endswith("\n") and text.endswith("\n"):
        found.pop()
        found[-1] = found[-1].removesuffix("\r")
    return "\n".join(found)
