"""Prove that notebooks, library and docs agree: `make test`.

    python .ci/check.py                             everything
    python .ci/check.py nbs/core/07_policy.ipynb    these notebooks only
    python .ci/check.py --flags slow                everything, with the slow cells

Checks that the code is formatted and linted, that exporting and cleaning change
nothing, that the package's metadata are those of settings.ini, that imports only go
down and load nothing heavy, that stored outputs are fit to print, that every notebook
runs, and that the docs build without a warning. Changes no file of yours: exporting and
cleaning happen in a copy. A few notebooks that fail are run once more, alone, when all
else has ended: one that passes then is named as unsteady. Ends with the line
`N passed, N failed`, each notebook and each check counting one, and exits 1 if any
failed.
"""

import argparse
import ast
import gc
import json
import multiprocessing
import os
import re
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path

from metadata import PYPROJECT, wanted_pyproject
from project import (
    BIN,
    FLOORS,
    KEYS,
    NBS,
    PACKAGE,
    ROOT,
    copy_sources,
    end,
    environment,
    export,
    files,
    notebooks,
    run,
    running,
)

# Packages that `import argen` and its command must not load
HEAVY = [
    "datasets",
    "google.generativeai",
    "matplotlib",
    "openai",
    "pandas",
    "peft",
    "ray",
    "scipy",
    "sentence_transformers",
    "torch",
    "transformers",
    "trl",
    "wandb",
]
# Packages that no module may load on import, only the functions that need them
HEAVY_IN_MODULES = ["matplotlib", "torch", "transformers", "trl", "wandb"]
# Imported once, before a process is forked for each notebook: no package that starts
# threads on import (grpc does), and nothing of argen
PRELOADED = [
    "nbdev.test",
    "matplotlib.pyplot",
    "pandas",
    "scipy.stats",
    "openai",
    "sentence_transformers",
    "transformers.models.llama.modeling_llama",
    "peft",
    "trl.trainer.grpo_trainer",
]
PRIVATE = r'(?:/home/|/Users/|/root/|/tmp/|[A-Z]:\\\\Users\\\\)[^\s"\'<>]*'
SOURCE_PATH = r"(?<![\w.:/])/(?:[\w.-]+/)+argen/[\w/]+\.py"  # Of a checkout anywhere
NOTEBOOK_TIMEOUT = 900  # Seconds
SLOW_TIMEOUT = 3600  # Seconds, with --flags
MOST_AGAIN = 4  # Failed notebooks that are run again, alone; more are no accident


# Checks: each returns a list of problems ----------------------------------------------


def check_format():
    "Cells, library and scripts are formatted by ruff's defaults"
    done = run([BIN / "ruff", "format", "--check", "--quiet", "."])
    return [f"{done.output}\nrun `make export`"] if done.code else []


def check_lint():
    "Cells, library and scripts pass ruff's default rules, at 88 columns"
    done = run([BIN / "ruff", "check", "--quiet", "--output-format", "concise", "."])
    return [done.output] if done.code else []


def check_export():
    "The library is what the notebooks export"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_sources(folder)
        failed = export(folder)
        if failed:
            return [failed]
        made = files(folder / "argen", ".py")
    problems = []
    present = files(PACKAGE, ".py")
    for path in sorted({**present, **made}):
        if path not in made:
            problems.append(f"argen/{path} comes from no notebook: delete it")
        elif present.get(path) != made[path]:
            problems.append(
                f"argen/{path} isn't what its notebook exports: make export"
            )
    return problems


def check_metadata():
    "What packaging tools read in pyproject.toml is what settings.ini says"
    if PYPROJECT.read_text(encoding="utf-8") == wanted_pyproject():
        return []
    return ["pyproject.toml isn't what settings.ini says: run `make export`"]


def check_clean():
    "Notebooks hold no execution counts or stray metadata"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_sources(folder)
        done = run([BIN / "nbdev-clean"], cwd=folder)
        if done.code:
            return [done.output]
        clean = files(folder / "nbs", ".ipynb")
    present = files(NBS, ".ipynb")
    return [
        f"nbs/{path} is not clean: run `make export`"
        for path in present
        if present[path] != clean.get(path)
    ]


