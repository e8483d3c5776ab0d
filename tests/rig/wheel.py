"""Tiny real wheels, made on the spot: the same arguments give the same bytes."""

import hashlib
import io
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence

Content = str | bytes


def module_of(name: str) -> str:
    """What a package of that name is called where it is imported."""
    return name.replace("-", "_").replace(".", "_").lower()


def wheel_name(name: str, version: str, tag: str = "py3-none-any") -> str:
    """The file name of a wheel, by https://packaging.python.org/specifications/binary-distribution-format/."""
    return f"{module_of(name)}-{version}-{tag}.whl"


def metadata(
    name: str, version: str, *, requires: Sequence[str] = (), requires_python: str = "", terms: str = ""
) -> bytes:
    """The METADATA of a wheel: what PEP 658 serves beside it, too."""
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Python: {requires_python}"] if requires_python else []
    lines += [f"License: {terms}"] if terms else []
    lines += [f"Requires-Dist: {one}" for one in requires]
    return "\n".join([*lines, "", ""]).encode()


def wheel(
    name: str,
    version: str,
    *,
    requires: Sequence[str] = (),
    requires_python: str = "",
    files: Mapping[str, Content] | None = None,
    scripts: Mapping[str, str] | None = None,
    tag: str = "py3-none-any",
    terms: str = "",
) -> bytes:
    """A wheel that installs `files` (path → content; by default one package that knows its `__version__`).

    `scripts` are console scripts: name → `module:function`; `terms` its licence. Paths are written as they are, also
    bad ones.
    """
    info = f"{module_of(name)}-{version}.dist-info"
    content = {f"{module_of(name)}/__init__.py": f'__version__ = "{version}"\n'} if files is None else dict(files)
    pure = str(tag.endswith("-none-any")).lower()
    entries: dict[str, Content] = {
        **content,
        f"{info}/METADATA": metadata(name, version, requires=requires, requires_python=requires_python, terms=terms),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: rig\nRoot-Is-Purelib: {pure}\nTag: {tag}\n",
    }
    if scripts:
        lines = [f"{script} = {target}" for script, target in scripts.items()]
        entries[f"{info}/entry_points.txt"] = "\n".join(["[console_scripts]", *lines, ""])
    raw = {path: text.encode() if isinstance(text, str) else text for path, text in entries.items()}
    record = [f"{path},sha256={_digest(data)},{len(data)}" for path, data in raw.items()]
    raw[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in raw.items():
            archive.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), data)
    return packed.getvalue()


def _digest(data: bytes) -> str:
    return urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
