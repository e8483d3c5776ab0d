"""The client against a real server on loopback that lies, stalls and breaks."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.rig.certs import make_certs
from tests.rig.http2 import over_http2
from tests.rig.process import free_port
from tests.rig.simple_index import ERROR, JSON, SILENT, STALLED, TRUNCATED, Fault, SimpleIndex, bomb, redirect
from watcher.errors import IndexUnreachable, SettingsRefused
from watcher.http import Http, Limits, Request, Response, basic

QUICK = Limits(deadline=5.0, stall=0.3, pause=0.01, patience=0.05, largest=1_000_000, large=300_000)


@pytest.fixture
def index() -> Iterator[SimpleIndex]:
    with SimpleIndex() as index:
        index.publish("six", "1.17.0")
        yield index


@pytest.fixture(scope="module")
def http() -> Iterator[Http]:
    with Http("ops@shop.example", limits=QUICK) as http:
        yield http


def page(index: SimpleIndex, name: str = "six", **headers: str) -> Request:
    return Request(f"{index.url}/{name}/", headers)


def why(http: Http, request: Request) -> IndexUnreachable:
    with pytest.raises(IndexUnreachable) as raised:
        http.one(request)
    return raised.value


def test_an_answer_has_its_address_its_status_its_headers_and_its_bytes(http: Http, index: SimpleIndex) -> None:
    answer = http.one(page(index))

    assert (answer.url, answer.status, answer.headers["content-type"]) == (f"{index.url}/six/", 200, JSON)
    assert b'"six-1.17.0-py3-none-any.whl"' in answer.body


def test_the_server_learns_who_asks_and_how_to_reach_them(http: Http, index: SimpleIndex) -> None:
    http.one(page(index))

    assert index.asked[0].headers["user-agent"].startswith("toplayer/")
    assert "(mailto=ops@shop.example)" in index.asked[0].headers["user-agent"]


def test_a_contact_cannot_smuggle_a_header_in(index: SimpleIndex) -> None:
    with Http("ops\r\nx-evil: 1\u2603", limits=QUICK) as http:
        http.one(page(index))

    assert "x-evil" not in index.asked[0].headers


def test_answers_come_as_they_are_ready_and_a_slow_one_holds_up_nobody(http: Http, index: SimpleIndex) -> None:
    index.spoil("slow", SILENT, forever=True)
    requests = [page(index, "slow"), *(page(index) for _ in range(20))]

    results = list(http.many(requests))

    assert [type(result) for _, result in results] == [Response] * 20 + [IndexUnreachable]
    assert {id(request) for request, _ in results} == {id(request) for request in requests}


def test_a_caller_may_stop_listening(http: Http, index: SimpleIndex) -> None:
    index.spoil("slow", SILENT, forever=True)

    for _ in http.many([page(index), *(page(index, "slow") for _ in range(50))]):
        break

    assert http.one(page(index)).status == 200


def test_a_client_that_cannot_begin_says_so(index: SimpleIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OSError("too many open files")

    monkeypatch.setattr("asyncio.events.new_event_loop", full)
    with Http() as http:
        with pytest.raises(OSError, match="too many open files"):
            http.one(Request(f"{index.url}/alpha/", private=True))
        monkeypatch.undo()
        assert http.one(Request(f"{index.url}/alpha/", private=True)).status == 404


def test_several_threads_share_a_client(http: Http, index: SimpleIndex) -> None:
    counted: list[int] = []

    def ask() -> None:
        counted.append(sum(isinstance(result, Response) for _, result in http.many([page(index)] * 30)))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert counted == [30, 30, 30, 30]


@pytest.mark.parametrize("fault", [ERROR, Fault(status=429), TRUNCATED, Fault(raw=b""), Fault(raw=b"HTTP/1.1 200")])
def test_what_failed_once_is_tried_again(http: Http, index: SimpleIndex, fault: Fault) -> None:
    index.spoil("six", fault, fault)

    assert http.one(page(index)).status == 200
    assert len(index.asked) == 3


def test_it_gives_up_after_a_few_attempts_and_says_why(http: Http, index: SimpleIndex) -> None:
    index.spoil("six", ERROR, forever=True)

    error = why(http, page(index))

    assert str(error) == f"{index.url}/six/ did not answer: it says 500 Internal Server Error"
    assert len(index.asked) == QUICK.attempts


def test_not_found_is_an_answer(http: Http, index: SimpleIndex) -> None:
    assert http.one(page(index, "nobody")).status == 404
    assert len(index.asked) == 1


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ({"retry-after": "120"}, 120),
        ({"retry-after": "Mon, 02 Nov 2026 09:10:00 GMT", "date": "Mon, 02 Nov 2026 09:00:00 GMT"}, 600),
        ({"retry-after": "99999999999999999999"}, 999_999_999),
    ],
)
def test_a_server_that_asks_for_time_gets_it(
    http: Http, index: SimpleIndex, said: dict[str, str], seconds: float
) -> None:
    index.spoil("six", Fault(status=429, headers=said), forever=True)

    results = [result for _, result in http.many([page(index)] * 40)]

    assert {result.retry_after for result in results if isinstance(result, IndexUnreachable)} == {seconds}
    assert len(index.asked) <= QUICK.at_once, "it was left alone after the first word"


@pytest.mark.parametrize("said", ["", "soon", "-5", "Mon, 99 Nov 2026", "１２", "1.5"])
def test_nonsense_about_time_is_no_time(http: Http, index: SimpleIndex, said: str) -> None:
    index.spoil("six", Fault(status=503, headers={"retry-after": said.encode("utf-8").decode("latin-1")}))

    assert http.one(page(index)).status == 200


def test_a_server_that_is_down_is_not_asked_a_thousand_times(http: Http) -> None:
    port = free_port()

    results = [result for _, result in http.many([Request(f"http://127.0.0.1:{port}/{n}/") for n in range(1000)])]

    assert len(results) == 1000
    assert f"did not answer: Connect call failed ('127.0.0.1', {port})" in str(results[0])
    assert sum("not asked, because of what came before" in str(result) for result in results) > 900


def test_requests_that_have_not_begun_in_time_are_left_for_the_next_look(index: SimpleIndex) -> None:
    index.spoil("six", Fault(status=503), forever=True)

    with Http(limits=replace(QUICK, all_begun=0.0)) as http:
        results = [result for _, result in http.many([page(index)] * 3)]

    assert ["not asked: what came before it has taken 0 s" in str(result) for result in results] == [True] * 3


def test_a_server_that_fails_half_of_the_time_is_asked_for_everything(http: Http, index: SimpleIndex) -> None:
    index.spoil("six", ERROR, Fault(status=200, body=b"x"), forever=True)

    results = [result for _, result in http.many([page(index)] * 100)]

    assert sum(isinstance(result, Response) for result in results) > 50
    assert not any("not asked" in str(result) for result in results)


def test_a_server_that_falls_silent_costs_a_stall_and_not_the_look(http: Http, index: SimpleIndex) -> None:
    index.spoil("six", STALLED, forever=True)

    assert "nothing moved for 0.3 s" in str(why(http, page(index)))


def test_a_request_ends_at_its_deadline_however_lively_the_server_is(index: SimpleIndex) -> None:
    index.spoil("six", *[Fault(status=307, headers={"location": "?again"})] * 3, STALLED, forever=True)

    with Http(limits=Limits(deadline=0.5, stall=5.0, pause=0.01)) as http:
        assert "no whole answer within 0.5 s" in str(why(http, page(index)))


def test_an_answer_may_come_packed(http: Http, index: SimpleIndex) -> None:
    index.spoil("six", bomb(1))

    assert http.one(page(index)).body == bytes(1_000_000)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (bomb(2), "larger than 1 MB"),
        (Fault(body=bytes(2_000_000)), "larger than 1 MB"),
        (Fault(headers={"content-encoding": "gzip"}, body=b"not packed"), "not the gzip that it says"),
        (Fault(headers={"content-encoding": "gzip"}, body=bomb(1).body[:-9]), "ends in the middle"),
        (Fault(headers={"content-encoding": "gzip"}, body=bomb(1).body + b"more"), "behind the end"),
        (Fault(headers={"content-encoding": "br"}, body=b"x"), "packed as 'br', which nobody asked for"),
    ],
)
def test_a_body_that_is_not_what_it_says_is_refused_at_once(
    http: Http, index: SimpleIndex, fault: Fault, expected: str
) -> None:
    index.spoil("six", fault, forever=True)

    assert expected in str(why(http, page(index)))
    assert len(index.asked) == 1


_HUNGRY = """
import resource, sys
from watcher.http import Http, Request
with Http() as http:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused = sum(isinstance(result, Exception) for _, result in http.many([Request(sys.argv[1])] * 8))
    print(refused, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_many_gzip_bombs_at_once_stay_small(index: SimpleIndex) -> None:
    index.spoil("six", bomb(60), forever=True)

    done = subprocess.run(
        [sys.executable, "-c", _HUNGRY, f"{index.url}/six/"], capture_output=True, text=True, check=True, timeout=60
    )
    refused, megabytes = map(int, done.stdout.split())

    assert (refused, megabytes < 150) == (8, True), done.stdout


def test_large_answers_are_read_one_after_another(http: Http, index: SimpleIndex) -> None:
    index.spoil("six", Fault(body=bytes(400_000)), forever=True)

    assert [len(result.body) for _, result in http.many([page(index)] * 20) if isinstance(result, Response)] == (
        [400_000] * 20
    )


def test_a_redirect_is_followed_and_the_answer_says_where_it_came_from(http: Http, index: SimpleIndex) -> None:
    answer = http.one(page(index, "Six"))

    assert (answer.status, answer.url) == (200, f"{index.url}/six/")


def test_a_password_does_not_travel_to_another_origin(http: Http, index: SimpleIndex) -> None:
    with SimpleIndex() as other:
        other.publish("six", "1")
        index.authorization = basic("ops", "secret")["authorization"]
        index.spoil("six", redirect(f"{other.url}/six/"))

        assert http.one(page(index, **basic("ops", "secret"))).status == 200
        assert "authorization" in index.asked[0].headers
        assert "authorization" not in other.asked[0].headers


def test_a_name_in_the_address_is_not_sent(http: Http, index: SimpleIndex) -> None:
    http.one(Request(f"{index.url}/six/".replace("http://", "http://ops:secret@")))

    assert "authorization" not in index.asked[0].headers


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("ftp://index.example/", "redirects from http to ftp"),
        ("file:///etc/passwd", "redirects from http to file"),
        ("javascript:alert(1)", "redirects from http to javascript"),
        ("?", "redirects more than 5 times"),
        ("", "redirects more than 5 times"),
        ("http://exa mple:x/", "no address"),
    ],
)
def test_a_redirect_leads_to_the_web_or_nowhere(http: Http, index: SimpleIndex, location: str, expected: str) -> None:
    index.spoil("six", redirect(location), forever=True)

    assert expected in str(why(http, page(index)))


