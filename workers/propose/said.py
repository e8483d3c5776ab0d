"""What Python's lock tools say when they do not come to a lock, as one of our errors."""

import re

from watcher.errors import IndexRefused, IndexUnreachable, ToplayerError
from watcher.inert import inert
from workers.propose.bench import Unsolved
from workers.propose.errors import InterpreterMissing
from workers.propose.stand_in import BUILDS_NOTHING


def translated(said: str) -> ToplayerError:
    """uv's last words, as one of our errors."""
    url = re.search(r"https?://[^\s`)]+", said)
    why = words(said)
    if re.search(r"No interpreter found|python-build-standalone", said):
        return InterpreterMissing(why)
    if re.search(r"error sending request|Request failed after|server error \(5|timed out|\(429 ", said):
        return IndexUnreachable(url[0] if url else "the index", why)
    if url and re.search(r"lack of valid authentication|40[13] (Unauthorized|Forbidden)", said):
        return IndexRefused(url[0], why)
    if unbuilt := re.search(rf"{BUILDS_NOTHING} .*", said):
        return Unsolved(unbuilt[0], "write into [project] what it leaves open")
    missing = re.search(r"no version of|no versions of|was not found in the package registry|no usable wheels", said)
    return Unsolved(why, _hint(said), missing=missing is not None, said=said)


def translated_from(said: str) -> ToplayerError:
    """The last words of a tool that speaks of indexes as `requests` does, as one of our errors."""
    url = re.search(r"https?://[^\s`'\")]+", said)
    why = inert(" ".join(re.sub(r"\x1b\[[0-9;]*m", "", said).split())[-600:], 600)
    if re.search(r"Connection(Error| refused| aborted)|All attempts to connect|Max retries|timed out|50[0234] ", said):
        return IndexUnreachable(inert(url[0]) if url else "the index", why)
    if url and re.search(r"40[13] |[Uu]nauthorized|Authorization", said):
        return IndexRefused(inert(url[0]), why)
    if unbuilt := re.search(rf"{BUILDS_NOTHING} .*", said):
        return Unsolved(unbuilt[0].strip(), "only a wheel, or a source that says what it needs, can be locked here")
    missing = re.search(r"No matching distribution|doesn't match any versions|not find a version|No matching", said)
    return Unsolved(why or "it did not say why", _hint(said), missing=missing is not None, said=said)


def words(said: str) -> str:
    """The reasons in uv's words, on one line: without what it concludes from them, and without advice."""
    text = re.split(r"\n\s*hint: ", said, maxsplit=1)[0]
    text = re.sub(r"(?m)^(Using (CPython|PyPy) |warning: |Resolved ).*$", "", text)
    text = re.sub(r"(?m)^(error|\s+cause): ", " ", text)
    text = re.sub(r"No solution found when resolving dependencies( for split \(.*\))?", " ", text)
    steps = re.split(r", we can conclude that .*?(?: And because |$)", " ".join(text.split()))
    return inert("; ".join(step.removeprefix("Because ") for step in steps if step), 600) or "it did not say why"


def _hint(said: str) -> str:
    if "no usable wheels" in said:
        return "toplayer builds nothing from source: the release, or what it needs, has to have wheels"
    return ""
