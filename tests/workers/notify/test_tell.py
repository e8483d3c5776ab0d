"""Telling: nothing is lost, nothing is delayed, and nobody can be made to shout."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from datetime import datetime

import pytest

from watcher.event import Event
from watcher.receiver import Receiver
from watcher.secret import Secret
from watcher.settings import NotifySettings, SlackSettings, WebhookSettings
from workers.notify import slack, webhook
from workers.notify.delivery import Delivery
from workers.notify.tell import Channel, ReceiverRefused, ReceiverUnreachable, channel, tell

KEY = "whsec_" + base64.b64encode(b"k" * 32).decode()


def events(now: datetime, count: int) -> list[Event]:
    return [
        Event(at=now, kind="bump.found", app="shop", subject=f"b{n}", facts={"package": "p"}, id=n)
        for n in range(1, count + 1)
    ]


@dataclass
class Mailbox:
    """Takes deliveries, and fails the ones whose turn it is to."""

    fail: dict[int, Exception] = field(default_factory=dict)
    taken: list[Delivery] = field(default_factory=list)
    asked: int = 0

    def post(self, delivery: Delivery) -> None:
        self.asked += 1
        if self.asked in self.fail:
            raise self.fail[self.asked]
        self.taken.append(delivery)


def hook() -> Channel:
    return Channel(20, lambda some, now: webhook.deliveries("https://hooks.example", KEY, some, now))


def test_every_event_is_one_signed_request_in_order(now: datetime) -> None:
    box = Mailbox()
    after = tell(Receiver(receiver="webhook:a"), hook(), events(now, 3), box.post, lambda: now)
    assert after.cursor == 3
    assert [json.loads(delivery.body)["data"]["subject"] for delivery in box.taken] == ["b1", "b2", "b3"]
    first = box.taken[0]
    signed = f"evt_1.{int(now.timestamp())}.".encode() + first.body
    expected = base64.b64encode(hmac.new(b"k" * 32, signed, hashlib.sha256).digest()).decode()
    assert first.headers["webhook-signature"] == f"v1,{expected}"


def test_the_signature_is_the_one_of_the_specifications_example() -> None:
    key = webhook.key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    assert webhook.sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_what_was_taken_before_a_failure_is_not_sent_again(now: datetime) -> None:
    box = Mailbox(fail={2: ReceiverUnreachable("webhook:a", "HTTP 503")})
    after = tell(Receiver(receiver="webhook:a"), hook(), events(now, 3), box.post, lambda: now)
    assert after.cursor == 1
    assert after.attempts == 1
    assert after.due_at is not None
    assert after.due_at > now
    again = tell(after, hook(), events(now, 3)[1:], box.post, lambda: now)
    assert (again.cursor, again.attempts, again.reason) == (3, 0, "")
    assert len(box.taken) == 3


def test_a_receiver_that_says_when_it_wants_to_be_asked_again_is_asked_then(now: datetime) -> None:
    box = Mailbox(fail={1: ReceiverUnreachable("slack", "HTTP 429", retry_after=120)})
    after = tell(Receiver(receiver="slack"), hook(), events(now, 1), box.post, lambda: now)
    assert after.due_at is not None
    assert (after.due_at - now).total_seconds() == 120


def test_a_receiver_that_is_gone_keeps_its_place_and_waits_for_a_person(now: datetime) -> None:
    box = Mailbox(fail={1: ReceiverRefused("slack", "HTTP 404")})
    after = tell(Receiver(receiver="slack", cursor=0), hook(), events(now, 1), box.post, lambda: now)
    assert after.cursor == 0
    assert "404" in after.reason


def test_a_burst_is_one_message_in_slack_and_nothing_in_it_mentions_links_or_formats(now: datetime) -> None:
    hostile = Event(
        at=now, kind="bump.found", app="shop", subject="b", id=9, facts={"package": "<!channel> & @here <http://x|y>"}
    )
    (delivery,) = slack.deliveries("https://hooks.example", [*events(now, 5), hostile])
    body = json.loads(delivery.body)
    assert delivery.cursor == 9
    assert len(body["blocks"]) == 6
    assert all(block["text"]["type"] == "plain_text" for block in body["blocks"])
    assert "<" not in body["text"]
    assert "@here" not in body["text"]


def test_a_secret_that_is_none_is_refused_without_showing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAD", "hunter2")
    settings = NotifySettings(webhooks={"audit": WebhookSettings(url="https://h.example", secret=Secret(env="BAD"))})
    with pytest.raises(ReceiverRefused) as caught:
        channel("webhook:audit", settings)
    assert "whsec_" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_the_address_of_a_channel_never_shows(monkeypatch: pytest.MonkeyPatch, now: datetime) -> None:
    monkeypatch.setenv("SLACK", "https://hooks.example/T0/hunter2")
    made = channel("slack", NotifySettings(slack=SlackSettings(url=Secret(env="SLACK"))))
    (delivery,) = made.deliveries(events(now, 1), now)
    assert delivery.url.endswith("hunter2")
    assert "hunter2" not in repr(delivery)
