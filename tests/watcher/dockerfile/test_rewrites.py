"""Rewrites one by one: what each does with words that are no plain commands, and where it keeps off."""

import pytest

from tests.watcher.dockerfile.test_lint import CODE, advice, codes

TREE = "FROM python\nWORKDIR /app\nCOPY . .\n"
OFTEN = ("app/main.py", CODE, "requirements.txt") * 3


def fixed(text: str, **more: bytes) -> list[str]:
    return advice(text, OFTEN, **more).fixed.splitlines()


def stays(text: str, code: str, **more: bytes) -> None:
    assert code not in codes(advice(text, OFTEN, **more))


# --- TL001 ------------------------------------------------------------------------------------------------------------


def test_what_an_install_needs_in_front_of_it_goes_along() -> None:
    found = fixed(f"{TREE}RUN apt-get update && apt-get install -y gcc && pip install -r requirements.txt && ./run\n")
    assert found[3].startswith("RUN apt-get update && apt-get install --no-install-recommends -y gcc && pip install ")
    assert found[4:] == ["COPY . .", "RUN ./run"]


@pytest.mark.parametrize(
    "run",
    [
        "./prepare && pip install -r requirements.txt",
        "pip install -r requirements.txt && apt-get purge -y gcc",
        "pip install -r requirements.txt && pip uninstall -y six",
        "pip install --find-links wheels -r requirements.txt",
        "pip install -r $LIST",
        "pip install -r requirements.txt || true",
        "pip install -r requirements.txt > /log",
        "cd php && pip install -r ../requirements.txt",
        "--mount=type=bind,target=/x pip install -r requirements.txt",
    ],
)
def test_an_install_that_may_need_more_than_its_list_waits_for_the_tree(run: str) -> None:
    stays(f"{TREE}RUN {run}\n", "TL001")


def test_what_is_laid_over_the_tree_stays_over_it() -> None:
    text = f"{TREE}COPY conf/nginx.conf /app/app/main.py\nRUN pip install -r requirements.txt\n"
    rows = fixed(text)
    assert rows.index("COPY . .") < rows.index("COPY conf/nginx.conf /app/app/main.py")


def test_where_the_base_image_works_the_list_is_copied_beside() -> None:
    assert fixed("FROM python\nCOPY . .\nRUN pip install -r requirements.txt\n")[1] == "COPY requirements.txt ./"
    assert fixed("FROM python\nWORKDIR $HOME/x\nCOPY . .\nRUN pip install -r requirements.txt\n")[2] == (
        "COPY requirements.txt ./"
    )


def test_files_keep_the_owner_and_the_mode_that_they_had() -> None:
    found = fixed("FROM python\nCOPY --chown=1:1 --chmod=755 . /app\nRUN pip install -r /app/requirements.txt\n")
    assert found[1] == "COPY --chown=1:1 --chmod=755 requirements.txt /app/"


def test_a_cache_that_is_cleared_is_cleared_in_the_layer_that_has_it() -> None:
    found = fixed(f"{TREE}RUN pip install -r requirements.txt && rm -rf /root/.cache/pip && ./run\n")
    assert found[3].endswith("-r requirements.txt && rm -rf /root/.cache/pip")
    assert found[-1] == "RUN ./run"


def test_a_project_that_is_installed_comes_after_the_tree_and_what_it_needs_before_it() -> None:
    found = fixed(f"{TREE}RUN uv sync --locked\n")
    # No commit of that past downloads anything any more, so there is nothing that a cache would save.
    assert found[3:] == ["RUN uv sync --no-install-project --locked", "COPY . .", "RUN uv sync --locked"]
    found = fixed(f"{TREE}RUN poetry -n install --only main && ./x\n")
    assert found[3:] == [
        "RUN poetry -n install --no-root --only main",
        "COPY . .",
        "RUN poetry -n install --only main && ./x",
    ]