@pytest.mark.parametrize(
    "target", ["http://127.0.0.1:9/", "http://169.254.169.254/latest/", "http://localhost/", "//[::1]/"]
)
def test_a_public_index_cannot_send_us_into_the_private_network(
    monkeypatch: pytest.MonkeyPatch, index: SimpleIndex, target: str
) -> None:
    # Given an index with a public name, which only a proxy can reach from here
    monkeypatch.setenv("http_proxy", index.origin)
    monkeypatch.delenv("no_proxy", raising=False)
    index.spoil("six", redirect(target), forever=True)

    with Http(limits=QUICK) as http:
        error = why(http, Request("http://index.example/simple/six/"))

    assert "it redirects to the private address" in str(error)
    assert [asked.path for asked in index.asked] == ["/simple/six/"]


def test_what_a_name_leads_to_is_looked_at_where_it_is_connected_to(
    monkeypatch: pytest.MonkeyPatch, index: SimpleIndex
) -> None:
    # Given a redirect from the public network to a name that leads to a private address, and no proxy on the way there
    monkeypatch.setenv("http_proxy", index.origin)
    monkeypatch.setenv("no_proxy", "localhost")
    with SimpleIndex() as internal:
        index.spoil("six", redirect(internal.url.replace("127.0.0.1", "localhost") + "/six/"), forever=True)

        with Http(limits=QUICK) as http:
            error = why(http, Request("http://index.example/simple/six/"))

        assert "it redirects to the private address localhost; if that is right" in str(error)
        assert internal.asked == []


