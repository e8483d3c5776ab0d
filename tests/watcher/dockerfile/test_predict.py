"""What a change makes anew, said before anything is built."""

from collections.abc import Mapping

from watcher.dockerfile.graph import Base, Graph, Inputs, graph
from watcher.dockerfile.layers import Layer
from watcher.dockerfile.parse import parse
from watcher.dockerfile.predict import Fate, Prediction, predict
from watcher.dockerfile.told import told
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


def test_a_layer_is_known_whether_or_not_its_history_tells_of_flags() -> None:
    text = "FROM python\nCOPY --chown=app:app --chmod=644 app /app\n"
    for said in ("COPY app /app # buildkit", "COPY --chown=app:app --chmod=644 app /app # buildkit"):
        layers = (Layer("base", 5), Layer(said, 7))
        assert after(text, "app/main.py", layers=layers).classic.most == 7


def test_what_is_new_of_a_base_that_moved_is_pulled_too() -> None:
    rows = (("sha256:same", 10), ("sha256:new", 20))
    inputs = Inputs(
        files=FILES, platform=Platform.parse("linux/amd64"), bases=lambda name, _: Base(name + "2", layers=rows)
    )
    before = (Layer("a", 10, "sha256:same"), Layer("b", 15, "sha256:old"), *LAYERS[1:])
    found = predict(graph(parse(MANIFEST_FIRST), inputs), of(MANIFEST_FIRST).keys, (), before)
    assert found.classic.most == 20 + 200 + 9_000_000 + 3_000


def test_hosts_of_both_kinds_are_reckoned_with() -> None:
    text = "FROM python\nCOPY requirements.txt /\nCOPY --link app /app\n"
    rows = (Layer("base", 5), Layer("COPY requirements.txt / # buildkit", 10), Layer("COPY app /app # buildkit", 100))

    def linked(files: Mapping[str, str]) -> Graph:
        return graph(parse(text), Inputs(files=files, platform=Platform.parse("linux/amd64"), merges=True))

    moved = linked(FILES | {"requirements.txt": "2"})
    found = predict(moved, linked(FILES).keys, ["requirements.txt"], rows)
    assert (found.classic.most, found.containerd.most, found.pulled(0.5)) == (110, 10, 60)
    assert list(told(found, 0.5))[-1] == ("a classic host will pull 110 B, one that keeps each layer for itself 10 B")
    assert list(told(found, 0.0))[-1] == "a host will pull 10 B"


def test_what_is_laid_upon_what_is_there_stays_and_what_stands_on_both_does_not() -> None:
    text = "FROM python\nCOPY requirements.txt /\nCOPY --link docs /docs\nRUN make\n"

    def linked(files: Mapping[str, str]) -> Graph:
        return graph(parse(text), Inputs(files=files, platform=Platform.parse("linux/amd64"), merges=True))

    found = predict(linked(FILES | {"requirements.txt": "2"}), linked(FILES).keys, ["requirements.txt"])
    assert fates(found) == [Fate.KEPT, Fate.REBUILT, Fate.KEPT, Fate.REBUILT]
    assert found.steps[3].why == "line 2 is made anew"
    assert fates(predict(linked(FILES | {"docs/readme.md": "2"}), linked(FILES).keys, ["docs/readme.md"])) == [
        *(Fate.KEPT, Fate.KEPT, Fate.REBUILT, Fate.REBUILT)
    ]


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