IMPORTS = """
import importlib, json, pkgutil, sys
import argen, argen.cli
for name in argen.__all__:
    getattr(argen, name)
first = sorted(sys.modules)
for module in pkgutil.walk_packages(argen.__path__, "argen."):
    importlib.import_module(module.name)
print(json.dumps({"first": first, "all": sorted(sys.modules)}))
"""


def check_import():
    "What argen offers loads nothing heavy, and every module imports"
    done = run([sys.executable, "-c", IMPORTS])
    if done.code:
        return [done.output]
    loaded = json.loads(done.output.splitlines()[-1])
    advice = "import it inside the function that needs it"
    problems = [
        f"a name of `argen` or argen.cli loads {package}: {advice}"
        for package in HEAVY
        if package in loaded["first"]
    ]
    problems += [
        f"a module of argen loads {package} when it is imported: {advice}"
        for package in HEAVY_IN_MODULES
        if package in loaded["all"]
    ]
    return problems


def room_of(
    module,  # Dotted name inside argen, such as 'judge.llm' or 'records'
):
    "The room of a module: its package, or '' for a module that lies in argen itself"
    room, _, rest = module.partition(".")
    is_package = (PACKAGE / room).is_dir()
    return room if rest or is_package else ""


def imported_modules(tree, package):
    "What a module imports from argen: (line, dotted name inside argen) pairs"
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom):
            continue
        if node.level:
            kept = len(package) - node.level + 1
            parts = package[:kept] + (node.module.split(".") if node.module else [])
        else:
            parts = (node.module or "").split(".")
            if parts[0] != "argen":
                continue
            parts = parts[1:]
        if parts:
            yield node.lineno, ".".join(parts)
        else:
            yield from ((node.lineno, alias.name) for alias in node.names)


# `Evaluation.widget()` and its like lead from an object to its widget, when called
MAY_IMPORT_JUPYTER = re.compile(r"widget")


def check_floors():
    "Imports only go down; the product imports nothing of `testing` or `jupyter`"
    problems = []
    for name, data in files(PACKAGE, ".py").items():
        module = name.removesuffix(".py").replace("/", ".")
        room = room_of(module)
        is_above = room == "" and module in ("cli", "quickstart", "__init__")
        if room == "testing" or is_above:
            continue
        lines = data.decode().splitlines()
        floor = FLOORS.index(room) if room else -1
        package = module.split(".")[:-1]
        for number, target in imported_modules(ast.parse(data), package):
            other = room_of(target)
            where = f"argen/{name}:{number}"
            lead = lines[number - 1]
            if other == "jupyter" and room != "jupyter":
                if not MAY_IMPORT_JUPYTER.search(lead):
                    problems.append(f"{where}: the product imports jupyter")
            elif other == "testing":
                problems.append(f"{where}: the product imports testing")
            elif other and FLOORS.index(other) > floor:
                problems.append(
                    f"{where}: {room or 'argen'} imports {target}, above it"
                )
    return problems


def shown_text(cell):
    "All text in a cell's outputs, pictures left out"
    parts = []
    for output in cell.get("outputs", []):
        parts.append(output.get("text", ""))
        for kind, value in output.get("data", {}).items():
            if isinstance(value, str | list) and not kind.startswith("image/"):
                parts.append(value)
    return "\n".join("".join(part) for part in parts)


def check_outputs():
    "No stored output is an error, or names a place on the machine that made it"
    problems = []
    own = rf"{re.escape(str(ROOT))}[^\s\"'<>]*"
    private = re.compile(f"{own}|{SOURCE_PATH}|{PRIVATE}")
    for name, data in files(NBS, ".ipynb").items():
        for cell in json.loads(data)["cells"]:
            where = f"nbs/{name}: cell {cell.get('id')}"
            kinds = [output["output_type"] for output in cell.get("outputs", [])]
            if "error" in kinds:
                problems.append(f"{where} has an error as its output")
            found = private.search(shown_text(cell))
            if found:
                problems.append(f"{where} shows {found[0][:80]} in its output")
    return problems


