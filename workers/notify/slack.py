"""Notices → what a Slack incoming webhook takes. Nothing from outside can mention, link or format."""

import json
from collections.abc import Sequence

from watcher.event import Event
from watcher.notice import lines, notices
from workers.notify.delivery import Delivery

BATCH = 45
"""Events in one message: a burst becomes one message, because Slack takes about one per second and people fewer. One
notice is one section, and a message may have 50."""


def deliveries(url: str, events: Sequence[Event]) -> list[Delivery]:
    """One message for all the events (at most BATCH of them)."""
    said = [_escaped(line) for line in lines(notices(events))]
    sections = [{"type": "section", "text": {"type": "plain_text", "text": line, "emoji": False}} for line in said]
    body = {"text": "\n".join(said), "blocks": sections}
    return [Delivery(url, {"Content-Type": "application/json"}, json.dumps(body).encode(), events[-1].id or 0)]


def _escaped(text: str) -> str:
    """Slack's three control characters (its page on formatting); a zero-width space keeps @here from being one."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", "@\u200b")