@pytest.mark.parametrize(
    "package",
    [b'{"scripts": {"postinstall": "x"}}', b'{"workspaces": ["web"]}', b'{"dependencies": {"a": "file:web"}}', b"{"],
)
def test_npm_waits_for_a_tree_that_it_looks_into(package: bytes) -> None:
    assert "RUN npm ci" in fixed(f"{TREE}RUN npm ci && npm run build\n")
    stays(f"{TREE}RUN npm ci && npm run build\n", "TL001", **{"package.json": package})


@pytest.mark.parametrize("line", [b"-f wheels\n", b"x @ file:///app/x\n", b"./php\n", b"-r none.txt\n"])
def test_a_list_that_names_files_of_the_tree_waits_for_it(line: bytes) -> None:
    stays(f"{TREE}RUN pip install -r requirements.txt\n", "TL001", **{"requirements.txt": line})


def test_a_tree_that_brings_settings_of_installers_stays_below_them() -> None:
    stays(f"{TREE}RUN pip install -r requirements.txt\n", "TL001", **{"pip.conf": b"[global]\n"})
    rootfs = "FROM python\nCOPY . /\nRUN pip install -r /requirements.txt\n"
    stays(rootfs, "TL001", **{"etc/pip/x.conf": b"1"})


# --- TL002 ------------------------------------------------------------------------------------------------------------

PHP = "FROM php\nWORKDIR /srv\nCOPY . .\nRUN composer install"


def test_options_of_composer_go_where_they_belong() -> None:
    rows = fixed(f"{PHP} --no-dev -a --ignore-platform-req ext-x\n")
    assert "RUN composer install --no-autoloader --no-scripts --no-dev --ignore-platform-req=ext-x" in rows
    assert "RUN composer dump-autoload --no-dev --classmap-authoritative --ignore-platform-req=ext-x" in rows
    assert "RUN composer dump-autoload" in fixed(f"{PHP}\n")


@pytest.mark.parametrize(
    "told",
    [
        b'{"scripts": {"post-install-cmd": "x"}}',
        b'{"config": {"vendor-dir": "lib"}}',
        b'{"repositories": [{"type": "path", "url": "lib"}]}',
        b'{"extra": {"installer-paths": {}}}',
        b"{",
    ],
)
def test_composer_stays_where_its_files_say_that_it_does_more(told: bytes) -> None:
    stays(f"{PHP}\n", "TL002", **{"composer.json": told})
    plugin = b'{"packages": [{"name": "a/b", "type": "composer-plugin"}]}'
    stays(f"{PHP}\n", "TL002", **{"composer.lock": plugin})


@pytest.mark.parametrize(
    "text",
    [
        "FROM x AS a\nFROM php\nWORKDIR /srv\nCOPY . .\nRUN composer install\nCOPY --from=0 /a /a\n",
        "FROM php\nUSER app\nWORKDIR /srv\nCOPY . .\nRUN composer install\n",
        "FROM php\nCOPY . .\nRUN composer install\n",
        f"{PHP} --new-option\n",
        "FROM php\nWORKDIR /srv\nCOPY . .\nRUN php composer.phar install\n",
    ],
)
def test_composer_stays_where_a_stage_would_be_another(text: str) -> None:
    stays(text, "TL002")


def test_other_packages_and_their_lists_are_not_in_composers_stage() -> None:
    text = "FROM php\nWORKDIR /srv\nCOPY . .\nRUN pip install -r requirements.txt\nRUN composer install\n"
    stage = advice(text, OFTEN).fixed.partition("\n\n")[0]
    assert "pip" not in stage
    assert "requirements.txt" not in stage


def test_a_stage_gets_a_name_that_means_nothing_yet() -> None:
    rows = fixed("FROM php\nCOPY --from=composer /usr/bin/composer /bin/\n" + PHP.partition("\n")[2] + "\n")
    assert rows[0] == "FROM php AS composer-2"


