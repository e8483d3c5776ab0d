"""No secret in logs and none at Sentry, whatever goes wrong."""

import gzip
import io
import json
import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sentry_sdk

from tests.rig.loopback import Handler, Served
from watcher import config
from watcher.errors import Refused
from watcher.inert import without
from watcher.ledger import Ledger
from watcher.settings import Settings
from workers import logs, sentry

SECRET = "hunter2-and-more"
CONFIG = """
[toplayer]
state = "/nowhere"
[notify.slack]
url = { env = "TEST_SLACK" }
[sentry]
dsn = { env = "TEST_DSN" }
"""


class Sentry(Served):
    """Takes Sentry's envelopes."""

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.bodies: list[bytes] = []


class _Handler(Handler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        packed = self.headers.get("content-encoding") == "gzip"
        self.server.owner.bodies.append(gzip.decompress(body) if packed else body)
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")


@pytest.fixture
def sink() -> Iterator[Sentry]:
    with Sentry() as server:
        yield server


@pytest.fixture
def settings(sink: Sentry, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    monkeypatch.setenv("TEST_SLACK", f"https://hooks.example/{SECRET}")
    monkeypatch.setenv("TEST_DSN", f"{sink.url.replace('://', '://key@')}/1")
    yield config.parse(CONFIG, "test")
    sentry_sdk.get_client().close(timeout=2)
    sentry_sdk.init()


def sent(sink: Sentry) -> str:
    sentry_sdk.flush(5)
    return b"".join(sink.bodies).decode()


def test_a_fault_of_ours_reaches_sentry_without_secrets_and_local_variables(settings: Settings, sink: Sentry) -> None:
    assert sentry.start(settings)
    try:
        password = "a local variable"  # noqa: F841
        logging.getLogger("toplayer").warning("posting to https://hooks.example/%s", SECRET)
        raise KeyError(f"https://hooks.example/{SECRET}")
    except KeyError as error:
        sentry.report(error, "build", "shop:7")
    said = sent(sink)
    assert "KeyError" in said
    assert "shop:7" in said
    assert SECRET not in said
    assert '"vars"' not in said
    assert "[hidden]" in said


def test_what_a_step_expects_to_go_wrong_is_no_error_of_ours(settings: Settings, sink: Sentry) -> None:
    sentry.start(settings)
    sentry_sdk.capture_exception(Refused("the remote says no"))
    assert "the remote says no" not in sent(sink)


def test_without_a_dsn_nothing_is_started() -> None:
    assert not sentry.start(config.parse('[toplayer]\nstate = "/x"\n', "test"))


def test_logs_have_no_secrets_not_even_in_tracebacks(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    before = logging.getLogger().handlers[:]
    try:
        logs.start(settings)
        log = logging.getLogger("toplayer")
        log.info("to https://hooks.example/%s", SECRET)
        try:
            raise ValueError(SECRET)
        except ValueError:
            log.exception("it broke")
    finally:
        logging.getLogger().handlers[:] = before
    said = capsys.readouterr().err
    assert SECRET not in said
    assert "[hidden]" in said
    assert "it broke" in said


def test_secrets_are_hidden_at_any_depth() -> None:
    value = {"a": [f"x{SECRET}y", {SECRET: (SECRET, 3, None)}]}
    assert SECRET not in json.dumps(without(value, [SECRET]))
    assert without(b"raw", ["raw"]) == b"raw"


def test_the_queue_carries_ids_and_nothing_else(tmp_path: Path) -> None:
    from datetime import timedelta

    from watcher.order import Lane, Order
    from workers.app import Broker, make_app, queue_of

    app, ledger = make_app("memory://", timedelta(seconds=5)), Ledger(f"sqlite:///{tmp_path}/ledger.db")
    with closing(ledger), app.connection_for_write() as connection:
        Broker(app, ledger).send(Order.BUILD, "shop:7", Lane.PULLS)
        with connection.SimpleQueue(queue_of(Lane.PULLS)) as queue:
            message = queue.get(timeout=5)
            message.ack()
    assert message.payload[0] == ["shop:7"]
    assert message.payload[1] == {}
    assert io.BytesIO(message.body.encode() if isinstance(message.body, str) else message.body)
