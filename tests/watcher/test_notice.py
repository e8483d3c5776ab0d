"""Events as sentences: short, in order, and deaf to what strangers put into names."""

from dataclasses import replace
from datetime import datetime, timedelta

from watcher.bump import Bump, Part
from watcher.event import Event, told
from watcher.notice import Notice, lines, notices


def event(now: datetime, kind: str, subject: str, id: object = 1, **facts: object) -> Event:
    return Event(at=now, kind=kind, app="shop", subject=subject, facts=facts, id=id)  # type: ignore[arg-type]


def test_a_bump_says_what_moves_where_and_why_not(now: datetime) -> None:
    merged = event(now, "bump.merged", "b", package="django", to="2.0", commit="a" * 40, **{"from": "1.0"})
    failed = event(now, "bump.failed", "b", 2, package="django", to="2.0", reason="needs x", **{"from": "1.0"})
    assert notices([merged, failed]) == [
        Notice("shop: django 1.0 → 2.0 merged in aaaaaaaaaaaa"),
        Notice("shop: django 1.0 → 2.0 failed: needs x", urgent=True),
    ]


def test_all_that_move_together_are_named(now: datetime) -> None:
    parts = tuple(Part(f"part-{n}", "1", "2") for n in range(10))
    group = Bump(
        id="shop:web:x",
        app="shop",
        ecosystem="pypi",
        package="django",
        from_version="1.0",
        to_version="2.0",
        found_at=now,
        others=parts[:1],
    )
    two, many = (told(None, bump, now) for bump in (group, replace(group, others=parts)))
    assert two is not None
    assert many is not None

    assert notices([two])[0].text == "shop: django 1.0 → 2.0, part-0 1 → 2 found"
    assert notices([many])[0].text.endswith("part-6 1 → 2 and 3 more found")
    assert "part-9 1 → 2" in str(many.facts["with"]), "the audit has them all"


def test_hosts_that_do_the_same_are_one_sentence(now: datetime) -> None:
    done = [
        event(now, "host.done", f"shop:7:h{n}", n, host=f"h{n}", bytes=1_000_000 + n, seconds=float(n))
        for n in range(10)
    ]
    (said,) = notices(done)
    assert said.text == "shop:7: h0, h1, h2, h3, h4, h5, h6, h7 and 2 more done (1 MB, 9 s at most)"


def test_hosts_of_two_rollouts_are_two_sentences(now: datetime) -> None:
    said = notices([event(now, "host.called", f"shop:{n}:h", n, host="h") for n in (1, 2)])
    assert [notice.text for notice in said] == ["shop:1: h called", "shop:2: h called"]


def test_a_rollout_that_is_done_says_how_long_it_was_since_the_release(now: datetime) -> None:
    done = event(now, "rollout.done", "shop:7", seconds=timedelta(hours=3).total_seconds())
    assert notices([done])[0].text == "shop:7 done 3 h after the upstream release"


def test_what_needs_a_person_says_so_in_words(now: datetime) -> None:
    halted = notices([event(now, "rollout.halted", "shop:7", reason="h1: unhealthy")])
    assert list(lines(halted)) == ["ACT: shop:7 halted: h1: unhealthy"]


def test_words_of_strangers_are_inert_and_short(now: datetime) -> None:
    hostile = "\x1b[31m\u202e\n<!channel>" + "x" * 10_000
    (said,) = notices([event(now, "app.unreadable", "shop", reason=hostile)])
    assert "\x1b" not in said.text
    assert "\n" not in said.text
    assert len(said.text) <= 300


def test_a_kind_that_nobody_knows_yet_is_still_told(now: datetime) -> None:
    assert notices([event(now, "order.pause", "shop", by="ana", why="holiday")])[0].text == (
        "shop pause: by ana, why holiday"
    )


def test_a_pin_that_an_advisory_hits_is_urgent(now: datetime) -> None:
    hit = event(now, "pin.hit", "shop:django", package="django", said="CVE-2026-1 affects 1.0; 1.1 may come in")
    assert notices([hit]) == [Notice("shop: django hit: CVE-2026-1 affects 1.0; 1.1 may come in", urgent=True)]