# --- TL004, TL005 -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "run",
    [
        "echo 'pip install six' > /readme",
        '["pip", "install", "six"]',
        "<<E\npip install six\nE",
        "pip install --compile --no-cache-dir six",
        "uv pip install six",
        "set -e; pip install six",
    ],
)
def test_pip_is_told_nothing_where_it_is_not_called_plainly(run: str) -> None:
    stays(f"FROM x\nRUN {run}\n", "TL004")


def test_words_are_put_in_where_they_belong_whatever_stands_around_them() -> None:
    text = "FROM x\n# pip install it\nRUN python3 -m pip \\\n    install \\\n    # why\n    'six' && echo pip install\n"
    assert fixed(text)[1:] == [
        "# pip install it",
        "RUN python3 -m pip \\",
        "    install --no-cache-dir --no-compile \\",
        "    # why",
        "    'six' && echo pip install",
    ]


def test_the_lists_of_apt_stay_for_who_counts_on_them() -> None:
    alone = "FROM x\nRUN apt-get update\nRUN apt-get install -y a\n"
    assert fixed(alone)[1].endswith(" && rm -rf /var/lib/apt/lists/*")
    for later in ("RUN apt-get install -y b\n", "RUN ./more.sh\n", "RUN curl x | sh\n"):
        assert "/var/lib/apt/lists" not in advice(alone + later, OFTEN).fixed
    child = alone.replace("FROM x", "FROM x AS base") + "FROM base\nRUN apt-get install -y b\n"
    assert "/var/lib/apt/lists" not in advice(child, OFTEN).fixed


def test_an_update_joins_its_install_however_that_is_written() -> None:
    text = "FROM x\n# up\nrun apt-get update -q\n# RUN\nrun --mount=type=cache,target=/c \\\n  apt-get install -y a\n"
    assert fixed(text)[1:] == [
        "# up",
        "# RUN",
        "run --mount=type=cache,target=/c \\",
        "  apt-get update -q && apt-get install --no-install-recommends -y a && rm -rf /var/lib/apt/lists/*",
    ]


@pytest.mark.parametrize(
    "run",
    ["apt-get install -y a # why", "apt-get install -y a \\", "apt-get install -y a; true", "apt-get install a | x"],
)
def test_nothing_is_put_behind_what_would_swallow_it(run: str) -> None:
    stays(f"FROM x\nRUN apt-get update && {run}\n", "TL005")


def test_lists_in_a_cache_are_not_removed() -> None:
    text = "FROM x\nRUN --mount=type=cache,target=/var/lib/apt apt-get update && apt-get install -y a\n"
    assert "rm -rf" not in advice(text, OFTEN).fixed


# --- TL003, TL006, TL007, TL010 ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "more"),
    [
        ("COPY conf /etc/", "RUN pip install -r /app/requirements.txt", "COPY requirements.txt /app/\n"),
        ("COPY conf /etc/", "RUN apt-get install -y --no-install-recommends nginx", "COPY app /app\n"),
        ("COPY src /app/src", "RUN pip install --no-cache-dir --no-compile /app", "COPY setup.py /app/\n"),
        ("COPY app $HERE", "COPY docs /docs", ""),
        ("COPY app ./app", "COPY docs /docs", ""),
        ("COPY --chown=1 app /srv/app", "COPY docs /srv/docs", ""),
        ("COPY app /lib/app", "COPY docs /usr/lib", ""),
    ],
)
def test_nothing_passes_what_it_may_depend_on(first: str, second: str, more: str) -> None:
    rows = fixed(f"FROM python\n{more}{first}\n{second}\n")
    at = [next(n for n, row in enumerate(rows) if row.split()[-1] == one.split()[-1]) for one in (first, second)]
    assert at == sorted(at)


