"""Run notebooks again in place and say which outputs changed: `make rerun`.

    python .ci/rerun.py                              all, slow cells included
    python .ci/rerun.py nbs/core/07_policy.ipynb     these
    python .ci/rerun.py --flags ""                   without the slow cells

A notebook that fails keeps its old outputs. Ends with a table, and exits 1 if any
failed.
"""

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from project import BIN, ROOT, environment, notebooks

TIMEOUT = 14400  # Seconds for one notebook; training three seeds takes most of it


@dataclass
class Rerun:
    "How running one notebook again ended"

    name: str
    passed: bool
    changed: list  # Ids of the cells whose outputs are different now
    seconds: float


def stored_outputs(path):
    "Cell id → its outputs as JSON"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return {
        cell.get("id"): json.dumps(cell["outputs"], sort_keys=True)
        for cell in cells
        if cell["cell_type"] == "code"
    }


def rerun(path, flags, timeout):
    "Run one notebook in place"
    start = time.time()
    before = stored_outputs(path)
    name = str(path.relative_to(ROOT))
    command = [str(BIN / "nbdev-test"), name, "--save", "--cell-timeout", "0"]
    if flags:
        command += ["--flags", flags]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment(2), timeout=timeout, check=False
        )
        passed = done.returncode == 0
    except subprocess.TimeoutExpired:
        passed = False
    if passed:
        clean = [str(BIN / "nbdev-clean"), "--fname", str(path)]
        subprocess.run(clean, cwd=ROOT, check=True)
    after = stored_outputs(path)
    changed = [cell for cell in after if before.get(cell) != after[cell]]
    return Rerun(name, passed, changed, time.time() - start)


def main():
    "Run the chosen notebooks one after the other"
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("notebooks", nargs="*", help="these only")
    parser.add_argument(
        "--flags",
        default="slow",
        help="cells to run besides those without a flag (default: slow)",
    )
    parser.add_argument(
        "--timeout",
        type=int,
        default=TIMEOUT,
        help=f"seconds for one notebook (default: {TIMEOUT})",
    )
    arguments = parser.parse_args()
    chosen = [Path(name).resolve() for name in arguments.notebooks]
    results = []
    for path in chosen or notebooks():
        result = rerun(path, arguments.flags, arguments.timeout)
        results.append(result)
        word = "ok" if result.passed else "FAIL"
        count = len(result.changed)
        took = f"{result.seconds:.0f} s"
        print(f"{word:<4} {result.name}: {count} outputs changed, {took}", flush=True)
    for result in results:
        if result.changed:
            print(f"changed: {result.name}: cells {', '.join(result.changed)}")
    failed = sum(not result.passed for result in results)
    changed = sum(bool(result.changed) for result in results)
    print(
        f"{len(results)} ran, {failed} failed, {changed} with changed outputs;"
        " `git diff` shows them"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
