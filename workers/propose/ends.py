"""How a text begins and how its lines end: taken off for the tools, put on again for the commit.

The one place that knows of byte order marks and of two kinds of line ends: tools get texts with neither.
"""

_MARK = "\ufeff"


def bare(text: str) -> str:
    """The text without a byte order mark, and with plain line ends, if it has only those of Windows."""
    text = text.removeprefix(_MARK)
    return text.replace("\r\n", "\n") if _is_windows(text) else text


def dressed(text: str, like: str) -> str:
    """A text that came of a bare one, beginning and with its lines ending as `like` does."""
    ends = text.replace("\r\n", "\n").replace("\n", "\r\n") if _is_windows(like) else text
    return (_MARK if like.startswith(_MARK) else "") + ends


def _is_windows(text: str) -> bool:
    """Whether all of its lines end as on Windows. Where some do, they are part of the text, and stay what they are."""
    return text.count("\r\n") == text.count("\n") == text.count("\r") > 0
