"""Whose fault a failure is, by what engines, registries and tools really say."""

import pytest

from workers.dockerfile.blame import is_foreign, is_full, is_ours, is_weather

WEATHER = """
Get "http://127.0.0.1:5000/v2/": dial tcp 127.0.0.1:5000: connect: connection refused
received unexpected HTTP status: 503 Service Unavailable
failed to copy: httpReadSeeker: failed open: unexpected status code https://registry.example/v2/x: 502 Bad Gateway
Get "https://registry.example/v2/": net/http: request canceled while waiting for connection (Client.Timeout exceeded)
Get "https://registry.example/v2/": net/http: TLS handshake timeout
failed to do request: Head "https://registry.example/v2/x": dial tcp: lookup registry.example: no such host
dial tcp: lookup registry.example on 10.0.0.1:53: server misbehaving
write tcp 10.0.0.2:1->10.0.0.1:443: write: broken pipe
read tcp 10.0.0.2:1->10.0.0.1:443: read: connection reset by peer
Patch "https://registry.example/v2/x": EOF
unexpected EOF
toomanyrequests: You have reached your pull rate limit.
ERROR: Could not install packages due to an OSError: HTTPSConnectionPool: Max retries exceeded with url: /simple/six/
Temporary failure resolving 'packages.example'
pip._vendor.urllib3.exceptions.ReadTimeoutError: Read timed out.
E: Failed to fetch http://packages.example/x.deb  503  Service Unavailable
curl: (6) Could not resolve host: packages.example
npm error code ETIMEDOUT
wget: can't connect to remote host (127.0.0.1): Connection refused
"""
OURS = """
denied: requested access to the resource is denied
unauthorized: authentication required
x509: certificate signed by unknown authority
a.c:1: error: expected ';'
/bin/sh: syntax error: unexpected EOF while looking for matching quote
SyntaxError: unexpected EOF while parsing
ERROR: No matching distribution found for six==0.0
process "/bin/sh -c make" did not complete successfully: exit code: 2
the tests failed: 500 of 502 passed
"""


@pytest.mark.parametrize("said", WEATHER.strip().splitlines())
def test_what_did_not_answer_may_answer_tomorrow(said: str) -> None:
    assert is_weather(said)


@pytest.mark.parametrize("said", OURS.strip().splitlines())
def test_what_fails_for_a_reason_fails_again(said: str) -> None:
    assert not is_weather(said)


def test_an_engine_that_is_not_there_is_not_one_that_lets_nobody_in() -> None:
    assert not is_ours(
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
    )
    assert is_ours("Got permission denied while trying to connect to the Docker daemon socket")
    assert is_ours("error during connect: Get https://h:2376: x509: certificate signed by unknown authority")
    assert is_full("write /x: no space left on device")


def test_a_program_for_another_machine_is_told_in_many_words() -> None:
    assert is_foreign("standard_init_linux.go:228: exec user process caused: exec format error")
    assert is_foreign("/bin/sh: 1: x: Exec format error")
    assert is_foreign(".buildkit_qemu_emulator: /bin/sh: Invalid ELF image for this architecture")
    assert not is_foreign("/bin/sh: x: not found")
