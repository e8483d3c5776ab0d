"""`toplayer plan` and `toplayer replay`: tables, JSON, pictures, and what they say when there is nothing to show."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.watcher.cli.test_cli import CONFIG, FakeHands, Line
from tests.watcher.dockerfile.test_predict import LAYERS, MANIFEST_FIRST, after
from watcher.dockerfile.foresight import Foresight
from watcher.head import Head
from watcher.layers.outlook import Outlook
from watcher.layers.part import CODE, VENV, Part, Terms
from watcher.ledger import Ledger
from watcher.lookup import Lookup, Outcome
from watcher.pin import Pin
from watcher.release import File, Release

DAY = timedelta(days=1)
PARTS = (
    Part(name=VENV, key=VENV, size=1000),
    Part(name=CODE, key=CODE, size=300_000, rate=0.3),
    Part(name="pypi:cold", key="c", size=50_000_000),
    Part(name="pypi:hot", key="h", size=2_000_000, rate=0.2),
)


@pytest.fixture
def line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Line]:
    path = tmp_path / "toplayer.toml"
    path.write_text(CONFIG.format(state=tmp_path))
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    hands = FakeHands(laid=Outlook(parts=PARTS, terms=Terms()))
    yield Line(path, ledger, capsys, hands)
    ledger.close()


def wheel(name: str, size: int, at: datetime) -> File:
    return File(filename=name, url="x", size=size, uploaded_at=at)


def seeded(line: Line) -> None:
    now = datetime.now(UTC)
    pins = tuple(
        Pin(ecosystem="pypi", package=name, version="1.0", lock="requirements.txt") for name in ("cold", "hot")
    )
    line.ledger.add(Head(app="shop", commit="1" * 40, surveyed_at=now, pins=pins), now)
    for name, size, every in (("cold", 50_000_000, 400), ("hot", 2_000_000, 20)):
        releases = tuple(
            Release(
                package=name,
                version=f"1.{800 - ago}",
                files=(
                    File(
                        filename=f"{name}-1.{800 - ago}-py3-none-any.whl",
                        url="x",
                        size=size,
                        uploaded_at=now - ago * DAY,
                    ),
                ),
            )
            for ago in range(800, 0, -every)
        )
        line.ledger.add(Lookup(index="pypi", package=name, outcome=Outcome.ANSWER, releases=releases), now)


def test_a_plan_is_a_table_from_the_bottom_up_and_a_picture(line: Line, tmp_path: Path) -> None:
    seeded(line)

    assert line("plan", "shop", "--svg", str(tmp_path / "plan.svg")) == 0

    layers = [row.split()[-1] for row in line.out.splitlines()[1:4]]
    assert layers == ["venv", "hot", "code"]
    assert "every 5 days" in line.out
    assert "52.3 MB       2.3 MB" in line.out
    assert (tmp_path / "plan.svg").read_text().startswith("<svg ")
    assert line.hands.asked == ["refresh"]


def test_a_plan_as_json_has_bytes_and_rates(line: Line) -> None:
    seeded(line)

    assert line("plan", "shop", "--cached", "--json") == 0

    found = json.loads(line.out)
    assert [layer["parts"] for layer in found["layers"]] == [["pypi:cold", VENV], ["pypi:hot"], ["code"]]
    assert found["layers"][1] == {
        "layer": 2,
        "parts": ["pypi:hot"],
        "size": 2_000_000,
        "rate": 0.2,
        "bump_today": 52_301_390,
        "bump_planned": 2_301_170,
    }
    assert line.hands.asked == []


def test_a_replay_compares_six_ways(line: Line, tmp_path: Path) -> None:
    seeded(line)

    assert line("replay", "shop", "--cached", "--since", "1y", "--svg", str(tmp_path / "replay.svg")) == 0

    assert [row[:3] for row in line.out.splitlines()[1:7]] == ["(a)", "(b)", "(c)", "(d)", "(e)", "(f)"]
    assert " bumps of 2 packages and 109 changes of the code since" in line.out
    assert "sizes are those of the files on the index" in line.out
    assert (tmp_path / "replay.svg").read_text().count("<polyline") == 6


def test_a_replay_as_json_counts_bytes(line: Line) -> None:
    seeded(line)

    assert line("replay", "shop", "--cached", "--since", "100d", "--code", "20d", "--json") == 0

    found = json.loads(line.out)
    assert (found["bumps"], found["commits"]) == (5, 5)
    costs = [row["classic"] for row in found["strategies"]]
    assert costs[0] > 10 * 52_000_000 > costs[1] > 5 * 52_000_000 > 10 * 2_400_000 > costs[4] >= costs[5]


def test_without_pins_there_is_nothing_to_lay(line: Line) -> None:
    assert line("plan", "shop", "--cached") == 1
    assert "error: shop: no pins are known yet" in line.err
    assert "hint: `toplayer check`" in line.err


def test_a_bad_span_is_bad_usage(line: Line) -> None:
    assert line("replay", "shop", "--cached", "--since", "yesterday") == 2
    assert "--since" in line.err
    assert line("replay", "shop", "--cached", "--code", "often") == 2
    assert "--code" in line.err


def test_the_plan_of_a_dockerfile_is_what_the_next_build_makes_anew(line: Line) -> None:
    text = re.sub('"oci:.*"', '"registry.example/shop"\nbuilder = "dockerfile"', line.path.read_text())
    line.path.write_text(text)
    prediction = after(MANIFEST_FIRST, "app/main.py", layers=LAYERS)
    line.hands.foreseen = Foresight(commit="1" * 40, image="sha256:" + "2" * 64, prediction=prediction)
    assert line("plan", "shop") == 0
    assert line.out.splitlines() == [
        "shop: commit 111111111111 on top of 222222222222",
        "app/main.py enters at line 4: COPY app /app/app",
        "line 4: COPY app /app/app is made anew: it takes `app/main.py`",
        "a host will pull 3 kB",
    ]
    assert line("plan", "shop", "--json") == 0
    found = json.loads(line.out)
    assert found["entries"] == {"app/main.py": [4]}
    assert [step["fate"] for step in found["steps"]] == ["kept", "kept", "kept", "rebuilt"]
    assert found["classic"] == {"least": 3_000, "most": 3_000}
    assert (found["platform"], found["others"]) == ("linux/amd64", [])
    assert line("plan", "shop", "--svg", "x.svg") == 2


def test_the_plan_of_a_dockerfile_says_of_which_of_several_platforms_it_is(line: Line) -> None:
    text = re.sub('"oci:.*"', '"registry.example/shop"\nbuilder = "dockerfile"', line.path.read_text())
    line.path.write_text(text)
    larger = (*LAYERS[:-1], replace(LAYERS[-1], size=4_000))
    first, second = (after(MANIFEST_FIRST, "app/main.py", layers=layers) for layers in (LAYERS, larger))
    other = Foresight(commit="1" * 40, image="sha256:" + "2" * 64, prediction=second, platform="linux/arm64")
    line.hands.foreseen = replace(other, prediction=first, platform="linux/amd64", others=(other,))
    assert line("plan", "shop") == 0
    assert line.out.splitlines() == [
        "shop: commit 111111111111 on top of 222222222222",
        "app/main.py enters at line 4: COPY app /app/app",
        "line 4: COPY app /app/app is made anew: it takes `app/main.py`",
        "linux/amd64: a host will pull 3 kB",
        "linux/arm64: a host will pull 4 kB",
    ]
    assert line("plan", "shop", "--json") == 0
    found = json.loads(line.out)
    assert [(one["platform"], one["classic"]["most"]) for one in (found, *found["others"])] == [
        ("linux/amd64", 3_000),
        ("linux/arm64", 4_000),
    ]
