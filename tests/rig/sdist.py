"""Tiny source trees with a build backend of their own, and archives of them."""

import gzip
import io
import tarfile
from collections.abc import Mapping

BACKEND = """
import base64, hashlib, os, pathlib, sys, zipfile
import helper

def get_requires_for_build_wheel(settings):
    return ["late>=1"]

get_requires_for_build_editable = get_requires_for_build_wheel

def _make(out, files):
    import late
    stem = "%(name)s-" + os.environ.get("SETUPTOOLS_SCM_PRETEND_VERSION", "%(version)s")
    info = stem + ".dist-info/"
    files[info + "METADATA"] = "Metadata-Version: 2.1\\nName: %(name)s\\nVersion: " + stem.split("-")[1] + "\\n"
    files[info + "WHEEL"] = "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: %(tag)s\\n"
    digest = lambda text: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
    rows = ["%%s,sha256=%%s," %% (name, digest(text)) for name, text in files.items()]
    files[info + "RECORD"] = "\\n".join(rows + [info + "RECORD,,", ""])
    with zipfile.ZipFile(os.path.join(out, stem + "-%(tag)s.whl"), "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return stem + "-%(tag)s.whl"

def build_wheel(out, settings=None, metadata=None):
    reached = os.path.exists("/proc/net/route") and len(open("/proc/net/route").readlines()) > 1
    facts = {"built": True, "by": helper.NAME, "network": reached, "environment": sorted(os.environ)}
    return _make(out, {"%(name)s/__init__.py": "FACTS = %%r\\n" %% facts, "%(name)s/own.py": open("own.py").read()})

def build_editable(out, settings=None, metadata=None):
    return _make(out, {"__editable__%(name)s.pth": os.getcwd() + "\\n"})
"""
PYPROJECT = """
[build-system]
requires = ["helper>=1"]
build-backend = "backend"
backend-path = ["build"]
"""


def source_tree(name: str, version: str, tag: str = "py3-none-any") -> dict[str, str]:
    """The files of a package that has to be built: its backend needs `helper`, and asks for `late` when it is up."""
    backend = BACKEND % {"name": name, "version": version, "tag": tag}
    return {"pyproject.toml": PYPROJECT, "build/backend.py": backend, "own.py": "OWN = 1\n"}


def sdist(stem: str, files: Mapping[str, str]) -> bytes:
    """A source distribution of these files, in a directory called `stem`."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(f"{stem}/{name}")
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return gzip.compress(out.getvalue(), mtime=0)
