"""The programs that install packages, and what can be said to each."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

WITHOUT_PROJECT = {"uv": "--no-install-project", "poetry": "--no-root"}
"""By tool, what makes it install only what the project needs."""
_PYTHON = re.compile(r"python[\d.]*")
_PIP = re.compile(r"pip[\d.]*")


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


@dataclass(frozen=True, slots=True)
class Installer:
    """How a program is told to install: the words that say so, and its options. Those in `alone` take no value, those
    in `valued` take one; neither make it read or write a file of ours, as those in `paths` do. `globally` are options
    that may stand in front of the verb and take a value."""

    tool: str
    verbs: frozenset[str]
    reads: tuple[str, ...] = ()
    alone: frozenset[str] = frozenset()
    valued: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()
    globally: frozenset[str] = frozenset()


_OF_PIP = Installer(
    "pip",
    _set("install"),
    alone=_set(
        "-q -qq --quiet -v -vv --verbose --no-cache-dir --no-compile --compile --no-deps -U --upgrade --pre "
        "--require-hashes --no-input --disable-pip-version-check --force-reinstall -I --ignore-installed "
        "--no-build-isolation --use-pep517 --prefer-binary --no-warn-script-location --no-index --no-color "
        "--break-system-packages --user --isolated --no-clean --no-python-version-warning"
    ),
    valued=_set(
        "-i --index-url --extra-index-url --trusted-host --timeout --retries --only-binary --no-binary "
        "--progress-bar --proxy --root-user-action --exists-action --upgrade-strategy --use-feature"
    ),
    paths=_set("-f --find-links -t --target --prefix --root --src --cert --client-cert --cache-dir --log --group"),
    globally=_set("--timeout --retries --proxy --trusted-host --cache-dir --log --cert"),
)
_OF_UV_PIP = Installer(
    "pip",
    _set("install sync"),
    alone=_OF_PIP.alone | _set("--system --no-cache -n --strict --no-sources --compile-bytecode --no-progress --exact"),
    valued=_OF_PIP.valued | _set("-p --python --link-mode --index --default-index --index-strategy --prerelease"),
    paths=_OF_PIP.paths,
)
_OF_UV = Installer(
    "uv",
    _set("sync"),
    ("pyproject.toml", "uv.lock"),
    alone=_set(
        "--locked --frozen --no-dev --dev --only-dev --no-install-project --no-editable --compile-bytecode --no-cache "
        "-n --all-extras --all-groups --no-default-groups --no-progress -q --quiet -v --inexact --active"
    ),
    valued=_set(
        "--extra --no-extra --group --no-group --only-group --link-mode -p --python --index --default-index "
        "-i --index-url --extra-index-url"
    ),
    paths=_set("--directory --project --cache-dir --config-file -f --find-links --package"),
)
_OF_POETRY = Installer(
    "poetry",
    _set("install"),
    ("pyproject.toml", "poetry.lock"),
    alone=_set(
        "--no-root --no-dev --only-root --no-interaction -n --no-ansi --ansi --sync --all-extras --no-cache "
        "-q --quiet -v -vv -vvv --compile --no-plugins"
    ),
    valued=_set("--without --with --only -E --extras"),
    paths=_set("-C --directory -P --project"),
    globally=_set("-C --directory -P --project"),
)
_OF_COMPOSER = Installer(
    "composer",
    _set("install i"),
    ("composer.json", "composer.lock"),
    alone=_set(
        "--no-dev --dev --no-scripts --no-autoloader --no-interaction -n --no-progress --no-ansi --ansi --prefer-dist "
        "--prefer-source --no-plugins -q --quiet -v -vv -vvv --verbose --optimize-autoloader -o --no-suggest "
        "--classmap-authoritative -a --apcu-autoloader --ignore-platform-reqs --no-cache --no-source-fallback"
    ),
    valued=_set("--ignore-platform-req --prefer-install -d --working-dir"),
    globally=_set("-d --working-dir"),
)
_OF_NPM = Installer(
    "npm",
    _set("ci install i clean-install"),
    ("package.json", "package-lock.json"),
    alone=_set(
        "--production --no-audit --no-fund --no-optional --legacy-peer-deps --force --silent -s --ignore-scripts "
        "--no-save --prefer-offline --no-progress -q --quiet --verbose --no-package-lock --no-update-notifier "
        "-g --global"
    ),
    valued=_set("--loglevel --include --omit --only --registry"),
    paths=_set("--cache --prefix -C --userconfig --workspace -w"),
    globally=_set("--loglevel --registry --prefix -C --cache"),
)
YARN = Installer(
    "yarn",
    _set("install"),
    ("package.json", "yarn.lock"),
    alone=_set(
        "--frozen-lockfile --production --non-interactive --immutable --pure-lockfile --ignore-scripts --prod "
        "--ignore-engines --silent -s --check-files --no-progress"
    ),
    valued=_set("--network-timeout --network-concurrency --registry"),
    paths=_set("--cwd --cache-folder --modules-folder"),
)
_OF_APT = Installer(
    "apt",
    _set("install upgrade dist-upgrade full-upgrade"),
    alone=_set(
        "-y --yes --assume-yes -q -qq --quiet --no-install-recommends --install-recommends --no-install-suggests "
        "--allow-downgrades --fix-missing -f -m --fix-broken --reinstall --purge --allow-unauthenticated "
        "--allow-change-held-packages --force-yes -qy -yq -yqq -qqy -V --no-upgrade --only-upgrade"
    ),
    valued=_set("-o --option -t --target-release -a"),
    paths=_set("-c --config-file"),
    globally=_set("-o --option -t --target-release -c"),
)
_OF_APK = Installer(
    "apk",
    _set("add"),
    alone=_set("--no-cache --update --update-cache -U -u --upgrade -q --quiet -v --verbose --latest --no-progress"),
    valued=_set("--virtual -t --repository -X"),
    paths=_set("--root -p --keys-dir --repositories-file --cache-dir"),
    globally=_set("--repository -X --root -p"),
)
_TOOLS = {
    "apt-get": _OF_APT,
    "apt": _OF_APT,
    "apk": _OF_APK,
    "composer": _OF_COMPOSER,
    "composer.phar": _OF_COMPOSER,
    "npm": _OF_NPM,
    "poetry": _OF_POETRY,
    "yarn": YARN,
}


def installer(words: Sequence[str]) -> tuple[Installer | None, int]:
    """The tool that a command calls, and where what it is told begins."""
    name = words[0].rpartition("/")[2]
    after = words[1].rpartition("/")[2] if len(words) > 1 else ""
    if _PYTHON.fullmatch(name) and tuple(words[1:3]) == ("-m", "pip"):
        return _OF_PIP, 3
    if _PIP.fullmatch(name):
        return _OF_PIP, 1
    if name == "uv":
        return (_OF_UV_PIP, 2) if after == "pip" else (_OF_UV, 1)
    if name == "php" and after in ("composer", "composer.phar"):
        return _OF_COMPOSER, 2
    return _TOOLS.get(name), 1
