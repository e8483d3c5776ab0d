"""Events → sentences for people. Pure; the words of strangers in them are inert plain text."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from watcher.event import Event, Fact
from watcher.inert import inert
from watcher.units import brief, listed, size, span

_LONGEST = 300
_BROKEN = ("failed", "halted", "stuck", "stalled", "drifted", "unreadable", "unwatched", "unreachable")
_URGENT = frozenset((*_BROKEN, "hit", "flawed", "quarantined"))


@dataclass(frozen=True, slots=True)
class Notice:
    """One line for people, and whether somebody has to act."""

    text: str
    urgent: bool = False


def notices(events: Iterable[Event]) -> list[Notice]:
    """One notice per event, in order; neighbours that say the same of several hosts are one notice together.

    Ten thousand hosts that start to fetch are one sentence, not ten thousand messages.
    """
    return [_notice(list(same)) for _, same in groupby(events, key=_together)]


def _together(event: Event) -> tuple[str, str]:
    subject = event.subject.rpartition(":")[0] if event.kind.startswith("host.") else str(event.id)
    return event.kind, subject


def _notice(events: list[Event]) -> Notice:
    event = events[0]
    area, _, verb = event.kind.partition(".")
    said = _OF_AREA.get(area, _of_anything)(verb, events)
    return Notice(inert(said.replace("\n", " "), _LONGEST), verb in _URGENT)


def _of_bump(verb: str, events: list[Event]) -> str:
    event, facts = events[0], events[0].facts
    place = _text(facts, "url") or _text(facts, "branch")
    where = {"proposed": f" on {place}", "opened": f" on {place}", "merged": f" in {_text(facts, 'commit')[:12]}"}.get(
        verb, ""
    )
    first = f"{_text(facts, 'package')} {_text(facts, 'from') or '(by tag)'} → {_text(facts, 'to')}"
    change = brief(listed([first, *filter(None, _text(facts, "with").split(", "))]))
    return f"{event.app}: {change} {verb.replace('_', ' ')}{where}{_because(facts)}"


def _of_rollout(verb: str, events: list[Event]) -> str:
    event, facts = events[0], events[0].facts
    parts = [f"{event.subject} {verb.replace('_', ' ')}"]
    if verb == "wanted":
        parts.append(f"for commit {_text(facts, 'commit')[:12]} ({_text(facts, 'cause')})")
    if verb == "built":
        weight = size(_number(facts.get("new_size")))
        parts.append(f"{facts.get('new_layers', 0)} of {facts.get('layers', 0)} layers new, {weight}")
        parts += [f"(warning: {facts['warning']})"] if facts.get("warning") else []
    if verb == "wave":
        parts.append(str(facts.get("wave", "")))
    if verb == "done" and "seconds" in facts:
        parts.append(f"{span(_number(facts['seconds']))} after the upstream release")
    return " ".join(parts) + _because(facts)


def _of_host(verb: str, events: list[Event]) -> str:
    facts = events[0].facts
    rollout = events[0].subject.rpartition(":")[0]
    shown = listed([_text(event.facts, "host") for event in events])
    cost = ""
    if verb == "done":
        most = max(_number(event.facts.get("bytes")) for event in events)
        slowest = max(_number(event.facts.get("seconds")) for event in events)
        cost = f" ({size(most)}, {span(slowest)}{' at most' if len(events) > 1 else ''})"
    return f"{rollout}: {shown} {verb.replace('_', ' ')}{cost}{_because(facts)}"


def _of_pin(verb: str, events: list[Event]) -> str:
    event, facts = events[0], events[0].facts
    return f"{event.app}: {_text(facts, 'package')} {verb}: {_text(facts, 'said')}"


def _of_anything(verb: str, events: list[Event]) -> str:
    event = events[0]
    facts = ", ".join(f"{key} {_text(event.facts, key)}" for key in event.facts)
    return f"{event.subject} {verb}{f': {facts}' if facts else ''}"


_OF_AREA = {"bump": _of_bump, "rollout": _of_rollout, "host": _of_host, "pin": _of_pin}


def _text(facts: Mapping[str, Fact], key: str) -> str:
    value = facts.get(key)
    return "" if value is None else str(value)


def _number(value: Fact) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


def _because(facts: Mapping[str, Fact]) -> str:
    return f": {_text(facts, 'reason')}" if facts.get("reason") else ""


def lines(found: Iterable[Notice]) -> Iterator[str]:
    """The notices as plain lines; an urgent one says so in words, because colour carries no meaning."""
    for notice in found:
        yield f"ACT: {notice.text}" if notice.urgent else notice.text
