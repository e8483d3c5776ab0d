"""What is said after a build that made more anew than it had to: which instruction, and nothing where all is well."""

from collections.abc import Collection, Mapping
from dataclasses import replace

import pytest

from tests.watcher.dockerfile.test_predict import of
from watcher.dockerfile.layers import Layer, layers_of
from watcher.dockerfile.predict import predict
from watcher.dockerfile.verify import Changes, verify

FILES = {
    "requirements.txt": "1",
    "lists/all.txt": "1",
    "lists/base.txt": "1",
    "php/requirements.txt": "1",
    "python/requirements.txt": "1",
    "pyproject.toml": "1",
    "app/main.py": "1",
}
TEXTS = {"lists/all.txt": "-r base.txt  # what everybody needs\nflask==3\n", "lists/base.txt": "six==1\n"}


def said(
    text: str,
    *changed: str,
    was: str = "",
    made: Collection[str] = (),
    missed: Collection[str] = (),
    **arguments: tuple[str, str],
) -> tuple[str, ...]:
    """What is said of a build of `text` after these files have changed: where it all went as foreseen, but for OPEN
    steps that were `made`, and kept ones that the builder `missed`, both by their labels. `was` is the Dockerfile
    before."""
    before = of(was or text, FILES, **{name: old for name, (old, _) in arguments.items()})
    after = of(text, FILES | dict.fromkeys(changed, "2"), **{name: new for name, (_, new) in arguments.items()})
    prediction = predict(after, before.keys, changed)
    worked = {one.step.label: one.step.label in {*made, *missed} or one.fate > 1 for one in prediction.steps}
    return verify(prediction, worked, Changes(files=changed, edited=bool(was), read=TEXTS.get))


def test_an_install_below_a_tree_names_the_tree() -> None:
    (one,) = said("FROM python\nCOPY . /app\nRUN pip install -r /app/requirements.txt\n", "app/main.py")
    assert one.startswith("line 2: COPY . /app was made anew (it takes `app/main.py`), and with it line 3: RUN pip")


def test_an_argument_that_changes_each_time_is_to_blame() -> None:
    text = "FROM python\nARG COMMIT\nRUN pip install six==1\n"
    (one,) = said(text, "app/main.py", COMMIT=("1", "2"))
    assert one.startswith("line 3: RUN pip install six==1 was made anew (it reads otherwise, or its variables do)")


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("COPY requirements.txt /\nRUN pip install -r /requirements.txt", "requirements.txt"),
        ("WORKDIR /srv\nCOPY lists .\nRUN pip install -r all.txt", "lists/base.txt"),
        ("COPY . /app\nRUN pip install /app", "app/main.py"),
        ("WORKDIR /app\nCOPY . .\nRUN pip install -e .", "pyproject.toml"),
        ("COPY python /srv\nRUN cd /srv && pip install -r requirements.txt", "python/requirements.txt"),
        ("RUN --mount=type=bind,source=lists,target=/mnt pip install -r /mnt/all.txt", "lists/base.txt"),
    ],
)
def test_an_install_that_was_told_otherwise_is_no_warning(text: str, changed: str) -> None:
    assert said(f"FROM python\n{text}\n", changed) == ()


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("COPY php /php\nCOPY python /srv\nRUN pip install -r /srv/requirements.txt", "php/requirements.txt"),
        ("WORKDIR /app\nCOPY . .\nRUN pip install -e .", "app/main.py"),
        ("WORKDIR /srv\nCOPY . .\nRUN pip install -r lists/base.txt", "lists/all.txt"),
        ("RUN --mount=type=bind,target=/mnt pip install -r /mnt/requirements.txt", "php/requirements.txt"),
    ],
)
def test_an_install_that_was_told_nothing_new_is_one(text: str, changed: str) -> None:
    assert len(said(f"FROM python\n{text}\n", changed)) == 1


def test_who_edits_an_instruction_wants_it_done() -> None:
    text = "FROM python\nRUN pip install six=={}\nRUN pip install flask\n"
    assert said(text.format(2), was=text.format(1)) == ()
    assert said("FROM python:2\nRUN pip install six\n", was="FROM python:1\nRUN pip install six\n") == ()


def test_what_another_stage_makes_otherwise_each_time_is_to_blame_for_what_lies_above() -> None:
    text = (
        "FROM python AS build\nCOPY app /src\nRUN apt-get update && apt-get install -y gcc\nRUN make\n"
        "FROM python\nCOPY --from=build /out /out\nRUN pip install flask\n"
    )
    (one,) = said(text, "app/main.py")
    assert one == (
        "line 2: COPY app /src was made anew (it takes `app/main.py`), and with it line 3: RUN apt-get update && "
        "apt-get install -y gcc; line 3 takes what is newest that day"
    )
    (one,) = said(text, "app/main.py", made={"[stage-1 2]", "[stage-1 3]"})
    assert "and with it line 3: RUN apt-get update && apt-get install -y gcc and 1 more" in one
    (one,) = said(text, missed={"[build 3]", "[build 4]"})
    assert one.startswith("line 3: RUN apt-get update")
    assert one.endswith(
        "the builder had no cache of it), and with it line 4: RUN make; line 3 takes what is newest that day"
    )


def test_a_layer_that_another_builder_made_is_told_with_its_bytes() -> None:
    text = "FROM python\nCOPY requirements.txt /\nRUN pip install -r /requirements.txt\nCOPY app /app\n"
    rows = ("base", "COPY requirements.txt / # buildkit", "RUN /bin/sh -c pip install -r /requirements.txt # buildkit")
    before = tuple(Layer(row, 1_000, f"sha256:{row[:4]}") for row in (*rows, "COPY app /app # buildkit"))
    graph = of(text, FILES | {"app/main.py": "2"})
    prediction = predict(graph, of(text, FILES).keys, ["app/main.py"], before)
    worked = {"[4]": True}

    def after(**moved: str) -> Mapping[int, Layer]:
        layers = [replace(one, digest=moved.get(one.created_by[:4], one.digest)) for one in before]
        return layers_of(graph, layers)

    changes = Changes(files=["app/main.py"])
    assert verify(prediction, worked, changes, after()) == ()
    (one,) = verify(prediction, worked, changes, after(**{"RUN ": "sha256:other"}))
    assert one.startswith("line 3: RUN pip install -r /requirements.txt came out otherwise (in the builder's cache")
    assert one.endswith(": 1 kB")
