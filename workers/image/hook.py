"""What a sandbox runs to make a wheel: a build backend's hooks, as PEP 517 and PEP 660 have them.

It runs in the container, with the base's Python and nothing else, so it knows the standard library only and speaks any
Python 3. Arguments: `wheel` or `editable`, the backend, the directories that it is looked for in first (as JSON), and
`complete` once the environment has what the backend asked for. It leaves a wheel, or else `requires.json`.
"""

import importlib
import json
import os
import pathlib
import sys


def main() -> None:
    kind, backend, paths, complete = sys.argv[1:5]
    sys.path[0:1] = [str(pathlib.Path(path).resolve()) for path in json.loads(paths)]
    module, _, attributes = backend.partition(":")
    hooks = importlib.import_module(module)
    for name in attributes.split(".") if attributes else ():
        hooks = getattr(hooks, name)
    out = os.environ["TOPLAYER_OUT"]
    ask = getattr(hooks, "get_requires_for_build_" + kind, None)
    asked = list(ask(None)) if ask else []
    if asked and not complete:
        pathlib.Path(out, "requires.json").write_text(json.dumps(asked))
        return
    getattr(hooks, "build_" + kind)(out, None, None)


if __name__ == "__main__":
    main()