def check_model():
    "The packaged model is there, converted once"
    program = "from argen.models.local import smollm2_path; smollm2_path()"
    done = run([sys.executable, "-c", program], threads=os.cpu_count(), timeout=400)
    return [done.output] if done.code else []


def check_docs():
    "The site builds with no warning and no dead link; what it generates is up to date"
    done = run([sys.executable, ROOT / ".ci" / "docs.py", "--check"])
    if not done.code:
        return []
    lines = [
        line
        for line in done.output.splitlines()
        if line.startswith(("warning: ", "stale: "))
    ]
    return lines or [done.output]


CHECKS = {
    "docs": check_docs,
    "format": check_format,
    "lint": check_lint,
    "export changes nothing": check_export,
    "clean changes nothing": check_clean,
    "package metadata": check_metadata,
    "bare import": check_import,
    "imports go down": check_floors,
    "stored outputs": check_outputs,
}


# Notebooks ----------------------------------------------------------------------------


def run_here(path, flags):
    "Run one notebook in this process (a child of `check.py`); True if it passed"
    from nbdev.config import get_config
    from nbdev.test import test_nb

    passed, _ = test_nb(
        Path(path),
        skip_flags=get_config().tst_flags.split(),
        force_flags=flags.split(),
        basepath=ROOT,
    )
    return passed


def run_apart(path, flags, log):
    "Run one notebook in a process of its own, all that it prints going to `log`"
    os.setsid()  # So that `end` reaches what the notebook starts
    gc.freeze()  # What was preloaded stays: no collection looks through it again
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), sys.stdin.fileno())
    with open(log, "wb") as out:
        os.dup2(out.fileno(), sys.stdout.fileno())
        os.dup2(out.fileno(), sys.stderr.fileno())
    sys.exit(0 if run_here(path, flags) else 1)


def page_processes(threads):
    "A server that forks a process for each notebook, with heavy packages in memory"
    os.environ.update(environment(threads))
    for name in KEYS:
        os.environ.pop(name, None)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def check_notebook(context, path, flags, timeout):
    "Run one notebook in a process of its own"
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        process = context.Process(target=run_apart, args=(path, flags, log))
        process.start()
        running.add(process)
        process.join(timeout)
        took_too_long = process.exitcode is None
        end(process)  # And whatever it left running
        process.join()
        running.discard(process)
        output = log.read_text(encoding="utf-8", errors="replace").strip()
    if took_too_long:
        return [f"{output}\nstopped: it took over {timeout} s".strip()]
    if process.exitcode:
        return [output or f"ended with exit code {process.exitcode}"]
    return []


def longest_first(paths):
    "Tutorials first, as they train, then long pages: no core idles at the end"

    def place(path):
        return "tutorials" not in path.parts, -path.stat().st_size

    return sorted(paths, key=place)


def untracked():
    "Files that git neither tracks nor ignores; notebooks and modules may be new work"
    done = run(["git", "ls-files", "--others", "--exclude-standard"])
    if done.code:
        return set()
    new_work = (".ipynb", ".py")
    return {line for line in done.output.splitlines() if not line.endswith(new_work)}


# Report -------------------------------------------------------------------------------


class Report:
    "Counts what passed and failed, and says so as it happens"

    def __init__(self, total):
        self.total = total
        self.failed = []
        self.unsteady = []
        self.seconds = {}

    def first_try(self, name, problems, seconds):
        "Print how a notebook failed that will be run again"
        print(f"        again later: {name}, failed after {seconds:.1f} s", flush=True)
        self.print_problems(problems)
        self.unsteady.append(name)

    def print_problems(self, problems):
        "Indented, a line each"
        for problem in problems:
            for line in problem.splitlines():
                print(f"    {line}", flush=True)

    def add(self, name, problems, seconds):
        "Take the result of one check and print it"
        self.seconds[name] = seconds
        if problems:
            self.failed.append(name)
        word = "FAIL" if problems else "ok"
        count = f"[{len(self.seconds):>2}/{self.total}]"
        print(f"{count} {word:<4} {name:<44}{seconds:7.1f} s", flush=True)
        self.print_problems(problems)

    def end(self, seconds):
        "Print the summary; returns the exit code"
        slowest = sorted(self.seconds.items(), key=lambda item: -item[1])[:5]
        listed = ", ".join(f"{name} {took:.0f} s" for name, took in slowest)
        print(f"\nslowest: {listed}; {seconds / 60:.1f} min in all")
        unsteady = [name for name in self.unsteady if name not in self.failed]
        if unsteady:
            print("unsteady, passed when run again: " + ", ".join(unsteady))
        if self.failed:
            print("failed:  " + ", ".join(self.failed))
        passed = len(self.seconds) - len(self.failed)
        print(f"{passed} passed, {len(self.failed)} failed", flush=True)
        return 1 if self.failed else 0


