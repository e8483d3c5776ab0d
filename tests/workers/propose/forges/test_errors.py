"""Bad days of a forge: whoever has to act is told so, and how long to wait is what the forge says."""

import contextlib
import json
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from tests.rig.forges.gitea import GiteaDialect
from tests.rig.forges.github import GitHubDialect
from tests.rig.forges.server import Fault, ForgeServer
from tests.rig.loopback import Handler, Loopback
from tests.workers.propose.forges.conftest import BRANCH, app_on, opened
from watcher.errors import Temporary
from watcher.ledger import Ledger
from watcher.proposal import Proposal
from watcher.settings import AppSettings
from workers.propose.forges import open_forge
from workers.propose.forges.errors import ForgeLied, ForgeRefused, ForgeUnreachable, stay
from workers.propose.forges.forge import Paper
from workers.propose.forges.key import token_of
from workers.propose.forges.rest import Patience

NOW = datetime.now(UTC)
"""What the forge has for the time, whatever the time is."""
SOON = str(int((NOW + timedelta(seconds=90)).timestamp()))
PAPER = Paper(branch=BRANCH, title="Bump side from 1.0 to 1.1", body="a body", key="0123456789abcdef")


def find(server: ForgeServer) -> None:
    with opened(app_on(server)) as forge:
        forge.find(BRANCH, "key")


