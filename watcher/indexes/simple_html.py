"""The HTML form of the Simple API (PEP 503), turned into what its JSON form would be.

Read with two patterns and not with a parser of HTML: a page is a list of anchors and a few tags in its head, and what
an index sends to harm us is read in one pass, whatever it is. Attributes may hold a bare `>`, as Artifactory writes it.
"""

import re
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from watcher.errors import IndexLied

_MOST_TAGS = 200_000
_ATTRIBUTE = r"""[^\s"'<>/=]++(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s"'=<>`]++))?+"""
_TAG = re.compile(rf"<(a|meta|base)((?:\s++(?:{_ATTRIBUTE})?+)*+)/?+>", re.IGNORECASE)
_PAIR = re.compile(r"""([^\s"'<>/=]++)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s"'=<>`]++)))?+""")


def read(text: str, url: str) -> tuple[dict[str, Any], str]:
    """The page that came from `url`, and what its relative addresses are relative to. An `IndexLied` if it is none."""
    tags = list(_tags(text, url))
    if not tags and not re.match(r"\s*<(!doctype|html|head|body)", text[:1000], re.IGNORECASE):
        raise IndexLied(url, "body", "a page of HTML", "something else")
    metas = {one.get("name", "").lower(): one.get("content", "") for name, one in tags if name == "meta"}
    base = next((one["href"] for name, one in tags if name == "base" and one.get("href")), "")
    page: dict[str, Any] = {
        "meta": {"api-version": metas.get("pypi:repository-version", "1.0")},
        "files": [row for name, one in tags if name == "a" and (row := _row(one))],
    }
    if "pypi:project-status" in metas:
        reason = metas.get("pypi:project-status-reason")
        page["project-status"] = {"status": metas["pypi:project-status"], "reason": reason}
    try:
        return page, urljoin(url, base)
    except ValueError:
        raise IndexLied(url, "base", "an address", repr(base[:80])) from None


def _tags(text: str, url: str) -> Iterator[tuple[str, dict[str, str]]]:
    for number, found in enumerate(_TAG.finditer(_without_comments(text))):
        if number == _MOST_TAGS:
            raise IndexLied(url, "body", f"at most {_MOST_TAGS:,} files", "more")
        pairs = _PAIR.findall(found[2])
        yield found[1].lower(), {name.lower(): unescape(a or b or c) for name, a, b, c in reversed(pairs)}


def _without_comments(text: str) -> str:
    first, *others = text.split("<!--")
    return first + "".join(other.partition("-->")[2] for other in others)


def _row(anchor: dict[str, str]) -> dict[str, Any] | None:
    """A file as the JSON form has it, or None for an anchor that is none."""
    try:
        parts = urlsplit(anchor.get("href", "").strip())
    except ValueError:
        return None
    filename = unquote(parts.path).rpartition("/")[2]
    if not filename:
        return None
    algorithm, _, value = parts.fragment.partition("=")
    return {
        "filename": filename,
        "url": parts._replace(fragment="").geturl(),
        "hashes": {algorithm: value.lower()} if value else {},
        "requires-python": anchor.get("data-requires-python"),
        "yanked": (anchor["data-yanked"] or True) if "data-yanked" in anchor else False,
    }
