"""What a proposal says to a reviewer: all that is known, and no word of a stranger that does anything."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from watcher.advisory import Advisory
from watcher.bump import Bump, Part
from watcher.lockfiles.diff import Change, LockDiff
from watcher.pin import Pin
from watcher.release import File, Release
from watcher.settings import AppSettings
from workers.propose.facts import Facts, Layer, Notes
from workers.propose.forges.forge import key_of
from workers.propose.links import Link
from workers.propose.markdown import block, code, link
from workers.propose.paper import paper_of

MONDAY = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
BUMP = Bump(
    id="shop:side:1.1",
    app="shop",
    ecosystem="pypi",
    package="side",
    from_version="1.0",
    to_version="1.1",
    found_at=MONDAY,
    branch="toplayer/shop/side",
    why="1.1 is the newest, and 5 days old",
)
SETTINGS = {
    "repository": "https://git.example/team/shop.git",
    "lock": "requirements.txt",
    "image": {"repository": "oci:/srv/images", "python": "3.12"},
    "fleet": "field",
}
APP = AppSettings.model_validate(SETTINGS)


def pin(package: str, version: str) -> Pin:
    return Pin(ecosystem="pypi", package=package, version=version, lock="requirements.txt")


def release(package: str, version: str, day: int, size: int | None = None) -> Release:
    at = MONDAY.replace(month=10, day=day)
    file = File(filename=f"{package}-{version}.whl", url="https://index.example/f", uploaded_at=at, size=size)
    return Release(package=package, version=version, files=(file,))


DIFF = LockDiff(
    added=(pin("fresh", "0.1"),),
    removed=(pin("gone", "3.0"),),
    changed=(Change(pin("core", "1.0"), pin("core", "2.0")), Change(pin("side", "1.0"), pin("side", "1.1"))),
)


def test_the_asked_package_comes_first_with_dates_and_what_moved_with_it_with_a_reason() -> None:
    releases = {("side", "1.0"): release("side", "1.0", 1), ("side", "1.1"): release("side", "1.1", 9)}
    sizes = {("side", "1.0"): 59_000, ("side", "1.1"): 60_000, ("fresh", "0.1"): 1_200}
    diff = DIFF.weighed(lambda pin: sizes.get((pin.package, pin.version)))
    paper = paper_of(BUMP, APP, diff, Facts(releases=releases, why={"core": "side 1.1 needs core>=2"}))
    rows = [line for line in paper.body.splitlines() if line.startswith("| `")]
    assert rows == [
        (
            "| `side` | `1.0` | `1.1` | 2026-10-09 (from 2026-10-01) | 59 kB → 60 kB | "
            "`1.1 is the newest, and 5 days old` |"
        ),
        "| `core` | `1.0` | `2.0` |  |  | `side 1.1 needs core>=2` |",
        "| `fresh` | – | `0.1` |  | 1.2 kB | `the others need it` |",
        "| `gone` | `3.0` | – | |  | nothing needs it any more |",
    ]
    assert paper.title == "Bump side from 1.0 to 1.1"
    assert key_of(paper.sealed) == BUMP.key


def test_a_bump_of_several_says_so_in_its_title() -> None:
    both = replace(BUMP, group="web", others=(Part("core", "1.0", "2.0"),))
    assert paper_of(both, APP, DIFF, Facts()).title == "Bump web: core 1.0 → 2.0, side 1.0 → 1.1"


def test_advisories_that_it_fixes_are_named() -> None:
    known = Advisory(
        id="GHSA-1", aliases=("CVE-2026-1",), summary="it `leaks` @all", severity="high", url="https://osv.example/1"
    )
    fixing = replace(BUMP, advisories=("CVE-2026-1", "CVE-2026-2"))
    body = paper_of(fixing, APP, DIFF, Facts(advisories={"CVE-2026-1": known})).body
    assert "- `CVE-2026-1` high `it 'leaks' @all` <https://osv.example/1>" in body
    assert "- `CVE-2026-2`\n" in body


def test_what_happens_next_and_how_to_hold_it_are_said() -> None:
    body = paper_of(BUMP, APP, DIFF, Facts(hosts=12, fleet="field", waves="1, 100%")).body
    assert (
        "A person merges this. Then toplayer builds an image of `main` and rolls it out to the 12 hosts of `field`"
        in body
    )
    assert "`toplayer pause shop`" in body
    for waves, said in (((2,), "wave 2 waits"), ((2, 3), "waves 2, 3 wait")):
        asking = paper_of(BUMP, APP, DIFF, Facts(hosts=12, fleet="field", waves="1, 100%", approve=waves)).body
        assert f"in waves of 1, 100% ({said} for `toplayer approve shop`)." in asking
    assert "Close this, and `1.1` does not come again by itself" in body
    forge = {"kind": "github", "token": {"env": "T"}, "automerge": "checks"}
    auto = AppSettings.model_validate({**SETTINGS, "forge": {**forge, "project": "team/shop"}})
    assert "toplayer merges this once the required checks are green" in paper_of(BUMP, auto, DIFF, Facts()).body


HOSTILE = (
    "closes #1 @everyone ![x](https://evil.example/x.png) <img src=x> </details> ``` `` ` [a](javascript:b)\n# H\n\x1b["
)


def test_the_words_of_authors_stay_in_their_block() -> None:
    facts = Facts(
        notes=[Notes(package="side", text=f"{HOSTILE}\n````\n{HOSTILE}", source="CHANGES.md in side-1.1.tar.gz")]
    )
    body = paper_of(BUMP, APP, DIFF, facts).body
    fence = "`" * 5
    before, inside, after = body.split(fence)
    assert "evil" not in before + after
    assert "@everyone" in inside
    assert "\x1b" not in body


def test_the_name_of_a_package_is_no_markup() -> None:
    body = paper_of(BUMP, APP, DIFF, Facts(notes=[Notes(package="<img src=x> @all", text="t", source="s")])).body
    assert "<summary>What the authors of <code>&lt;img src=x&gt; @all</code> say</summary>" in body


@pytest.mark.parametrize("text", [HOSTILE, "a|b", "`", "``a``", "x" * 10_000, "\u202eabc", ""])
def test_a_text_in_a_line_is_code_and_nothing_else(text: str) -> None:
    said = code(text)
    assert said == "" or (said[0] == said[-1] == "`" and "`" not in said[1:-1])
    assert "\n" not in said
    assert len(said) < 500
    assert "|" not in said.replace("\\|", "")


@pytest.mark.parametrize(
    ("address", "clickable"),
    [
        ("https://osv.example/CVE-1", True),
        ("https://github.com/team/side/releases", True),
        ("https://github.com/team/side/issues/5", False),
        ("https://github.com/team/side/pull/5", False),
        ("javascript:alert(1)", False),
        ("https://a.example/> <b>", False),
        ("https://a.example/" + "x" * 400, False),
    ],
)
def test_an_address_can_be_clicked_if_that_does_nothing_else(address: str, clickable: bool) -> None:
    assert link(address).startswith("<https://") is clickable


def test_a_block_is_cut_and_keeps_its_end() -> None:
    said = block("a\n" * 10_000, 100)
    assert len(said) < 130
    assert said.endswith("```")


def test_a_body_is_never_longer_than_a_forge_takes() -> None:
    many = LockDiff(changed=tuple(Change(pin(f"p{n}", "1"), pin(f"p{n}", "2")) for n in range(500)))
    notes = [Notes(package=f"p{n}", text="x" * 50_000, source="s") for n in range(9)]
    paper = paper_of(BUMP, APP, many, Facts(notes=notes, why={f"p{n}": "w" * 5_000 for n in range(500)}))
    assert len(paper.sealed) < 65_536
    assert "and 440 more" in paper.body
    assert key_of(paper.sealed) == BUMP.key


# --- the example in the documentation ---------------------------------------------------------------------------------

DOCS = Path(__file__).parents[3] / "docs" / "proposals.md"


def example() -> str:
    """A bump of requests that brings something new, on an app with five layers and forty hosts."""
    forge = {"kind": "gitea", "url": "https://git.example", "token": {"env": "T"}, "automerge": "checks"}
    app = AppSettings.model_validate({**SETTINGS, "forge": forge})
    bump = replace(
        BUMP,
        id="shop:requests:2.33.1",
        package="requests",
        from_version="2.32.5",
        to_version="2.33.1",
        why="2.33.1 fixes CVE-2026-1, and advisories do not wait",
        advisories=("CVE-2026-1",),
    )
    changed = (("requests", "2.32.5", "2.33.1"), ("urllib3", "2.5.0", "2.6.0"))
    diff = LockDiff(
        changed=tuple(Change(pin(name, before), pin(name, after)) for name, before, after in changed),
        added=(pin("puremagic", "1.30"),),
        removed=(pin("chardet", "5.2.0"),),
    )
    known = [("requests", "2.32.5", 1, 0), ("requests", "2.33.1", 28, 0), ("urllib3", "2.5.0", 2, 0)]
    known += [("urllib3", "2.6.0", 12, 0), ("puremagic", "1.30", 5, 43_000)]
    layers = [((), 45_000_000), (("numpy",), 18_000_000), (("urllib3", "idna"), 400_000), (("requests",), 64_000)]
    layers.append(((), 21_000))
    facts = Facts(
        releases={(name, version): release(name, version, day, size) for name, version, day, size in known},
        advisories={
            "CVE-2026-1": Advisory(
                id="CVE-2026-1",
                summary="Credentials leak on redirects",
                severity="high",
                url="https://osv.example/1",
            )
        },
        notes=(
            Notes(
                package="requests",
                text="2.33.1 (2026-10-28)\n-------------------\n- No leak on redirects any more, thanks @anna (#6999)",
                source="HISTORY.md in requests-2.33.1.tar.gz",
            ),
        ),
        why={"urllib3": "requests 2.33.1 needs urllib3>=2.6", "puremagic": "requests 2.33.1 needs puremagic"},
        layers=[Layer(components=tuple(f"pypi:{name}" for name in names), size=size) for names, size in layers],
        hosts=40,
        fleet="field",
        waves="1, 10%, 100%",
        links=(
            Link(site="north", hosts=30, classic=30, rate=100_000),
            Link(site="south", hosts=10, rate=250_000, is_set=True),
        ),
    )
    return paper_of(bump, app, diff, facts).body


def test_the_example_in_the_documentation_is_what_is_said() -> None:
    assert f"~~~markdown\n{example()}\n~~~\n" in DOCS.read_text(encoding="utf-8")


def test_plugins_that_had_no_say_are_named() -> None:
    body = paper_of(BUMP, APP, DIFF, Facts(plugins=("acme/tool", "symfony/flex"))).body

    assert "(`acme/tool`, `symfony/flex`) had no say in this lock" in body
    assert "Not run" not in paper_of(BUMP, APP, DIFF, Facts()).body
