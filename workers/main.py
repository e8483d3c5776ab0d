"""The command `toplayer`: the CLI of one wing, with the hands of the other."""

import sys

from watcher.cli.main import run
from workers.hands import Workers


def main() -> None:
    """Runs the command line and ends with its exit code."""
    sys.exit(run(Workers()))


if __name__ == "__main__":
    main()
