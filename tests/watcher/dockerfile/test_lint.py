"""What the advisor finds, and that what it writes means the same and costs less."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from tests.rig.dockerfiles import CONTEXT, sample
from watcher.dockerfile.advice.cost import cost
from watcher.dockerfile.advice.cost import known as known_of
from watcher.dockerfile.advice.lint import Advice, lint
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
