"""What a Python of the image's version runs to compile modules, in a process of its own: nothing of them is run.

It knows the standard library only. On stdin is a list of pairs: the path of a source, and the path that it has in the
image. Beside each source comes to be what the import system wants to find: PEP 552, unchecked, so it holds neither a
time nor anything else of the machine. What is no Python gets one that is checked and never fits: if another package's
source of this name lay there, its compiled module would be taken for this one's.
"""

import importlib._bootstrap_external as machinery
import importlib.util
import json
import pathlib
import sys


def main() -> None:
    for path, name in json.load(sys.stdin):
        source = pathlib.Path(path)
        data = source.read_bytes()
        digest, checked = importlib.util.source_hash(data), False
        try:
            code = compile(data, name, "exec", dont_inherit=True, optimize=0)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            # Templates, and tests of other versions of Python.
            code = compile("raise SyntaxError('this is no Python')", name, "exec")
            digest, checked = bytes(one ^ 0xFF for one in digest), True
        made = machinery._code_to_hash_pyc(code, digest, checked)  # type: ignore[attr-defined]
        source.with_suffix(".pyc").write_bytes(made)


if __name__ == "__main__":
    main()