@pytest.mark.parametrize(
    "text",
    [
        "FROM x\nARG GIT_SHA\nRUN ./build\nRUN pip install six\n",
        "FROM x\nARG PYTHON_VERSION=3.12\nRUN pip install six\n",
        "FROM x\nARG PREFIX\nRUN pip install six\n",
        "FROM x\nARG PIP_BUILD_DATE\nRUN pip install six\n",
        "FROM x\nARG GIT_SHA\nENV GIT_SHA=1\nRUN pip install six\n",
        "FROM x\nARG GIT_SHA\nRUN pip install /app\n",
    ],
)
def test_an_argument_stays_above_whatever_may_read_it(text: str) -> None:
    stays(text, "TL006")


@pytest.mark.parametrize(
    "run",
    [
        "pip install --user -r requirements.txt",
        "pip install -t /lib -r requirements.txt",
        "python -m pip install -r requirements.txt",
        "pip install -r requirements.txt && ./x",
    ],
)
def test_what_is_not_installed_plainly_goes_into_no_environment(run: str) -> None:
    tools = "RUN apt-get update && apt-get install -y gcc"
    found = advice(f"FROM python:3\n{tools}\nCOPY requirements.txt ./\nRUN {run}\n", OFTEN)
    assert found.fixed.count("FROM") == 1


def test_a_cache_is_mounted_where_nobody_takes_it_away() -> None:
    list_first = "FROM python\nCOPY requirements.txt /\nRUN apk add --no-cache git && "
    found = fixed(f"{list_first}pip install --no-cache-dir -r /requirements.txt\n")
    assert found[2] == (
        "RUN --mount=type=cache,target=/root/.cache/pip apk add --no-cache git && "
        "pip install --no-compile -r /requirements.txt"
    )
    stays(f"{list_first}pip install -r /requirements.txt && rm -rf /root/.cache\n", "TL010")
    stays(f"{list_first}pip install -r /requirements.txt && ./x\n", "TL010")


# --- the text itself --------------------------------------------------------------------------------------------------


def test_line_ends_empty_lines_and_the_mark_at_the_top_stay() -> None:
    text = "\ufeff# ours\r\nFROM python\r\n\r\nWORKDIR /app\r\n\r\n# all\r\nCOPY . .\r\n"
    text += "RUN pip install -r requirements.txt"
    found = advice(text, OFTEN).fixed
    assert found.startswith("\ufeff# ours\r\nFROM python\r\n\r\nWORKDIR /app\r\nCOPY requirements.txt /app/\r\n")
    assert found.endswith("\r\n\r\n# all\r\nCOPY . .")
    assert found.count("\n") == found.count("\r\n")


@pytest.mark.parametrize(
    "text",
    [
        f"{TREE}# toplayer: ignore TL004\nRUN pip install -r requirements.txt && pip install six\n",
        (
            "FROM python:3\nRUN apt-get update && apt-get install -y gcc\nCOPY requirements.txt /\n# as it is\n"
            "# toplayer: ignore TL004, TL010\nRUN pip install -r /requirements.txt\nCOPY app /app\n"
        ),
        f"FROM php\n# toplayer: ignore TL005\nRUN apt-get install -y git\n{PHP.partition(chr(10))[2]}\n",
    ],
)
def test_what_was_silenced_stays_so_wherever_it_goes(text: str) -> None:
    found = advice(text, OFTEN).fixed
    assert found != text
    assert "--no-compile" not in found
    assert found.count("apt-get install -y git") == 2 * text.count("apt-get install -y git")


def test_a_file_that_ends_within_an_instruction_is_left_alone() -> None:
    text = "FROM python\nCOPY app /app\nCOPY docs /docs\nRUN pip install six \\\n"
    assert advice(text, OFTEN).fixed == text


def test_a_shell_that_is_none_of_ours_is_not_read() -> None:
    text = 'FROM python\nSHELL ["pwsh", "-c"]\nWORKDIR /app\nCOPY . .\nRUN pip install -r requirements.txt\n'
    assert advice(text, OFTEN).fixed == text
    assert advice(f"# escape=`\n{TREE}RUN pip install -r requirements.txt\n", OFTEN).findings == ()
