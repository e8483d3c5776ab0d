"""Moving a pin in a text: for files of many shapes, the pin's own lines change and nothing else does."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watcher.lockfiles.requirements import Requirements
from workers.propose.edit import edited

NEW = tuple(f"sha256:{digit * 64}" for digit in "0123")
NAMES = st.sampled_from(["requests", "Requests", "zope.interface", "ruamel.yaml.clib", "a", "typing_extensions", "b2"])
VERSIONS = st.sampled_from(["1.0", "2.31.0", "1!2.0", "2024.1.1", "1.0rc1", "0.1.dev3", "1.0+local.1", "1.0.post1"])
MARKERS = st.sampled_from(
    ["", ' ; python_version < "3.9"', ";sys_platform=='win32'", ' ; python_version >= "3" and os_name == "a==1"']
)
NOISE = st.sampled_from(
    [
        *("", "   ", "# requests==0.0", "  # via requests", "# -*- coding: utf-8 -*-", "# Grüße →", "--pre", "-e ."),
        *("./local/x", "x @ https://index.example/x-1.0-py3-none-any.whl", "--index-url https://index.example/simple"),
    ]
)


@dataclass(frozen=True)
class Requirement:
    """One pin in one of its many spellings. `lead` stands before the first hash, `parting` between two."""

    name: str
    extras: str
    operator: str
    version: str
    marker: str
    hashes: tuple[str, ...]
    lead: str
    parting: str
    option: str
    comment: str

    def text(self, version: str = "", hashes: Sequence[str] = ()) -> str:
        shown = hashes if self.hashes and hashes else self.hashes
        parting = self.parting if len(self.hashes) > 1 else self.lead
        head = f"{self.name}{self.extras}{self.operator}{version or self.version}{self.marker}"
        tail = self.lead + parting.join(self.option + one for one in shown) if shown else ""
        return head + tail + self.comment


File = tuple[str, list[str | Requirement], str, str]


@st.composite
def requirements(draw: st.DrawFn, ends: str) -> Requirement:
    many = draw(st.integers(0, 3))
    partings = st.sampled_from([" ", "  ", f" \\{ends}    ", f" \\{ends}\t", f"\\{ends} "])
    return Requirement(
        name=draw(NAMES),
        extras=draw(st.sampled_from(["", "[security]", " [a, b]"])),
        operator=draw(st.sampled_from(["==", " == ", "===", "== ", f" \\{ends}  =="])),
        version=draw(VERSIONS),
        marker=draw(MARKERS),
        hashes=tuple(f"sha256:{draw(st.sampled_from('abcdef')) * 63}{number}" for number in range(many)),
        lead=draw(partings),
        parting=draw(partings),
        option=draw(st.sampled_from(["--hash=", "--hash "])),
        comment=draw(
            st.sampled_from(["", "  # via x", " # --hash=sha256:00", f"{ends}    # via{ends}    #   -r x.in"])
        ),
    )


@st.composite
def files(draw: st.DrawFn) -> File:
    """Byte order mark, lines, line end, and whether the last line has one."""
    ends = draw(st.sampled_from(["\n", "\r\n"]))
    lines = draw(st.lists(st.one_of(NOISE, requirements(ends)), min_size=1, max_size=8))
    pinned: set[str] = set()
    kept: list[str | Requirement] = []
    for line in lines:
        if isinstance(line, str) or normal(line.name) not in pinned:
            kept.append(line)
        if isinstance(line, Requirement):
            pinned.add(normal(line.name))
    return draw(st.sampled_from(["", "\ufeff"])), kept, ends, draw(st.sampled_from(["", ends]))


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@given(files(), st.data())
@settings(max_examples=500, deadline=None)
def test_only_the_pin_s_own_lines_change(file: File, data: st.DataObject) -> None:
    mark, lines, ends, last = file
    pins = [line for line in lines if isinstance(line, Requirement)]
    if not pins:
        return
    mine = data.draw(st.sampled_from(pins))
    text = mark + ends.join(line if isinstance(line, str) else line.text() for line in lines) + last
    expected = (
        mark
        + ends.join(
            line if isinstance(line, str) else line.text("9.8.7", NEW) if line is mine else line.text()
            for line in lines
        )
        + last
    )

    made = edited(text, "requirements.txt", normal(mine.name), "9.8.7", NEW)

    assert made == expected
    before, after = (
        {pin.package: pin for pin in Requirements().pins(each, "requirements.txt", {})} for each in (text, made)
    )
    moved = after.pop(normal(mine.name))
    assert moved.version == "9.8.7"
    assert moved.hashes == (NEW if mine.hashes else ())
    del before[normal(mine.name)]
    assert before == after


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("side==1.0", "side==2.0"),
        ("side==1.0;python_version=='1.0'", "side==2.0;python_version=='1.0'"),
        ("Side_==1.0\nside==1.0\n", "Side_==1.0\nside==2.0\n"),
        ("side-car==1.0\nside==1.0\n", "side-car==1.0\nside==2.0\n"),
        ("side==1.0 # side==1.0\n", "side==2.0 # side==1.0\n"),
        ("side[a]==1.0\n\n\n# end", "side[a]==2.0\n\n\n# end"),
        ("side (==1.0)\n", "side (==2.0)\n"),
        ("side==1.0 --hash=sha512:" + "a" * 128 + "\n", f"side==2.0 --hash={NEW[0]} --hash={NEW[1]}\n"),
        ("side==1.0 \\\r\n  --hash=sha256:" + "a" * 64, f"side==2.0 \\\r\n  --hash={NEW[0]} \\\r\n  --hash={NEW[1]}"),
        ("side==1.0 --config-settings a==1.0\n", "side==2.0 --config-settings a==1.0\n"),
    ],
)
def test_a_pin_in_an_unusual_place(text: str, expected: str) -> None:
    assert edited(text, "requirements.txt", "side", "2.0", NEW[:2]) == expected


def test_a_package_that_is_not_there_changes_nothing() -> None:
    assert edited("side==1.0\n", "requirements.txt", "core", "2.0", NEW) == "side==1.0\n"
