"""What engines say, recorded from real ones, and who has to act on it."""

import ssl

import pytest
import requests
import urllib3
from docker.errors import TLSParameterError

from watcher.errors import Refused, Temporary
from workers.fleet.answer import CutShort, answered, not_answered, pull_failed

REFUSED = {
    "a port": (
        500,
        (
            "driver failed programming external connectivity on endpoint shop.next (5c4e): "
            "Bind for 0.0.0.0:8080 failed: port is already allocated"
        ),
        "run.ports",
    ),
    "a port of another program": (
        500,
        (
            "driver failed programming external connectivity on endpoint shop.next (5c4e): "
            "Error starting userland proxy: listen tcp4 0.0.0.0:8080: bind: address already in use"
        ),
        "run.ports",
    ),
    "a disk": (500, "write /var/lib/docker/overlay2/x/diff/a: no space left on device", "disk space"),
    "a command": (
        400,
        (
            "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container "
            'process: exec: "nosuch": executable file not found in $PATH: unknown'
        ),
        "run.command",
    ),
    "a platform": (400, "standard_init_linux.go:228: exec user process caused: exec format error", "image.platform"),
    "a network": (404, "network nonet not found", "run.network"),
    "an image": (404, "No such image: registry.example/shop@sha256:00", "toplayer deploy"),
    "a name": (400, "Invalid container name (a), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", "two letters"),
    "no TLS": (400, "Client sent an HTTP request to an HTTPS server.", "`tls`"),
    "anything else": (500, "something new", ""),
}


@pytest.mark.parametrize(("status", "said", "hint"), REFUSED.values(), ids=REFUSED.keys())
def test_a_refusal_says_what_to_do_next(status: int, said: str, hint: str) -> None:
    error = answered("h1", status, said)
    assert isinstance(error, Refused)
    assert str(error).startswith("h1: ")
    assert hint in error.hint


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (409, 'Conflict. The container name "/shop.next" is already in use by container "28"'),
        (409, "removal of container 28 is already in progress"),
        (404, "No such container: 28"),
        (400, "Renaming a container with the same name as its current name"),
        (503, "the daemon is shutting down"),
    ],
)
def test_what_somebody_else_is_at_is_tried_again(status: int, said: str) -> None:
    assert isinstance(answered("h1", status, said), Temporary)


@pytest.mark.parametrize(
    "said",
    [
        "Get http://127.0.0.1:5000/v2/: dial tcp 127.0.0.1:5000: connect: connection refused",
        "received unexpected HTTP status: 500 Internal Server Error",
        "unexpected EOF",
        "toomanyrequests: rate limit",
        "net/http: TLS handshake timeout",
        "failed to copy: httpReadSeeker: failed open: unexpected status code https://r/v2/: 500 Internal Server Error",
        "failed to read expected number of bytes: unexpected EOF",
        # The engine threw away what it had of the attempt before, while it looked at it.
        "failed to check image sha256:00: rpc error: code = NotFound desc = content digest sha256:00: not found",
        "something new",
    ],
)
def test_a_pull_that_was_interrupted_is_tried_again(said: str) -> None:
    error = pull_failed("h1", "registry.example/shop", said)
    assert isinstance(error, Temporary)
    assert "registry.example/shop" in str(error)


@pytest.mark.parametrize(
    "said",
    [
        "Head http://127.0.0.1:5000/v2/shop/manifests/x: no basic auth credentials",
        "unauthorized: authentication required",
        "manifest for 127.0.0.1:5000/shop@sha256:00 not found: manifest unknown: manifest unknown",
        'failed to resolve reference "127.0.0.1:5000/shop@sha256:00": 127.0.0.1:5000/shop@sha256:00: not found',
        "filesystem layer verification failed for digest sha256:00",
        "manifest verification failed for digest sha256:00",
        'failed commit on ref "layer-sha256:00": unexpected commit digest sha256:1, expected sha256:00: failed',
        'failed commit on ref "layer-sha256:00": "layer-sha256:00" failed size validation: 9 != 7: failed precondition',
        "failed to register layer: Error processing tar file(exit status 1): write /a: no space left on device",
        "Get https://registry.example/v2/: http: server gave HTTP response to HTTPS client",
        "Get https://registry.example/v2/: x509: certificate signed by unknown authority",
        "error pulling image configuration: download failed after attempts=1: unknown blob",
    ],
)
def test_a_pull_that_would_fail_again_is_a_matter_for_a_person(said: str) -> None:
    error = pull_failed("h1", "registry.example/shop", said)
    assert isinstance(error, Refused)
    assert error.hint


@pytest.mark.parametrize(
    ("said", "short"),
    [
        ("failed to read expected number of bytes: unexpected EOF", True),
        ("error pulling image configuration: download failed after attempts=6: unexpected EOF", True),
        (
            "failed to copy: httpReadSeeker: failed open: unexpected status code: 416 Requested Range Not Satisfiable",
            True,
        ),
        ("toomanyrequests: rate limit", False),
    ],
)
def test_an_answer_that_ended_too_early_may_be_the_links_fault_or_the_registrys(said: str, short: bool) -> None:
    assert isinstance(pull_failed("h1", "registry.example/shop", said), CutShort) is short


def test_silence_has_a_cause_in_few_words() -> None:
    root = ConnectionRefusedError(111, "Connection refused")
    wrapped = requests.ConnectionError(urllib3.exceptions.ProtocolError("Connection aborted.", root))
    assert str(not_answered("h1", wrapped)) == "h1 did not answer: Connection refused"
    assert str(not_answered("h1", requests.ReadTimeout("Read timed out."))) == "h1 did not answer: Read timed out."


def test_a_socket_that_may_not_be_opened_is_a_matter_for_a_person() -> None:
    error = not_answered("h1", requests.ConnectionError(PermissionError(13, "Permission denied")))
    assert isinstance(error, Refused)
    assert "`docker`" in error.hint


@pytest.mark.parametrize(
    "failed",
    [
        requests.exceptions.SSLError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"),
        requests.ConnectionError(ssl.SSLError(1, "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] certificate required")),
        TLSParameterError("Path to a certificate and key files must be provided through the client_cert param"),
    ],
)
def test_bad_certificates_are_a_matter_for_a_person(failed: Exception) -> None:
    assert isinstance(not_answered("h1", failed), Refused)


def test_a_host_that_is_called_after_tls_is_away_like_any_other() -> None:
    pool = urllib3.connectionpool.HTTPConnectionPool("ssl-certificates.tls.example", 2376)
    root = urllib3.exceptions.NewConnectionError(pool, "Failed to establish a new connection: [Errno 111]")  # type: ignore[arg-type]
    away = requests.ConnectionError(urllib3.exceptions.MaxRetryError(pool, "/version", root))
    assert "ssl-certificates.tls.example" in str(away)
    assert isinstance(not_answered("h1", away), Temporary)


@pytest.mark.parametrize(
    "root", [TimeoutError("_ssl.c:989: The handshake operation timed out"), ssl.SSLEOFError(8, "EOF occurred")]
)
def test_a_link_that_breaks_amid_a_handshake_says_nothing_about_certificates(root: OSError) -> None:
    assert isinstance(not_answered("h1", requests.exceptions.SSLError(urllib3.exceptions.SSLError(root))), Temporary)


def test_an_error_without_an_end_is_cut() -> None:
    assert len(str(answered("h1", 500, "x" * 100_000))) < 600
