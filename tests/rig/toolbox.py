"""Base images for Dockerfiles that are built for real and fast: busybox under many names, with tools that pretend.

`pip`, `composer`, `npm`, `apt-get` and their like leave files behind as the real ones do, which depend on what they are
given and on the time, in a hundredth of a second and without a network.
"""

from docker import APIClient

from tests.rig.image import Entry, File, Link, busybox

_PRETENDS = """#!/bin/sh
# Leaves what it was asked, what it was given, and the time.
tool=${0##*/}
for word in "$@"; do case $word in --working-dir=*) cd "${word#*=}";; esac; done
mkdir -p "/usr/lib/$tool"
{ echo "$@"; date; cat /proc/uptime; } > "/usr/lib/$tool/log"
take() { for file in "$@"; do [ -f "$file" ] && cat "$file"; done; }
case "$tool $1 $2" in
    "composer install "*|"composer dump-autoload "*)
        mkdir -p vendor/composer && take composer.lock > vendor/composer/installed.json
        date > vendor/autoload.php;;
    "npm ci "*) mkdir -p node_modules && take package.json > node_modules/installed;;
    "npm run build") mkdir -p dist && cat web/* > dist/index.html;;
    "uv sync "*) mkdir -p .venv && take uv.lock pyproject.toml > .venv/installed;;
    "python -m venv"|"python3 -m venv") mkdir -p "$3/bin" && ln -sf /usr/bin/pip "$3/bin/pip";;
    "pip install "*) for word in "$@"; do [ -f "$word" ] && cat "$word" >> "/usr/lib/pip/installed"; done;;
esac
exit 0
"""
_TOOLS = ("pip", "composer", "npm", "uv", "python", "python3", "apt-get", "apk", "gcc")
_APPLETS = (
    *("cp", "cut", "date", "echo", "env", "find", "grep", "head", "id", "ln", "mkdir", "mv", "rm", "sed", "sort"),
    *("tar", "touch", "true", "tail", "[", "wget", "awk", "seq", "chmod", "chown", "stat", "md5sum", "sync"),
)
NAMES = (
    *("busybox:latest", "python:3.12-slim", "debian:bookworm-slim", "alpine:3", "node:22-alpine", "nginx:1"),
    *("php:8.2-cli", "composer:2", "uv:latest", "worker-base:1"),
)
"""What the Dockerfiles of the tests stand on."""


def load_images(api: APIClient, names: tuple[str, ...] = NAMES) -> None:
    """Brings the images into an engine, by names of their own: none of them is in a registry."""
    entries: dict[str, Entry] = {
        **{f"bin/{name}": Link("busybox") for name in _APPLETS},
        **{f"usr/bin/{name}": File(_PRETENDS.encode()) for name in _TOOLS},
        "etc/group": "root:x:0:\n",
        "etc/motd": "a base image of the tests\n",
    }
    tar = busybox(entries)
    for name in names:
        repository, _, tag = name.partition(":")
        # Each is an image of its own, with a configuration of its own.
        changes = ["ENV PATH=/usr/local/bin:/usr/bin:/bin", f"LABEL name={name}", 'CMD ["sh"]']
        api.import_image_from_data(tar, repository=repository, tag=tag, changes=changes)