@pytest.mark.parametrize(
    ("fault", "wait"),
    [
        (Fault("GET", 429, "slow down", {"Retry-After": "17"}), 17),
        (Fault("GET", 429, "slow down"), 60),
        (Fault("GET", 403, "You have exceeded a secondary rate limit", {"Retry-After": "30"}), 30),
        (Fault("GET", 403, "You have exceeded a secondary rate limit"), 60),
        (Fault("GET", 403, "API rate limit exceeded", {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": SOON}), 90),
        (Fault("GET", 429, "Retry later", {"RateLimit-Remaining": "0", "RateLimit-Reset": SOON}), 90),
        (Fault("GET", 503, "maintenance", {"Retry-After": "120"}), 120),
        (Fault("GET", 429, "", {"Retry-After": format_datetime(NOW + timedelta(seconds=40), usegmt=True)}), 40),
    ],
)
def test_a_forge_that_wants_to_be_left_alone_is_and_for_as_long_as_it_says(
    server: ForgeServer, fault: Fault, wait: float
) -> None:
    server.faults.append(
        Fault(fault.pattern, fault.status, fault.said, {**fault.headers, "Date": format_datetime(NOW, usegmt=True)})
    )
    if "RateLimit-Reset" in fault.headers and isinstance(server.dialect, GiteaDialect):
        wait = 60  # Gitea has no such header: this is what we do without a word
    with pytest.raises(ForgeUnreachable) as caught:
        find(server)
    assert caught.value.retry_after is not None
    assert wait - 1 <= caught.value.retry_after <= wait
    assert len(server.requests) == 1


def test_what_one_app_is_told_to_leave_alone_the_others_leave_alone_too_in_every_process(
    server: ForgeServer, tmp_path: Path
) -> None:
    server.faults.append(Fault("GET", 403, "You have exceeded a secondary rate limit", {"Retry-After": "60"}))
    one, other = app_on(server), app_on(server, project="team/other")
    where = f"sqlite:///{tmp_path}/ledger.db"

    def find_at(now: datetime, app: AppSettings) -> Proposal | None:
        with closing(Ledger(where)) as ledger, open_forge(app, patience=Patience(ledger, lambda: now)) as forge:
            assert forge is not None
            return forge.find(BRANCH, "key")

    for app, now, left in ((one, NOW, 60), (other, NOW + timedelta(seconds=45), 15)):
        with pytest.raises(ForgeUnreachable) as caught:
            find_at(now, app)
        assert caught.value.retry_after == left
    assert len(server.requests) == 1
    assert find_at(NOW + timedelta(seconds=61), one) is None


@pytest.mark.parametrize("server", ["github"], indirect=True)
@pytest.mark.parametrize(
    ("said", "headers", "wait"),
    [
        ({"type": "RATE_LIMITED", "message": "API rate limit already exceeded for user ID 1."}, {}, 60),
        ({"type": "RATE_LIMITED"}, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": SOON}, 90),
        ({"message": "You have exceeded a secondary rate limit."}, {"Retry-After": "30"}, 30),
        ({"message": "Something went wrong while executing your query on 2026-11-02. Please include `A:1`"}, {}, None),
    ],
)
def test_what_graphql_says_with_an_answer_of_200_is_no_refusal(
    server: ForgeServer, said: dict[str, str], headers: dict[str, str], wait: float | None
) -> None:
    body = json.dumps({"data": None, "errors": [said]}).encode()
    headers = {**headers, "Date": format_datetime(NOW, usegmt=True)}
    with opened(app_on(server, draft=True)) as forge:
        number = forge.write(PAPER).number
        server.faults.append(Fault("POST /graphql", 200, headers=headers, raw=body))
        with pytest.raises(ForgeUnreachable) as caught:
            forge.ready(number)
    waits = caught.value.retry_after
    assert waits is None if wait is None else waits is not None and wait - 1 <= waits <= wait


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_that_fails_is_asked_later_and_only_once_now(server: ForgeServer, status: int) -> None:
    server.faults.append(Fault("GET", status, "oh"))
    with pytest.raises(Temporary):
        find(server)
    assert len(server.requests) == 1


def test_a_change_that_fails_is_not_asked_for_twice(server: ForgeServer) -> None:
    server.faults.append(Fault("POST .*(pulls|merge_requests)$", 502, "oh"))
    with opened(app_on(server)) as forge, pytest.raises(Temporary):
        forge.write(PAPER)
    assert len(server.changes()) == 1


def test_a_token_that_is_no_good_is_a_matter_for_a_person(server: ForgeServer) -> None:
    server.hub.token = "another one"
    with pytest.raises(ForgeRefused) as caught:
        find(server)
    assert "401" in str(caught.value)
    assert "token" in caught.value.hint


def test_a_project_that_is_not_there_is_a_matter_for_a_person(server: ForgeServer) -> None:
    server.faults.append(Fault("GET", 404, "Not Found"))
    with pytest.raises(ForgeRefused) as caught:
        find(server)
    assert "project" in caught.value.hint


@pytest.mark.parametrize(
    "raw", [b"<html>hello</html>", b"5", b'{"a": 1}', b'[{"number": "x"}]', b"[1, null]", b"\xff", b"[" * 10_000]
)
def test_an_answer_that_is_none_is_the_forge_s_to_mend(server: ForgeServer, raw: bytes) -> None:
    server.faults.append(Fault("GET", 200, raw=raw))
    with pytest.raises(ForgeLied):
        find(server)


def test_nobody_at_the_address_is_temporary(server: ForgeServer) -> None:
    with opened(app_on(server, url="http://127.0.0.1:1")) as forge, pytest.raises(ForgeUnreachable):
        forge.find(BRANCH, "key")


def test_a_token_is_in_no_error(server: ForgeServer) -> None:
    server.faults.append(Fault("GET", 400, f"you said {server.hub.token}?"))
    with pytest.raises(ForgeRefused) as caught:
        find(server)
    assert server.hub.token not in str(caught.value)
    assert "***" in str(caught.value)


def test_a_forge_that_sends_us_elsewhere_is_not_followed_and_the_token_stays(server: ForgeServer) -> None:
    seen: list[Mapping[str, str]] = []
    with Loopback(Elsewhere, seen) as other, opened(app_on(server)) as forge:
        there = other.url.replace("127.0.0.1", "localhost")
        server.faults.append(Fault("GET", 302, headers={"Location": f"{there}/x"}))
        with pytest.raises(ForgeRefused) as caught:
            forge.find(BRANCH, PAPER.key)
        server.faults.append(Fault("POST .*(pulls|merge_requests)$", 307, headers={"Location": f"{server.url}/x"}))
        with pytest.raises(ForgeRefused):
            forge.write(PAPER)
    assert "apps.*.forge.url" in caught.value.hint
    assert not any(server.hub.token in text for headers in seen for text in headers.values())
    assert server.hub.all() == []


@pytest.mark.parametrize(
    ("home", "target", "same"),
    [
        ("https://Git.example", "https://git.example:443/api/v4/x", True),
        ("http://git.example:3000/sub", "http://git.example:3000/api", True),
        ("https://bücher.example", "https://xn--bcher-kva.example/x", True),
        ("https://git.example", "http://git.example/x", False),
        ("https://git.example", "https://git.example.evil.example/x", False),
        ("https://git.example", "https://git.example@evil.example/x", False),
        ("https://git.example", "https://[git.example/x", False),
    ],
)
def test_the_same_server_is_the_same_however_it_is_written(home: str, target: str, same: bool) -> None:
    with contextlib.nullcontext() if same else pytest.raises(ForgeRefused):
        stay("git.example/team/shop", home, target)


class Elsewhere(Handler):
    """A server that is not the forge, and says that there is nothing."""

    def do_GET(self) -> None:
        self.server.owner.append(dict(self.headers))
        self.send_response_only(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")


def test_words_of_a_forge_are_inert(server: ForgeServer) -> None:
    server.faults.append(Fault("GET", 400, "\x1b[31mred\u202e"))
    with pytest.raises(ForgeRefused) as caught:
        find(server)
    assert "\x1b" not in str(caught.value)


def test_a_secret_that_cannot_be_read_is_told(server: ForgeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    app = app_on(server)
    monkeypatch.delenv("FORGE_TOKEN")
    with pytest.raises(ForgeRefused, match="FORGE_TOKEN"), opened(app):
        pass


@pytest.mark.parametrize("server", ["github"], indirect=True)
def test_a_github_app_gets_a_token_for_an_hour_once(server: ForgeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    monkeypatch.setenv("APP_KEY", pem)
    app = app_on(server, token=None, app={"id": "12345", "key": {"env": "APP_KEY"}})
    for _ in range(2):
        with opened(app) as forge:
            assert forge.find(BRANCH, "key") is None
    assert app.forge is not None
    assert token_of(app.forge, "team/shop") == "ghs_an-installation"
    assert [one for one in server.requests if "access_tokens" in one] == ["POST /app/installations/7/access_tokens"]

    # Taken back before its hour was over: that costs one attempt, and not the rest of the hour.
    monkeypatch.setattr(GitHubDialect, "app_token", "ghs_another")
    with opened(app) as forge, pytest.raises(ForgeRefused, match="401"):
        forge.find(BRANCH, "key")
    with opened(app) as forge:
        assert forge.find(BRANCH, "key") is None
