"""requirements.txt as people write it, as uv and pip-tools compile it, and as an enemy would."""

import contextlib
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watcher.errors import LockfileUnreadable
from watcher.lockfiles import read
from watcher.lockfiles.requirements import Requirements
from watcher.pin import Pin

A, B = "a" * 64, "b" * 64


def pins(text: str, path: str = "requirements.txt", **manifests: str) -> tuple[Pin, ...]:
    files = {name.replace("_", "."): content for name, content in manifests.items()}
    return Requirements().pins(text, path, files)


def versions(text: str) -> dict[str, str]:
    return {pin.package: pin.version for pin in pins(text)}


def direct(text: str, **manifests: str) -> dict[str, str]:
    return {pin.package: pin.constraint for pin in pins(text, **manifests) if pin.direct}


def refusal(text: str) -> str:
    with pytest.raises(LockfileUnreadable) as raised:
        pins(text)
    return str(raised.value)


def test_a_file_that_a_person_pinned() -> None:
    text = """\
        # what the shop needs
        Flask==3.0.3
        requests[socks,security] == 2.32.3  # the last one that works
        zope.interface==7.0 ; python_version >= "3.8"

        typing_extensions===4.12.2
    """

    assert pins(text) == (
        Pin(ecosystem="pypi", package="flask", version="3.0.3", lock="requirements.txt"),
        Pin(
            ecosystem="pypi",
            package="requests",
            version="2.32.3",
            lock="requirements.txt",
            extras=("security", "socks"),
        ),
        Pin(
            ecosystem="pypi",
            package="zope-interface",
            version="7.0",
            lock="requirements.txt",
            marker='python_version >= "3.8"',
        ),
        Pin(ecosystem="pypi", package="typing-extensions", version="4.12.2", lock="requirements.txt"),
    )


def test_hashes_over_many_lines() -> None:
    text = f"six==1.17.0 \\\n    --hash=sha256:{B} \\\n    --hash=sha256:{A}\nidna==3.10 --hash=sha256:{A}"

    assert [pin.hashes for pin in pins(text)] == [(f"sha256:{A}", f"sha256:{B}"), (f"sha256:{A}",)]


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", "\ufeff# nothing", "--no-binary :all:\n"])
def test_a_file_without_pins_has_none(text: str) -> None:
    assert pins(text) == ()


def test_other_peoples_line_ends_are_line_ends() -> None:
    assert versions("\ufeffsix==1.17.0 \\\r\n    --hash=sha256:" + A + "\r\nidna==3.10\r\n") == {
        "six": "1.17.0",
        "idna": "3.10",
    }


def test_options_of_pip_are_passed_over() -> None:
    text = (
        "--index-url https://ops:secret@index.example/simple\n-i https://index.example\n--extra-index-url=https://x.example\n"
        "--require-hashes\n-f ./wheels\n--trusted-host index.example\n--only-binary=:all:\nsix==1.17.0\n"
    )

    assert versions(text) == {"six": "1.17.0"}


