"""What a change makes anew, said before anything is built."""

from collections.abc import Mapping

from watcher.dockerfile.graph import Base, Graph, Inputs, graph
from watcher.dockerfile.layers import Layer
from watcher.dockerfile.parse import parse
from watcher.dockerfile.predict import Fate, Prediction, predict
from watcher.image import Platform

FILES = {"requirements.txt": "1", "app/main.py": "1", "docs/readme.md": "1"}
TREE_FIRST = """FROM python
COPY . /app
RUN pip install -r /app/requirements.txt
RUN apt-get update
"""
MANIFEST_FIRST = """FROM python
COPY requirements.txt /app/
RUN pip install -r /app/requirements.txt
COPY app /app/app
"""
STAGED = """FROM python AS build
COPY requirements.txt .
RUN pip install --target /site -r requirements.txt
FROM python
COPY --from=build /site /site
COPY app /app
"""
LAYERS = (
    Layer("base", 50_000_000),
    Layer("COPY requirements.txt /app/ # buildkit", 200),
    Layer("RUN /bin/sh -c pip install -r /app/requirements.txt # buildkit", 9_000_000),
    Layer("COPY app /app/app # buildkit", 3_000),
)


def of(text: str, files: Mapping[str, str] = FILES, base: str = "1", **arguments: str) -> Graph:
    inputs = Inputs(
        files=files,
        platform=Platform.parse("linux/amd64"),
        arguments=arguments,
        bases=lambda name, _: Base(name + base),
    )
    return graph(parse(text), inputs)


def after(text: str, *changed: str, layers: tuple[Layer, ...] = ()) -> Prediction:
    moved = FILES | dict.fromkeys(changed, "2")
    return predict(of(text, moved), of(text).keys, changed, layers)


def fates(prediction: Prediction) -> list[Fate]:
    return [one.fate for one in prediction.steps]


def test_nothing_changed_and_nothing_is_made_anew() -> None:
    assert set(fates(after(MANIFEST_FIRST))) == {Fate.KEPT}


def test_a_file_enters_where_it_is_copied_and_everything_above_follows() -> None:
    found = after(TREE_FIRST, "docs/readme.md")
    assert fates(found) == [Fate.KEPT, Fate.REBUILT, Fate.REBUILT, Fate.REBUILT]
    assert [step.name for step in found.entries["docs/readme.md"]] == ["line 2: COPY . /app"]
    assert [one.why for one in found.steps[1:]] == [
        "it takes `docs/readme.md`",
        "line 2 is made anew",
        "line 3 is made anew",
    ]


def test_what_lies_below_the_lock_stays_and_a_file_that_nobody_takes_does_nothing() -> None:
    assert fates(after(MANIFEST_FIRST, "app/main.py")) == [Fate.KEPT, Fate.KEPT, Fate.KEPT, Fate.REBUILT]
    assert set(fates(after(MANIFEST_FIRST, "docs/readme.md"))) == {Fate.KEPT}


def test_what_another_stage_makes_may_turn_out_to_be_what_it_was() -> None:
    found = after(STAGED, "requirements.txt")
    by_text = {one.step.instruction.text: one for one in found.steps if one.in_image}
    assert by_text["COPY --from=build /site /site"].fate is Fate.OPEN
    assert by_text["COPY --from=build /site /site"].why == "it copies what line 3 makes"
    assert by_text["COPY app /app"].fate is Fate.OPEN


def test_the_bytes_are_those_from_the_lowest_new_layer_up() -> None:
    assert after(MANIFEST_FIRST, "app/main.py", layers=LAYERS).classic.most == 3_000
    assert after(MANIFEST_FIRST, "requirements.txt", layers=LAYERS).classic.least == 9_003_200
    assert after(MANIFEST_FIRST, layers=LAYERS).classic.most == 0


def test_an_argument_that_changes_each_time_is_named() -> None:
    text = "FROM python\nARG COMMIT\nRUN pip install -r /requirements.txt\n"
    found = predict(of(text, COMMIT="2"), of(text, COMMIT="1").keys, ())
    assert found.rebuilt[0].step.name == "line 3: RUN pip install -r /requirements.txt"
    assert found.rebuilt[0].why == "it reads otherwise, or its variables do"


def test_a_base_that_moved_is_named() -> None:
    found = predict(of(MANIFEST_FIRST, base="2"), of(MANIFEST_FIRST, base="1").keys, ())
    assert found.rebuilt[0].why == "the base image `python` has moved"


def test_without_a_build_before_everything_is_new() -> None:
    found = predict(of(MANIFEST_FIRST), (), None)
    assert {one.fate for one in found.steps} == {Fate.REBUILT}
