"""What a RUN says, word by word, and what it installs."""

import pytest

from watcher.dockerfile.commands import chain, commands
from watcher.dockerfile.install import Install, installs
from watcher.dockerfile.parse import Instruction, parse


def run(text: str, head: str = "") -> Instruction:
    return parse(f"{head}FROM x\n{text}\n").instructions[-1]


def only(text: str) -> Install:
    (one,) = installs(run(f"RUN {text}"))
    return one


def test_commands_that_are_joined_by_and_are_read_with_the_place_of_each_word() -> None:
    text = "RUN apt-get update \\\n  # a comment between\n\n && apt-get install \\\n    -y 'g++' \\\n  && rm -rf /x/*"
    file = f"FROM x\n{text}\n"
    found = chain(parse(file).instructions[-1])
    assert found is not None
    assert [one.texts for one in found] == [
        ("apt-get", "update"),
        ("apt-get", "install", "-y", "g++"),
        ("rm", "-rf", "/x/*"),
    ]
    words = [word for one in found for word in one.words]
    assert [file[word.span.start : word.span.end] for word in words] == [word.written for word in words]
    assert [word.text for word in words if not word.plain] == ["/x/*"]


def test_what_is_set_for_a_command_alone_stands_in_front_of_it() -> None:
    found = chain(run("RUN DEBIAN_FRONTEND=noninteractive A='b c' apt-get install x"))
    assert found is not None
    assert [word.text for word in found[0].settings] == ["DEBIAN_FRONTEND=noninteractive", "A=b c"]
    assert found[0].texts[0] == "apt-get"


@pytest.mark.parametrize(
    "text",
    [
        *("a; b", "a | b", "a || b", "a & b", "(a) && b", "a > /f", "a 2>&1", "pip install x>=2", "a && ", "a `b`"),
        *("a $(b)", 'a "$(b)"', "if a && b", "export A=1 && a", "! a && b", "a && # b", "a 'b", "A=1", "$A b && c"),
        *("<<E\na\nE", '["a", "b"]', "set -e && a", "sudo a && b", ". /env && a", "sh -c a"),
    ],
)
def test_what_is_no_chain_of_plain_commands_is_not_read_as_one(text: str) -> None:
    assert chain(run(f"RUN {text}")) is None


def test_variables_are_words_that_nobody_knows() -> None:
    found = chain(run("RUN pip install -r $LIST && cat \"$A\" '$B' ~/x {a,b}"))
    assert found is not None
    assert [word.text for one in found for word in one.words if not word.plain] == ["$LIST", "$A", "~/x", "{a,b}"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("set -eux; if a; then pip install b; fi", ["pip install b"]),
        ('["sh", "-c", "a && pip install b"]', ["pip install b"]),
        ('["pip", "install", "b c"]', ["pip install b c"]),
        ("<<E\nset -e\npip install b # not c\nE", ["pip install b"]),
        ("sudo -H A=1 pip install b | tee /log", ["pip install b"]),
        ("echo pip install b && echo 'x; pip install c'", []),
        ("pip \\\n  install \\\n  b", ["pip install b"]),
    ],
)
def test_what_is_installed_is_seen_wherever_a_shell_would_do_it(text: str, expected: list[str]) -> None:
    assert [one.command for one in installs(run(f"RUN {text}"))] == expected


def test_whatever_is_no_run_has_no_commands() -> None:
    assert commands(run("CMD pip install x")) == ()


@pytest.mark.parametrize(
    ("text", "tool", "reads", "trees"),
    [
        ("pip install --no-cache-dir -r x -r y", "pip", ("x", "y"), ()),
        ("pip3.12 -q install -rx --requirement=y -c z", "pip", ("x", "y", "z"), ()),
        ("/opt/venv/bin/python3 -m pip install -U pip", "pip", (), ()),
        ("uv pip install --system -r x", "pip", ("x",), ()),
        ("uv pip sync x", "pip", ("x",), ()),
        ("uv sync --locked --no-install-project", "uv", ("pyproject.toml", "uv.lock"), ()),
        ("poetry --no-ansi install --no-root --without dev", "poetry", ("pyproject.toml", "poetry.lock"), ()),
        ("composer install --no-dev -d /app", "composer", ("composer.json", "composer.lock"), ()),
        ("php composer.phar --working-dir /app install", "composer", ("composer.json", "composer.lock"), ()),
        ("npm ci --omit=dev", "npm", ("package.json", "package-lock.json"), ()),
        ("npm i -g npm@10", "npm", (), ()),
        ("yarn --frozen-lockfile", "yarn", ("package.json", "yarn.lock"), ()),
        ("pip install -e .[dev]", "pip", ("./pyproject.toml",), (".",)),
        ("pip install --no-deps /app", "pip", ("/app/pyproject.toml",), ("/app",)),
        ("apt-get -y -o A=b install git", "apt", (), ()),
        ("apk add --no-cache --virtual .build gcc", "apk", (), ()),
    ],
)
def test_an_install_says_what_it_reads(text: str, tool: str, reads: tuple[str, ...], trees: tuple[str, ...]) -> None:
    one = only(text)
    assert (one.tool, one.reads, one.trees) == (tool, reads, trees)
    assert one.sure


@pytest.mark.parametrize(
    "text",
    [
        *("pip install --find-links wheels -r x", "pip install -t /here -r x", "pip install ./x.whl", "npm ci --new"),
        *("apt-get install ./own.deb", "apt-get install $PACKAGES", "uv sync --package a", "npm install file:lib"),
        *("composer install -X", "poetry install -C sub", "pip install -fwheels x"),
    ],
)
def test_an_install_of_which_a_word_is_unknown_or_names_files_of_ours_is_not_sure(text: str) -> None:
    assert not only(text).sure


@pytest.mark.parametrize(
    "text", ["pip download x", "uv run x", "npm run build", "yarn build", "apt-get update", "composer dump-autoload"]
)
def test_other_commands_of_the_tools_install_nothing(text: str) -> None:
    assert installs(run(f"RUN {text}")) == ()
