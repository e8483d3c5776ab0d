"""What the advisor finds, and that what it writes means the same and costs less."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from tests.rig.dockerfiles import CONTEXT, sample
from watcher.dockerfile.advice.cost import cost
from watcher.dockerfile.advice.cost import known as known_of
from watcher.dockerfile.advice.lint import Advice, Finding, lint
from watcher.dockerfile.layers import Layer
from watcher.dockerfile.parse import parse
from watcher.dockerfile.project import Project

PHP, PYTHON, CODE = "php/src/composer.lock", "python/src/requirements.txt", "python/src/shop/__main__.py"
STORY = (PHP,) * 12 + (PYTHON,) * 2 + (CODE,)


def project(history: Sequence[str] = STORY, **more: bytes) -> Project:
    files = {**CONTEXT, **more}
    return Project(
        files={path: len(content) for path, content in files.items()},
        read=lambda path: files[path].decode() if path in files else None,
        history=tuple(frozenset({path}) for path in history),
    )


def advice(text: str, history: Sequence[str] = STORY, **more: bytes) -> Advice:
    return lint(parse(text), project(history, **more))


def codes(found: Advice) -> list[str]:
    return [one.code for one in found.findings]


def test_the_origin_story_before_becomes_one_that_is_at_least_as_good_as_after() -> None:
    before, after = sample("02").text, sample("03").text
    found = advice(before)
    assert {"TL001", "TL002", "TL004"} <= set(codes(found))
    known = known_of(parse(before), project())
    ours, theirs = (cost(parse(text), project(), known) for text in (found.fixed, after))
    assert ours.bytes <= theirs.bytes
    assert ours.delay <= theirs.delay
    # The bumps that come most often rebuild no Python.
    rows = found.fixed.splitlines()
    php, python = (next(n for n, row in enumerate(rows) if text in row) for text in ("--from=composer", "pip install"))
    assert php > python
    assert "composer install --no-autoloader --no-scripts" in found.fixed


def test_the_manifest_goes_before_the_tree_with_the_lists_that_it_includes() -> None:
    text = "FROM python\nWORKDIR /app\nCOPY . .\nRUN pip install -r requirements.txt\n"
    found = advice(text, [CODE], **{"requirements.txt": b"-r more.txt\nsix==1\n", "more.txt": b"attrs==1\n"})
    assert found.fixed.splitlines()[2:4] == [
        "COPY more.txt requirements.txt /app/",
        "RUN pip install --no-cache-dir --no-compile -r requirements.txt",
    ]
    assert found.fixed.splitlines()[4] == "COPY . ."


def test_an_install_that_needs_the_tree_stays_where_it_is() -> None:
    tree = "FROM python\nCOPY . /app\nRUN pip install /app\n"
    assert "TL001" not in codes(advice(tree, [CODE]))
    local = "FROM python\nCOPY . /app\nRUN pip install -r /app/requirements.txt\n"
    assert "TL001" not in codes(advice(local, [CODE], **{"requirements.txt": b"-e ./python/src\n"}))


def test_what_the_rewriter_does_not_understand_stays_where_it_is() -> None:
    text = "FROM python\nCOPY . /app\nRUN /app/scripts/start.sh\nRUN pip install -r /app/requirements.txt\n"
    assert "TL001" not in codes(advice(text, [CODE]))
    odd = "FROM python\nCOPY . /app\nRUN cd /app; pip install -r requirements.txt | tee /log\n"
    assert "TL001" not in codes(advice(odd, [CODE]))


def test_what_changes_most_for_its_weight_goes_last() -> None:
    text = "FROM x\nCOPY app /app\nCOPY docs /docs\n"
    assert advice(text, ["app/main.py"] * 9 + ["docs/more.md"]).fixed == "FROM x\nCOPY docs /docs\nCOPY app /app\n"
    assert advice(text, ["docs/more.md"] * 9 + ["app/main.py"]).findings == ()


def test_the_systems_packages_go_below_what_changes_and_keep_their_place_before_other_commands() -> None:
    apt = "RUN apt-get update && apt-get install -y --no-install-recommends git && rm -rf /var/lib/apt/lists/*"
    found = advice(f"FROM x\nCOPY app /app\n{apt}\nRUN /app/start.sh\n", ["app/main.py"])
    assert found.fixed == f"FROM x\n{apt}\nCOPY app /app\nRUN /app/start.sh\n"
    own = "RUN apt-get install -y --no-install-recommends ./app/own.deb && rm -rf /var/lib/apt/lists/*"
    assert advice(f"FROM x\nCOPY app /app\n{own}\n", ["app/main.py"]).findings == ()


def test_one_rewrite_makes_room_for_another() -> None:
    text = "FROM x\nWORKDIR /app\nCOPY . .\nRUN composer install\nRUN pip install -r requirements.txt\n"
    found = advice(text, [CODE, "composer.lock"])
    assert {"TL001", "TL002"} <= set(codes(found))
    rows = found.fixed.splitlines()
    assert rows.index("COPY . .", rows.index("WORKDIR /app", 6)) > next(n for n, row in enumerate(rows) if "pip" in row)


def test_two_copies_to_one_place_stay_in_their_order() -> None:
    text = "FROM x\nCOPY app /app\nCOPY docs /app\n"
    assert advice(text, ["app/main.py"] * 9).findings == ()


def test_an_argument_that_changes_each_time_is_declared_where_it_is_used() -> None:
    text = "FROM x\nARG GIT_SHA\nRUN pip install --no-cache-dir --no-compile six\nLABEL revision=$GIT_SHA\n"
    found = advice(text)
    assert codes(found) == ["TL006"]
    assert found.fixed.splitlines()[2:] == ["ARG GIT_SHA", "LABEL revision=$GIT_SHA"]
    # Every commit had installed it again.
    saved = found.findings[0].told
    assert saved is not None
    assert saved.bytes > 0.9 * found.before.bytes > 0


def test_what_nobody_can_know_is_not_told() -> None:
    found = advice("FROM x\nRUN pip install six\n", [])
    assert [(one.code, one.told) for one in found.findings] == [("TL004", None)]


def test_apt_brings_what_was_asked_for_and_leaves_no_lists() -> None:
    text = "FROM x\nRUN apt-get update\nRUN apt-get install -y curl\n"
    run = "RUN apt-get update && apt-get install --no-install-recommends -y curl && rm -rf /var/lib/apt/lists/*"
    found = advice(text)
    assert found.fixed == f"FROM x\n{run}\n"
    # No commit makes that layer anew: what is saved is saved by hosts that are set up anew.
    (saved,) = [one.told for one in found.findings]
    assert saved is not None
    assert 0 < saved.bytes < found.before.bytes


def test_what_an_image_without_lists_weighs_is_not_taken_for_one_with_them() -> None:
    lean, size = (
        "RUN apt-get update && apt-get install -y --no-install-recommends curl && rm -rf /var/lib/apt/lists/*",
        8_000_000,
    )
    text = "FROM x\n{}\nCOPY app /app\n"
    built = replace(project(), layers=(Layer(lean, size),))
    seen = known_of(parse(text.format(lean)), built)
    wasteful = "RUN apt-get update && apt-get install -y curl"
    one, other = (cost(parse(text.format(run)), built, seen).bytes for run in (lean, wasteful))
    assert other - one == pytest.approx(30 / 365 * (15_000_000 + size / 0.8 - size), rel=0.01)


def test_a_finding_can_be_silenced_where_it_is_or_in_the_whole_file() -> None:
    text = "FROM x\n{}RUN pip install six\n"
    assert codes(advice(text.format(""))) == ["TL004"]
    assert codes(advice(text.format("# toplayer: ignore TL004\n"))) == []
    assert codes(advice(text.format("# toplayer: ignore\n"))) == []
    assert codes(advice(text.format("# toplayer: ignore TL001\n"))) == ["TL004"]
    assert codes(advice("# toplayer: ignore-file TL004\n" + text.format(""))) == []


LIST = "".join(f"cold{number}==1.0\n" for number in range(20)) + "hot-one==1.0 \\\n    --hash=sha256:aa\n"


def bumps(*names: str, containerd: bool = False, seconds: Mapping[str, float] | None = None) -> Project:
    """A project whose list moves one package a commit."""
    files = {"requirements.txt": LIST, "main.py": "1"}
    return Project(
        files={path: len(text) for path, text in files.items()},
        read=files.get,
        history=tuple(frozenset({"requirements.txt"}) for _ in names),
        moved=tuple({"requirements.txt": frozenset({name})} for name in names),
        seconds=seconds or {},
        containerd=containerd,
    )


APART = (
    "FROM python:3.12\nWORKDIR /app\nCOPY requirements.txt ./\nRUN pip install -r requirements.txt\nCOPY main.py ./\n"
)


def test_hot_packages_come_in_a_layer_of_their_own_above_the_cold_ones() -> None:
    found = lint(parse(APART), bumps(*["hot-one"] * 10, "cold3"))
    rows = found.fixed.splitlines()
    assert rows[:2] == ["FROM python:3.12 AS lists", "COPY requirements.txt /lists/"]
    assert "(hot-one)" in rows[2]
    cold, hot = (next(n for n, row in enumerate(rows) if text in row) for text in ("--no-deps", "-r requirements.txt"))
    assert (
        rows.index("COPY --from=lists /lists/cold.txt /lists/cold.txt")
        < cold
        < rows.index("COPY requirements.txt ./")
        < hot
    )
    assert found.after.bytes < 0.2 * found.before.bytes
    assert lint(parse(found.fixed), bumps(*["hot-one"] * 10, "cold3")).fixed == found.fixed


def test_packages_that_all_change_alike_stay_together() -> None:
    names = [f"cold{number}" for number in range(20)]
    assert "TL009" not in codes(lint(parse(APART), bumps(*names)))
    assert "TL009" not in codes(lint(parse(APART), bumps("hot-one")))


def test_what_was_downloaded_is_kept_beside_the_image() -> None:
    names = [f"cold{number}" for number in range(20)]
    found = lint(parse(APART), bumps(*names))
    assert "RUN --mount=type=cache,target=/root/.cache/pip pip install --no-compile -r requirements.txt" in found.fixed
    other = APART.replace("WORKDIR", "USER app\nWORKDIR")
    assert "TL010" not in codes(lint(parse(other), bumps(*names)))


def test_copies_are_linked_where_the_store_keeps_what_lies_above() -> None:
    names = [f"cold{number}" for number in range(20)]
    assert "TL011" not in codes(lint(parse(APART), bumps(*names)))
    found = lint(parse(APART), bumps(*names, containerd=True))
    assert "COPY --link main.py ./" in found.fixed


def test_compilers_stay_in_a_stage_of_their_own() -> None:
    apt = "RUN apt-get update && apt-get install -y gcc python3-dev"
    text = APART.replace("COPY requirements", f"{apt}\nCOPY requirements")
    found = lint(parse(text), bumps("cold1", "cold2"))
    stage, image = found.fixed.split("\n\n")
    assert "FROM python:3.12 AS venv" in stage
    assert "python3 -m venv /opt/venv && /opt/venv/bin/pip install" in stage
    assert "gcc" in stage
    assert "gcc" not in image
    assert "ENV PATH=/opt/venv/bin:$PATH" in image
    assert "COPY --from=venv /opt/venv /opt/venv" in image
    # A library comes with its headers: who needs it at run time is a person's question.
    libraries = lint(parse(text.replace("python3-dev", "libpq-dev")), bumps("cold1", "cold2"))
    assert libraries.fixed.count("FROM") == 1
    assert "TL007" in codes(libraries)


def test_seconds_are_those_of_past_builds_where_there_were_any() -> None:
    told = {"RUN pip install -r requirements.txt": 300.0}
    names = [f"cold{number}" for number in range(10)]
    found = lint(parse(APART), bumps(*names, seconds=told))
    assert found.before.seconds == pytest.approx(3000.0)
    assert lint(parse(APART), bumps(*names)).before.seconds < 300


def test_comments_stay_with_what_they_are_about() -> None:
    text = "# ours\nFROM x\n# the code\nCOPY app /app\n# the docs\nCOPY docs /docs\n"
    fixed = advice(text, ["app/main.py"] * 9 + ["docs/more.md"]).fixed
    assert fixed == "# ours\nFROM x\n# the docs\nCOPY docs /docs\n# the code\nCOPY app /app\n"


def test_compilers_and_editable_installs_are_a_persons_business() -> None:
    apt = "RUN apt-get install -y --no-install-recommends gcc && rm -rf /var/lib/apt/lists/*"
    text = f"FROM x\n{apt}\nRUN pip install --no-cache-dir --no-compile -e /app\n"
    assert [(one.code, one.saves) for one in advice(text).findings] == [("TL007", None), ("TL008", None)]


@pytest.mark.parametrize(
    ("run", "stay"),
    [
        ("apk add --virtual .build gcc musl-dev && pip install six && apk del .build", ""),
        ("apk add -t .build gcc && pip install six && apk del --purge .build", ""),
        ("apt-get install -y gcc make curl && pip install six && apt-get purge -y --auto-remove gcc make", ""),
        ("apt-get install -y gcc make && pip install six && apt-get remove -y make", "gcc stay"),
        ("apt-get install -y gcc libpq-dev && pip install six && apt-get purge -y '*-dev'", ""),
        ("apt-get install -y gcc && apt-get autoremove -y", "gcc stay"),
        ("apt-get install -y gcc && apt-get clean", "gcc stay"),
    ],
)
def test_compilers_that_a_run_takes_away_again_are_not_in_the_image(run: str, stay: str) -> None:
    found = [one.said for one in advice(f"FROM x\nRUN {run}\n").findings if one.code == "TL007"]
    assert [said[: len(stay)] for said in found] == ([stay] if stay else [])
    # In another layer they are still in the one below.
    other = advice(f"FROM x\nRUN {run.replace(' && ap', chr(10) + 'RUN ap')}\n")
    assert [one.line for one in other.findings if one.code == "TL007"] == [2]


LEAN = "apt-get install -y --no-install-recommends {} && rm -rf /var/lib/apt/lists/*"


def by_hand(names: str, size: int = 90_000_000, more: str = "", history: Sequence[str] = ("app/main.py",)) -> Finding:
    """What is found of a RUN that brings these, in an image that was built of it."""
    run = f"RUN {LEAN.format(names)}{more}"
    built = replace(project(history), layers=(Layer(run, size), Layer("COPY app /app", 1000)))
    (found,) = [one for one in lint(parse(f"FROM x\n{run}\nCOPY app /app\n"), built).findings if one.code == "TL007"]
    return found


def bytes_of(found: Finding) -> float:
    """What it saves in bytes, where it saves no seconds."""
    assert found.told is not None
    assert found.told.seconds == 0
    return found.told.bytes


def test_a_person_who_takes_compilers_out_of_the_image_is_told_what_that_saves() -> None:
    found = by_hand("gcc make")
    # A host that is set up anew once a year; the builder installs them all the same.
    assert bytes_of(found) == pytest.approx(30 / 365 * 90_000_000)
    assert found.saves is None
    assert "nobody" not in found.said
    # Of four packages two: that is half, as far as anybody knows.
    half = by_hand("gcc make curl git")
    assert bytes_of(half) == pytest.approx(30 / 365 * 45_000_000)


def test_what_lies_above_compilers_and_below_counts_as_in_any_rewrite() -> None:
    text = f"FROM x\nCOPY requirements.txt /\nRUN {LEAN.format('gcc')}\nCOPY app /app\n"
    (found,) = advice(text, ["requirements.txt"] * 4).findings
    # Four times a month it is pulled again with what is below it, and guessed.
    assert bytes_of(found) == pytest.approx(30_000_000 * 0.8 * (4 + 30 / 365), rel=0.01)
    assert advice(text, []).findings[0].told is None, "without a past nothing is known, as of any finding"


def test_a_rewrite_and_what_a_person_does_then_are_not_told_twice() -> None:
    text = "FROM x\nRUN apt-get update && apt-get install -y gcc make\nCOPY app /app\n"
    found = {one.code: one.told for one in advice(text, ["app/main.py"]).findings}
    whole = advice(text, ["app/main.py"]).before.bytes
    lists, own = found["TL005"], found["TL007"]
    assert lists
    assert own
    # The lists and what is recommended are gone already.
    assert own.bytes == pytest.approx(30 / 365 * 30_000_000 * 0.8, rel=0.01)
    assert lists.bytes + own.bytes < whole


@pytest.mark.parametrize(
    ("names", "more", "why"),
    [
        ("libpq-dev curl", "", "how much of libpq-dev is needed at run time, nobody can see"),
        ("gcc", " && make install", "what else this RUN leaves is in the same layer"),
        ("gcc", " && pip install --no-cache-dir --no-compile .", "what else this RUN leaves is in the same layer"),
    ],
)
def test_where_nothing_can_be_reckoned_it_is_said_why(names: str, more: str, why: str) -> None:
    found = by_hand(names, more=more)
    assert found.told is None
    assert found.said.endswith(f"; what that saves is not known: {why}")


def test_headers_beside_compilers_are_left_out_of_the_figure_and_that_is_said() -> None:
    found = by_hand("gcc libpq-dev python3-dev", 90_000_000)
    assert bytes_of(found) == pytest.approx(30 / 365 * 60_000_000)
    assert found.said.endswith("; reckoned without libpq-dev, of which nobody can see how much is needed at run time")


def test_what_pip_brings_in_the_same_run_is_not_reckoned_as_a_compiler() -> None:
    found = by_hand("gcc", 70_000_000, " && pip install --no-cache-dir --no-compile -r requirements.txt")
    apt, pip = 30_000_000 * 0.8, 20_000_000 * 2 / 3
    assert bytes_of(found) == pytest.approx(30 / 365 * 70_000_000 * apt / (apt + pip), rel=0.01)