def timed(check, *arguments):
    "Run a check; returns its problems and the seconds it took"
    start = time.time()
    try:
        problems = check(*arguments)
    except Exception as error:  # noqa: BLE001  A check that breaks is a failed check
        problems = [f"{type(error).__name__}: {error}"]
    return problems, time.time() - start


# Command ------------------------------------------------------------------------------


def read_arguments():
    "The command line"
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "notebooks", nargs="*", help="run these notebooks, and no other check"
    )
    parser.add_argument(
        "--flags", default="", help='also run cells with these flags, e.g. "slow"'
    )
    parser.add_argument(
        "--workers", type=int, default=2, help="notebooks at a time (default: 2)"
    )
    parser.add_argument(
        "--timeout",
        type=int,
        help=f"seconds for one notebook (default: {NOTEBOOK_TIMEOUT};"
        f" {SLOW_TIMEOUT} with --flags)",
    )
    return parser.parse_args()


def available_cores():
    "How many cores this process may use"
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def jobs_of(arguments, threads):
    "What runs side by side: name of a check or notebook → the function that does it"
    timeout = arguments.timeout or (
        SLOW_TIMEOUT if arguments.flags else NOTEBOOK_TIMEOUT
    )
    chosen = [Path(name).resolve() for name in arguments.notebooks]
    context = page_processes(threads)
    jobs = {} if chosen else dict(CHECKS)
    for path in chosen or longest_first(notebooks()):
        name = os.path.relpath(path, ROOT)
        jobs[name] = partial(check_notebook, context, path, arguments.flags, timeout)
    return jobs


def stop(pool):
    "End all that runs, after Ctrl-C or SIGTERM"
    pool.shutdown(wait=False, cancel_futures=True)
    for process in list(running):
        end(process)
    print("\nstopped", flush=True)


def check_all(arguments):
    "Run the checks and the notebooks; returns the exit code"
    start = time.time()
    cores = available_cores()
    workers = max(1, min(arguments.workers, cores))
    threads = max(1, cores // workers)
    jobs = jobs_of(arguments, threads)
    everything = not arguments.notebooks
    report = Report(len(jobs) + (2 if everything else 0))
    print(
        f"Python {sys.version.split()[0]}, {cores} cores: {len(jobs)} checks and"
        f" notebooks, {workers} at a time, threads for each: {threads}",
        flush=True,
    )
    if everything:
        report.add("packaged model", *timed(check_model))  # Notebooks share it
    most_again = MOST_AGAIN if everything else 0
    before = untracked()
    with ThreadPoolExecutor(workers) as pool:
        try:
            names = {pool.submit(timed, job): name for name, job in jobs.items()}
            for done in as_completed(names):
                name = names[done]
                problems, seconds = done.result()
                is_page = name.endswith(".ipynb")
                if problems and is_page and len(report.unsteady) < most_again:
                    report.first_try(name, problems, seconds)
                else:
                    report.add(name, problems, seconds)
            for name in report.unsteady:
                report.add(name, *timed(jobs[name]))
        except KeyboardInterrupt:
            stop(pool)
            return 130
    if everything:
        left = [
            f"{path}: a notebook left this file behind"
            for path in sorted(untracked() - before)
        ]
        report.add("notebooks leave nothing", left, 0)
    return report.end(time.time() - start)


def main():
    "Check everything, or the notebooks that are named"
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return check_all(read_arguments())


if __name__ == "__main__":
    sys.exit(main())
