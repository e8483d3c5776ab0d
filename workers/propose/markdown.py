"""Texts of strangers in Markdown: shown as they are, and nothing in them does anything.

A forge turns `@name` into a call, `#12` into a link on both sides, `closes #12` into a deed, an address into a picture
that tells its owner who looks. None of that happens in code, so that is where the words of others go.
"""

import re

from watcher.inert import inert

_ADDRESS = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?(/[A-Za-z0-9._~%!$&()*+,;=:@/?#-]*)?")
# An address of these kinds makes a forge tell the other side that it was mentioned.
_TELLS = re.compile(r"/(issues|pull|pulls|merge_requests|commit|commits|discussions)/")


def code(text: str, longest: int = 200) -> str:
    """A text in a line of Markdown, also in a cell of a table."""
    line = " ".join(inert(text, longest).split()).replace("`", "'").replace("|", "\\|")
    return f"`{line}`" if line else ""


def block(text: str, longest: int) -> str:
    """A text of several lines."""
    safe = inert(text.replace("\r\n", "\n").replace("\r", "\n"), longest).strip("\n")
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", safe)), default=0))
    return f"{fence}text\n{safe}\n{fence}"


def link(address: str) -> str:
    """An address that can be clicked, if that does nothing else; another one is shown as a text."""
    if len(address) <= 300 and _ADDRESS.fullmatch(address) and not _TELLS.search(address):
        return f"<{address}>"
    return code(address)