@pytest.mark.parametrize("private", [False, True])
def test_an_address_that_a_stranger_has_named_is_asked_on_the_public_network_alone(
    http: Http, index: SimpleIndex, private: bool
) -> None:
    error = why(http, Request(f"{index.url}/six/", private=private, guarded=True))

    assert "it is at the private address 127.0.0.1; if that is right, set `private = true`" in str(error)
    assert index.asked == []


def test_an_index_that_is_private_by_configuration_may_redirect_there(
    monkeypatch: pytest.MonkeyPatch, index: SimpleIndex
) -> None:
    monkeypatch.setenv("http_proxy", index.origin)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    index.spoil("six", redirect(f"{index.url}/six/"))

    with Http(limits=QUICK) as http:
        answer = http.one(Request("http://index.example/simple/six/", private=True))

    assert (answer.status, answer.url) == (200, f"{index.url}/six/")


def test_a_proxy_that_cannot_be_spoken_to_is_said_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "gopher://proxy.example")

    with pytest.raises(SettingsRefused, match="proxies that can be used"):
        Http()


@pytest.mark.parametrize("url", ["", "index.example", "ftp://index.example/", "http://[", "http://\udc80/", "http:///"])
def test_what_is_no_address_is_not_asked(http: Http, url: str) -> None:
    assert isinstance(next(http.many([Request(url)]))[1], IndexUnreachable)


