"""What a Python of the image's version runs to compile modules, in a process of its own: nothing of them is run.

It knows the standard library only. On stdin is a list of pairs: the path of a source, and the path that it has in the
image. Beside each source that is Python comes to be what the import system wants to find: PEP 552, unchecked, so it
holds neither a time nor anything else of the machine.
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
        try:
            code = compile(data, name, "exec", dont_inherit=True, optimize=0)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            # Templates, and tests of other versions of Python: nobody imports them.
            continue
        made = machinery._code_to_hash_pyc(code, importlib.util.source_hash(data), False)  # type: ignore[attr-defined]
        source.with_suffix(".pyc").write_bytes(made)


if __name__ == "__main__":
    main()
