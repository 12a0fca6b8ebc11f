"""Format the notebooks and write the library from them: `make export`.

Writes `[project]` in pyproject.toml from settings.ini as well.
"""

import sys

from metadata import PYPROJECT, wanted_pyproject
from project import BIN, ROOT, export, run


def main():
    "Format, export, clean; prints what a failing command said"
    PYPROJECT.write_text(wanted_pyproject(), encoding="utf-8")
    steps = [
        [BIN / "ruff", "format", "--quiet", "nbs", ".ci", "setup.py"],
        [BIN / "nbdev-clean"],
    ]
    for command in steps:
        done = run(command, cwd=ROOT)
        if done.code:
            print(done.output)
            return 1
    failed = export()
    if failed:
        print(failed)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