def test_http2_is_spoken_with_those_who_do_and_our_own_authority_is_trusted(index: SimpleIndex, tmp_path: Path) -> None:
    certs = make_certs(tmp_path / "certs")
    with over_http2(index, certs) as origin:
        with Http(ca=certs.ca, limits=QUICK) as http:
            results = [result for _, result in http.many([Request(f"{origin}/simple/six/")] * 200)]
        with Http(limits=QUICK) as stranger:
            refused = why(stranger, Request(f"{origin}/simple/six/"))

    assert {result.status for result in results if isinstance(result, Response)} == {200}
    assert len(results) == 200
    assert "certificate verify failed" in str(refused)


def test_a_redirect_does_not_leave_tls(index: SimpleIndex, tmp_path: Path) -> None:
    certs = make_certs(tmp_path / "certs")
    index.spoil("six", redirect(f"{index.url}/six/"))

    with over_http2(index, certs) as origin, Http(ca=certs.ca, limits=QUICK) as http:
        assert "redirects from https to http" in str(why(http, Request(f"{origin}/simple/six/")))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    raw=st.binary(max_size=200)
    | st.builds(
        lambda head, body: b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n" + body, st.binary(max_size=80), st.binary()
    )
    | st.builds(
        lambda name, value: b"HTTP/1.1 302 Found\r\n%s: %s\r\ncontent-length: 0\r\n\r\n" % (name, value),
        st.sampled_from([b"location", b"retry-after", b"content-length", b"content-encoding"]),
        st.binary(max_size=40),
    )
)
def test_whatever_a_server_says_only_our_own_error_comes_out(http: Http, index: SimpleIndex, raw: bytes) -> None:
    index.spoil("fuzz", *[Fault(raw=raw)] * 6)

    ((_, result),) = http.many([page(index, "fuzz")])

    assert isinstance(result, (Response, IndexUnreachable))
