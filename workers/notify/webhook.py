"""Events → signed JSON, by the rules of Standard Webhooks (github.com/standard-webhooks, spec 1.0.0).

The signature is `v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`; the id is the event's and stays the same on
every attempt, so a receiver can tell a repetition from a new event. The timestamp is that of the attempt.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import datetime

from watcher.event import Event
from workers.notify.delivery import Delivery

BATCH = 20


def deliveries(url: str, secret: str, events: Sequence[Event], now: datetime) -> list[Delivery]:
    """One request per event. Without a secret they are not signed. A `ValueError` if the secret is none."""
    return [_delivery(url, key_of(secret) if secret else b"", event, now) for event in events]


def key_of(secret: str) -> bytes:
    """The key in `whsec_<base64>` (24 to 64 bytes). A `ValueError` says what was expected, and never what was got."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not 24 <= len(key) <= 64:
        raise ValueError("expected a secret of the form whsec_<base64 of 24 to 64 bytes>")
    return key


def sign(key: bytes, id: str, timestamp: int, body: bytes) -> str:
    """The value of the `webhook-signature` header."""
    signed = f"{id}.{timestamp}.".encode() + body
    return f"v1,{base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()}"


def _delivery(url: str, key: bytes, event: Event, now: datetime) -> Delivery:
    id, timestamp = f"evt_{event.id}", int(now.timestamp())
    data = {"app": event.app, "subject": event.subject, **event.facts}
    body = json.dumps({"type": event.kind, "timestamp": event.at.isoformat(), "data": data}).encode()
    headers = {"Content-Type": "application/json", "webhook-id": id, "webhook-timestamp": str(timestamp)}
    if key:
        headers["webhook-signature"] = sign(key, id, timestamp, body)
    return Delivery(url, headers, body, event.id or 0)