@pytest.mark.parametrize(
    "line",
    [
        "-e .",
        "-e git+https://git.example/team/lib@main#egg=lib",
        "--editable=./lib",
        ".",
        "..",
        "./lib",
        "../lib[extra]",
        "../../etc/passwd==1.0",
        "/srv/lib",
        "lib @ https://files.example/lib-1.0-py3-none-any.whl",
        "lib @ git+ssh://git@git.example/lib@v1 ; python_version > '3'",
        "https://ops:secret@files.example/lib-1.0.tar.gz",
        "git+https://git.example/lib",
        "file:///srv/lib",
        "lib-1.0-py3-none-any.whl",
        "wheels/lib-1.0.tar.gz ; python_version > '3'",
    ],
)
def test_what_comes_by_file_directory_or_address_is_no_pin(line: str) -> None:
    assert versions(f"{line}\nsix==1.17.0\n") == {"six": "1.17.0"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("six", "line 1: expected one exact version (name==1.0), got 'six'"),
        ("# x\n\nsix>=1.0", "line 3: expected one exact version (name==1.0), got 'six>=1.0'"),
        ("six==1.*", "line 1: expected one exact version (name==1.0), got 'six==1.*'"),
        ("six==1.0,!=1.1", "line 1: expected one exact version"),
        ("six==1.0\nSIX==1.1", "line 2: expected a package once, got 'six again'"),
        ("-r base.txt", "line 1: expected a file of the repository, got 'base.txt'"),
        ("-rbase.txt", "line 1: expected a file of the repository, got 'base.txt'"),
        ("--requirement=base.txt", "line 1: expected a file of the repository, got 'base.txt'"),
        ("-c limits.txt", "line 1: expected a file of the repository, got 'limits.txt'"),
        ("--explode", "line 1: expected a requirement, or an option that pip knows, got '--explode'"),
        ("six==1.0 --hash=md5:aa", "line 1: expected a hash such as sha256:…, got 'md5:aa'"),
        (f"six==1.0 --hash=sha256:{A[1:]}", "line 1: expected a hash such as sha256:…"),
        (f"six==1.0 \\\n --hash=sha256:{A} \\\n --exec=id", "line 1: expected --hash=sha256:…, got '--exec=id'"),
        ("six==1.0; rm -rf /", "line 1: expected a requirement such as name==1.0, got 'six==1.0; rm -rf /'"),
        ("$(id)==1.0", "line 1: expected a requirement such as name==1.0, got '$(id)==1.0'"),
        ("six==$(id)", "line 1: expected a requirement such as name==1.0, got 'six==$(id)'"),
        ("<script>==1.0", "line 1: expected a requirement such as name==1.0, got '<script>==1.0'"),
        ("six===<b>1</b>", "line 1: expected a PEP 440 version, got '<b>1</b>'"),
        ("six===../../etc", "line 1: expected a PEP 440 version, got '../../etc'"),
        ("séx==1.0", "line 1: expected a requirement such as name==1.0, got 'séx==1.0'"),
        ("# x\nsix==1.0\x1b[31m", r"line 2: expected a text without control characters, got '\x1b'"),
        ("six==1.0\x0bidna==2.0", r"line 1: expected a text without control characters, got '\x0b'"),
        ("six==1.0\ridna==2.0", r"line 1: expected a text without control characters, got '\r'"),
        ("six==1.0\u2028idna==2.0", r"line 1: expected a text without control characters, got '\u2028'"),
        ("six==1.0 # note \\\nidna==2.0", "line 1: expected no backslash at the end of a comment"),
        ("six==1.0 ; " + "(" * 3000, "line 1: expected a requirement such as name==1.0"),
        ("x" * 100_000 + "==1.0", "line 1: expected a requirement such as name==1.0"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_line(text: str, said: str) -> None:
    assert refusal(text).startswith(f"requirements.txt: {said}")


def test_a_password_in_an_address_does_not_get_into_a_message() -> None:
    text = "lib @ https://ops:secret@files.example/lib.whl --exec=1\nsix"

    assert "secret" not in refusal(text)


COMPILED = """\
# This file was autogenerated by uv via the following command:
#    uv pip compile requirements.in -o requirements.txt
certifi==2026.10.18
    # via requests
idna==3.20
    # via
    #   -r requirements.in
    #   requests
requests==2.34.2
    # via -r base.in
urllib3==2.3.0
    # via
    #   -c limits.txt
    #   requests
"""


def test_a_compiled_file_says_what_the_project_asks_for() -> None:
    assert direct(COMPILED) == {"idna": "", "requests": ""}


def test_the_files_that_it_was_compiled_from_say_within_which_limits() -> None:
    manifests = {
        "requirements_in": "idna\n-r base.in\n-c limits.txt",
        "base_in": "requests[socks]>=2.30,<3  # not 3",
        "limits_txt": "urllib3<2.4\nrequests!=2.31.0",
    }

    found = {pin.package: pin.constraint for pin in pins(COMPILED, **manifests)}

    assert found == {"certifi": "", "idna": "", "requests": "!=2.31.0,<3,>=2.30", "urllib3": "<2.4"}
    assert direct(COMPILED, **manifests).keys() == {"idna", "requests"}


def test_notes_on_one_line_are_notes() -> None:
    text = (
        "idna==3.20  # via requests\n"
        "requests==2.34.2  # via -r requirements.in, shop-lib\n"
        "shop-lib==1.0  # via shop (pyproject.toml:dev)\n"
    )

    assert direct(text).keys() == {"requests", "shop-lib"}


def test_where_notes_were_left_out_the_inputs_decide() -> None:
    text = "#    pip-compile --no-annotate requirements.in\nidna==3.20\nrequests==2.34.2"

    assert direct(text, requirements_in="requests<3").items() == {"requests": "<3"}.items()
    assert direct(text).keys() == {"idna", "requests"}, "and without them, nobody knows better"


def test_a_pyproject_is_an_input_too() -> None:
    text = (
        "# uv pip compile pyproject.toml --extra web --group dev\nrequests==2.34.2\nflask==3.0\npytest==9.0\nidna==3.20"
    )
    manifest = """
        [project]
        dependencies = ["requests>=2,<3", "lib @ https://files.example/lib.whl", "not a requirement", 5]
        [project.optional-dependencies]
        web = ["Flask~=3.0"]
        [dependency-groups]
        dev = ["pytest", {include-group = "test"}]
    """

    assert direct(text, pyproject_toml=manifest) == {"requests": "<3,>=2", "flask": "~=3.0", "pytest": ""}


@pytest.mark.parametrize(
    "manifest", ["", "[project", "project = 5", "[project]\ndependencies = 5", "a = " + "[" * 5000]
)
def test_a_manifest_that_says_nothing_is_no_reason_to_stop(manifest: str) -> None:
    text = "# uv pip compile pyproject.toml\nrequests==2.34.2"

    assert direct(text, pyproject_toml=manifest) == {"requests": ""}


def test_a_package_that_is_pinned_for_two_worlds_has_two_pins() -> None:
    text = (
        "# uv pip compile --universal requirements.in\n"
        "numpy==1.26.4 ; python_full_version < '3.12'\n    # via -r requirements.in\n"
        "numpy==2.5.5 ; python_full_version >= '3.12'\n    # via -r requirements.in\n"
    )
    asked = "numpy<2 ; python_full_version < '3.12'\nnumpy>=2 ; python_full_version >= '3.12'\nnumpy!=2.4.0"

    assert [(pin.version, pin.marker, pin.constraint) for pin in pins(text, requirements_in=asked)] == [
        ("1.26.4", 'python_full_version < "3.12"', "!=2.4.0,<2"),
        ("2.5.5", 'python_full_version >= "3.12"', "!=2.4.0,>=2"),
    ]


@pytest.mark.parametrize(
    ("header", "path", "files"),
    [
        ("uv pip compile requirements.in -o requirements.txt", "requirements.txt", ("requirements.in",)),
        ("uv pip compile requirements.in -o requirements.txt", "app/requirements.txt", ("app/requirements.in",)),
        ("uv pip compile app/a.in b.in --output-file=app/r.txt", "app/r.txt", ("app/a.in", "b.in")),
        ("uv pip compile ../a.in -o r.txt -c limits.txt", "app/r.txt", ("a.in", "app/limits.txt")),
        ("uv pip compile pyproject.toml --constraint=c.txt --override o.txt", "r.txt", ("pyproject.toml", "c.txt")),
        ("pip-compile --generate-hashes --output-file=r.txt", "r.txt", ("requirements.in",)),
        ("pip-compile setup.py", "r.txt", ()),
        ("python -m piptools compile dev.in", "r.txt", ("dev.in",)),
        ("uv pip compile ../../etc/passwd.txt /etc/x.in", "app/r.txt", ()),
        ("uv pip compile 'a b.in' \"c.in", "r.txt", ()),
        ("uv pip compile 'a b.in'", "r.txt", ("a b.in",)),
        ("make requirements", "r.txt", ()),
        ("pip-compiler x.in", "r.txt", ()),
    ],
)
def test_the_header_tells_which_other_files_to_read(header: str, path: str, files: tuple[str, ...]) -> None:
    assert Requirements().also(f"#\n# made by\n#\n#    {header}\n#\nsix==1.0\n", path) == files


def test_an_input_tells_which_files_it_includes() -> None:
    text = "-r base.in\nsix\n-c ../limits.txt\n--requirement=more.in\n-rshort.in\n-r ../../outside.in\n"

    assert Requirements().also(text, "app/requirements.in") == (
        "app/base.in",
        "limits.txt",
        "app/more.in",
        "app/short.in",
    )
    assert Requirements().also("[project]", "pyproject.toml") == ()


_PIECES = [
    *(
        "six",
        "==",
        "1.0",
        ";",
        "python_version",
        "<",
        "'3'",
        "[",
        "]",
        "(",
        ")",
        "@",
        "https://x",
        ",",
        "*",
        "-e .",
        "é",
    ),
    *(" ", "\\", "\n", "\r\n", "\t", "\x00", "#", " # via", "# uv pip compile a.in", "-r x.in", "--hash=sha256:", A),
]
_line = st.lists(st.sampled_from(_PIECES), max_size=25).map("".join)


@settings(max_examples=250, deadline=None)
@given(_line | st.text(max_size=60), _line)
def test_whatever_a_file_holds_only_our_own_error_comes_out(text: str, manifest: str) -> None:
    with contextlib.suppress(LockfileUnreadable):
        Requirements().also(text, "requirements.txt")
        for pin in Requirements().pins(text, "requirements.txt", {"a.in": manifest}):
            assert (pin.package + pin.version).isascii()
            assert (pin.package + pin.version + pin.marker + pin.constraint).isprintable()


# --- files that include others --------------------------------------------------------------------------------------


def test_pins_stand_in_the_file_that_has_them_and_limits_pin_what_is_left_open() -> None:
    files = {
        "app/requirements.txt": "-r base/all.txt\n-c ../limits.txt\nside==1.0\nopen>=2,<3\n",
        "app/base/all.txt": "core == 1.0  # why\n",
        "limits.txt": "open==2.4\nneeded==0.1\ncore>=1\n",
    }

    pins = read("app/requirements.txt", lambda path: files[path].encode() if path in files else None)

    assert [(pin.package, pin.version, pin.lock, pin.direct, pin.constraint) for pin in pins] == [
        ("core", "1.0", "app/base/all.txt", True, ">=1"),
        ("side", "1.0", "app/requirements.txt", True, ""),
        ("open", "2.4", "limits.txt", True, "<3,>=2"),
        ("needed", "0.1", "limits.txt", False, ""),
    ]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a.txt": "-r b.txt\n"}, "a.txt: line 1: expected a file of the repository, got 'b.txt'"),
        ({"a.txt": "-r ../../etc/b.txt\n"}, "a.txt: line 1: expected a file of the repository"),
        ({"a.txt": "-r b.txt\n", "b.txt": "-r a.txt\n"}, "b.txt: line 1: expected "),
        ({"a.txt": "-r b.txt\nside==1\n", "b.txt": "side==2\n"}, "a.txt: line 2: expected a package once"),
        ({"a.txt": "-c b.txt\nside\n", "b.txt": "other==2\n"}, "a.txt: line 2: expected one exact version"),
    ],
)
def test_what_is_included_badly_is_told_with_its_place(files: dict[str, str], said: str) -> None:
    with pytest.raises(LockfileUnreadable, match=re.escape(said)):
        read("a.txt", lambda path: files[path].encode() if path in files else None)
