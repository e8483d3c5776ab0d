"""A rollout as one page: its figures, and strangers' words that stay words."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.watcher.test_decide import hosts, rollout
from watcher import view
from watcher.ledger import Ledger
from watcher.report import page
from watcher.rollout import HostStage, RolloutStage

SECOND = timedelta(seconds=1)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    yield made
    made.close()


@pytest.fixture
def row(ledger: Ledger, now: datetime) -> view.Row:
    rolling = rollout(now, RolloutStage.BUILT, released_at=now - 90 * SECOND, merged_at=now - 30 * SECOND)
    written = ledger.write([(None, rolling)], now)[0]
    written = ledger.replace(written, written.at(RolloutStage.ROLLING, now).with_wave(1, now), now)
    written = ledger.replace(written, written.with_wave(2, now + 60 * SECOND), now + 60 * SECOND)
    one, two = hosts(now, HostStage.PENDING, HostStage.PENDING)
    proving = one.at(HostStage.CALLED, now).at(HostStage.FETCHED, now + 4 * SECOND)
    proving = replace(
        proving.at(HostStage.PROVING, now + 5 * SECOND), bytes=511_000, pull_seconds=4.0, swap_seconds=1.0
    )
    ledger.add(proving.at(HostStage.DONE, now + 10 * SECOND), now)
    ledger.add(replace(two, reason='<script>alert("x")</script>\x1b[31m'), now)
    ended = ledger.replace(written, written.at(RolloutStage.DONE, now + 90 * SECOND), now + 90 * SECOND)
    return view.rollout_row(ledger, ended)


def test_a_rollout_is_measured_from_the_release_and_from_the_merge(row: view.Row) -> None:
    assert [(wave["wave"], wave["from_release"], wave["from_merge"]) for wave in row["waves"]] == [
        (1, 90, 30),
        (2, 150, 90),
    ]
    assert row["seconds"] == 180
    done = row["hosts"][0]
    assert [done[key] for key in ("pull_seconds", "swap_seconds", "healthy_seconds", "seconds")] == [4, 1, 5, 10]


def test_the_page_has_the_figures_and_loads_nothing(row: view.Row) -> None:
    text = page(row)
    for said in ("shop:1 done", "511 kB", "3 min", "2 min", "h1", "h2"):
        assert said in text
    assert "http" not in text.replace("http-equiv", "")
    assert "src=" not in text


def test_a_strangers_words_are_text_in_it(row: view.Row) -> None:
    seen: list[str] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            seen.append(tag)

    text = page(row)
    Tags().feed(text)
    assert "script" not in seen
    assert "\x1b" not in text
    assert "&lt;script&gt;" in text


def test_a_rollout_that_has_not_begun_has_a_page_too(ledger: Ledger, now: datetime) -> None:
    assert "shop:1 wanted" in page(view.rollout_row(ledger, rollout(now, RolloutStage.WANTED)))
