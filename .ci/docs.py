"""Build the docs site and README.md from the notebooks: `make docs`.

1. nbdev stages the notebooks in `_proc/`, with an entry for each exported definition.
2. They are copied to a temporary site folder, with the numbers taken off their names
   (`04_policy.ipynb` → `policy.ipynb`), here and in every link.
3. smalldocs renders that folder into `_docs/`; every link and anchor is checked.
4. README.md is made from the index page, and `nbs/sidebar.yml` from the notebooks.

Exits 1 when there is a warning or a dead link. `--check` writes neither README.md nor
the sidebar, but fails where they are out of date.
"""

import argparse
import ast
import gc
import importlib
import inspect
import json
import os
import re
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from posixpath import normpath
from urllib.parse import unquote

import yaml
from fastcore.basics import nested_attr
from fastcore.nbio import mk_cell, read_nb, write_nb
from nbdev.config import get_config
from nbdev.process import NBProcessor
from nbdev.quarto import IndentDumper, refresh_quarto_yml
from nbdev.serve import proc_nbs
from nbdev.showdoc import BasicMarkdownRenderer
from project import NBS, PACKAGE, ROOT, notebooks
from smalldocs.config import BuildError, ConfigError, load
from smalldocs.site import Site

DOCS = ROOT / "_docs"
README_HEAD = "<!-- Made from nbs/index.ipynb by `make docs`: edit that notebook -->"
FOLDED_FROM = 13  # Lines; longer tables and settings are folded

# Folder of pages → group of the sidebar, in reading order
ROOMS = {
    ".": "Start",
    "tutorials": "Tutorials",
    "command_line": "Command line",
    "core": "Records and policy",
    "models": "Models",
    "scenarios": "Scenarios",
    "offline": "Offline defaults",
    "judge": "Judge",
    "auditing": "Audit",
    "rubrics": "Rubrics",
    "training": "Training",
    "statistics": "Statistics",
    "evaluation": "Evaluation",
    "labeling": "Labels by people",
    "comparison": "Comparison",
    "assurance": "Assurance",
    "publishing": "The model out",
    "talking": "Talking to a model",
    "jupyter": "Jupyter",
    "testing": "Testing",
    "benchmarks": "Benchmarks",
}
# Files outside `nbs` that become pages, where they exist
EXTRAS = {"CHANGELOG.md": "changelog.md", "data/README.md": "data.md"}
# Settings for Quarto; smalldocs has no such thing
QUARTO_ONLY = ["format-links", "format.commonmark", "format.html.keep-md"]


def pages():
    "All notebooks of the book, as paths below `nbs`, in reading order"
    order = list(ROOMS)

    def place(page):
        folder = str(page.parent)
        is_index = page.stem == "index"
        return (order.index(folder), not is_index, page.name)

    return sorted((path.relative_to(NBS) for path in notebooks()), key=place)


def unnumbered(path):
    "`guide/02_policy.ipynb` → `guide/policy.ipynb`"
    path = PurePosixPath(path)
    return path.with_name(re.sub(r"^\d+[a-zA-Z0-9]*_", "", path.name))


# Links --------------------------------------------------------------------------------

LINK = re.compile(r'(\]\(\s*<?|\b(?:href|src)=["\'])([^)\s>"\']+)')
ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]*:|//", re.IGNORECASE)
LINKED_SYMBOL = re.compile(r"\[\[(`[^`\n]+`)\]\([^)\n]*\)\](?=\()")


def staged_target(
    target,  # Where a link leads
    page,  # The notebook that holds it, below `nbs`
    config,  # nbdev's
):
    "Where the same link leads from the staged page"
    if target.startswith(config.doc_url):
        return "/" + target[len(config.doc_url) :].replace(".html.md", ".html")
    path, tail = re.match(r"([^#?]*)(.*)", target).groups()
    if not path or ABSOLUTE.match(path):
        return target
    folder = "" if path.startswith("/") else PurePosixPath(page).parent
    full = normpath(f"nbs/{folder}/{unquote(path)}")
    if full in EXTRAS and (ROOT / full).exists():
        return f"/{EXTRAS[full]}{tail}"
    if not full.startswith("nbs/"):
        if not (ROOT / full).exists():
            return target
        return f"{config.git_url}/blob/{config.branch}/{full}{tail}"
    is_page = re.search(r"\.(ipynb|html|qmd|md)$", path)
    return f"{unnumbered(path) if is_page else path}{tail}"


def relink(text, page, config):
    "Point the links of `text`, written in `nbs/{page}`, at staged pages"

    def staged(match):
        lead, target = match.groups()
        return lead + staged_target(target, page, config)

    # nbdev links a symbol even where it is already the text of a link
    return LINK.sub(staged, LINKED_SYMBOL.sub(r"[\1]", text))


def joined(text):
    "Notebook text, which may be a list of lines, as one string"
    return "".join(text)


def relink_notebook(notebook, page, config):
    "Relink prose and outputs, and drop nbdev's `output-file`, which is for Quarto"
    for cell in notebook.cells:
        source = joined(cell.source)
        if cell.cell_type == "raw":
            pattern = r"^output-file:.*\n"
            cell.source = re.sub(pattern, "", source, flags=re.MULTILINE)
        if cell.cell_type == "markdown":
            cell.source = relink(source, page, config)
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            for kind in "text/markdown", "text/html", "image/svg+xml":
                if kind in data:
                    data[kind] = relink(joined(data[kind]), page, config)
    return notebook


def describe_figures(notebook):
    "Give a cell's figure the alt text that argen's figures show as their text"
    for cell in notebook.cells:
        texts = [
            joined(output["data"].get("text/plain", ""))
            for output in cell.get("outputs", [])
            if "image/png" in output.get("data", {})
        ]
        if len(texts) != 1 or texts[0].startswith("<Figure"):
            continue
        if "fig-alt" not in cell.source:
            alt = json.dumps(texts[0], ensure_ascii=False)
            cell.source = f"#| fig-alt: {alt}\n{cell.source}"
    return notebook


class Targets(HTMLParser):
    "The ids of a page, what it links to, and how many pictures it doesn't describe"

    def __init__(self, text):
        super().__init__()
        self.ids = set()
        self.links = []
        self.undescribed = 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        "Take down one tag"
        values = dict(attrs)
        if tag == "img" and not values.get("alt"):
            self.undescribed += 1
        self.ids.update(values[key] for key in ("id", "name") if values.get(key))
        if tag == "link" and values.get("rel") == "canonical":
            return
        self.links += [values[key] for key in ("href", "src") if values.get(key)]


@cache
def linked_file(folder, target):
    "The file that a link on a page in `folder` leads to; it may not exist"
    to = (folder / unquote(target)).resolve()
    return to / "index.html" if to.is_dir() else to


@cache
def exists(path):
    "Is there such a file? The sidebar asks for the same ones on each page"
    return path.exists()


def link_problem(link, path, found):
    "What is wrong with one link of the page at `path`, or `None`"
    if ABSOLUTE.match(link):
        return None
    target, _, anchor = link.partition("#")
    target = target.partition("?")[0]
    to = linked_file(path.parent, target) if target else path
    if not exists(to):
        return f"{link} leads to no file"
    if anchor and to in found and unquote(anchor) not in found[to].ids:
        return f"{link} leads to no such place on the page"
    return None


def dead_links(site):
    "A line for each dead link, and each page with an undescribed picture"
    found = {}
    for path in sorted(site.rglob("*.html")):
        found[path] = Targets(path.read_text(encoding="utf-8"))
    problems = []
    for path, targets in found.items():
        where = path.relative_to(site)
        if targets.undescribed:
            count = f"{targets.undescribed} pictures have no alt text"
            problems.append(f"{where}: {count}; give their cells a line #| fig-alt: …")
        for link in dict.fromkeys(targets.links):
            problem = link_problem(link, path, found)
            if problem:
                problems.append(f"{where}: {problem}")
    return problems


# Imports ------------------------------------------------------------------------------

IMPORTS = (ast.Import, ast.ImportFrom)
DEFINITIONS = (*IMPORTS, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def is_mixed(cell):
    "Does a cell hold an import beside code? nbdev would run it alone"
    directives = cell.directives_
    if cell.cell_type != "code" or directives.keys() & {"export", "exports", "exporti"}:
        return False
    if directives.get("eval", "").lower() == "false":
        return False
    trees = cell.parsed_() or []
    has_import = any(
        isinstance(node, IMPORTS) for tree in trees for node in ast.walk(tree)
    )
    return has_import and any(not isinstance(tree, DEFINITIONS) for tree in trees)


def check_imports():
    "One line for each cell that mixes imports with other code"
    advice = "mixes imports with other code: give the imports a cell of their own"
    return [
        f"nbs/{page}: cell {cell.id} {advice}"
        for page in pages()
        for cell in NBProcessor(NBS / page).nb.cells
        if is_mixed(cell)
    ]


# API entries --------------------------------------------------------------------------


def shorter_signature(text, symbol, module):
    "A signature with short type names, and defaults by their names"
    named = {id(value): name for name, value in vars(module).items() if name.isupper()}
    try:
        parameters = inspect.signature(symbol).parameters.values()
    except (TypeError, ValueError):
        parameters = []
    for parameter in parameters:
        default = parameter.default
        if id(default) in named:
            text = text.replace(f"={default!r}", f"={named[id(default)]}")
    lines = []
    for line in text.splitlines():
        code, mark, comment = line.partition(" # ")
        code = re.sub(r"\b(?:[a-z_]\w*\.)+(?=[A-Z])", "", code)
        lines.append(code + mark + comment)
    return "\n".join(lines)


def api_entry(markdown, name, module):
    "nbdev's entry for `name`, with the signature and comments of the exported object"
    symbol = nested_attr(module, name)
    head, fence, old = markdown.partition("```python\n")
    if symbol is None or not fence:
        return markdown
    full = BasicMarkdownRenderer(symbol)._repr_markdown_()
    new = full.partition(fence)[2] or old
    signature, end, rest = new.partition("\n```")
    return head + fence + shorter_signature(signature, symbol, module) + end + rest


def improve_api(notebook, module):
    "Apply `api_entry` to each entry of a staged notebook"
    entry = re.compile(r"^show_doc\(([\w.]+)\)", flags=re.MULTILINE)
    for cell in notebook.cells:
        found = entry.search(joined(cell.source)) if cell.cell_type == "code" else None
        if not found:
            continue
        for output in cell.get("outputs", []):
            markdown = joined(output.get("data", {}).get("text/markdown", ""))
            if markdown:
                output["data"]["text/markdown"] = api_entry(markdown, found[1], module)
    return notebook


def constants(cell):
    "The names that an exported, shown cell of nothing but assignments gives values to"
    directives = cell.directives_
    if cell.cell_type != "code" or not directives.keys() & {"export", "exporti"}:
        return []
    if "hide" in directives or directives.get("include") == "false":
        return []
    trees = cell.parsed_() or []
    if not all(isinstance(tree, ast.Assign | ast.AnnAssign) for tree in trees):
        return []
    names = [
        node.id
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]
    return [name for name in names if not name.startswith("_")]


def constants_cell(source, names):
    "A cell that shows exported constants, folded where it is long"
    lines = [line for line in source.splitlines(True) if not line.startswith("#|")]
    label = ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
    fold = f'#| code-fold: true\n#| code-summary: "{label}"\n'
    is_long = len(lines) >= FOLDED_FROM
    return mk_cell((fold if is_long else "") + "".join(lines))


def show_constants(staged, source):
    "Put exported tables and settings, which nbdev leaves out, in their places"
    by_id = {cell.id: cell for cell in staged.cells}
    previous = None
    for cell in source.cells:
        names = constants(cell)
        if cell.id in by_id:
            previous = by_id[cell.id]
        elif previous is not None and names:
            new = constants_cell(cell.source, names)
            staged.cells.insert(staged.cells.index(previous) + 1, new)
            previous = new
    return staged


def module_of(path):
    "The module that the notebook at `path` exports, or `None`"
    code = [cell.source for cell in read_nb(path).cells if cell.cell_type == "code"]
    found = re.search(
        r"^#\|\s*default_exp\s+(\S+)", "\n".join(map(joined, code)), flags=re.MULTILINE
    )
    return importlib.import_module(f"argen.{found[1]}") if found else None


# Staging ------------------------------------------------------------------------------


def sidebar():
    "The sidebar, as Quarto has it: one section for each room"
    sections = {}
    for page in pages():
        sections.setdefault(ROOMS[str(page.parent)], []).append(str(page))
    return [
        {"section": title, "contents": contents} for title, contents in sections.items()
    ]


def sidebar_yml():
    "The text of `nbs/sidebar.yml`"
    content = {"website": {"sidebar": {"contents": sidebar()}}}
    return yaml.dump(content, Dumper=IndentDumper, sort_keys=False)


def drop(settings, key):
    "Remove a dotted `key` from nested dicts, where it is"
    *path, last = key.split(".")
    for part in path:
        settings = settings.get(part) or {}
    settings.pop(last, None)


def read_yml(name):
    "A YAML file of `nbs`"
    return yaml.safe_load((NBS / name).read_text(encoding="utf-8"))


def present_extras():
    "The pages from outside `nbs` that exist: path → page"
    return {path: page for path, page in EXTRAS.items() if (ROOT / path).exists()}


def site_config():
    "The settings of the site for smalldocs: those of `nbs/*.yml`, names unnumbered"
    settings = read_yml("_quarto.yml")
    generated = read_yml("nbdev.yml")
    website = {**generated.pop("website"), **settings["website"]}
    project = {**generated["project"], **settings["project"]}
    settings = {**generated, **settings, "website": website, "project": project}
    del settings["metadata-files"]
    for key in QUARTO_ONLY:
        drop(settings, key)
    contents = []
    for section in sidebar():
        names = [str(unnumbered(page)) for page in section["contents"]]
        contents.append({**section, "contents": names})
    extras = sorted(present_extras().values(), reverse=True)
    if extras:
        contents.append({"section": "Project", "contents": extras})
    website["sidebar"] = {**website.get("sidebar", {}), "contents": contents}
    return yaml.dump(settings, sort_keys=False, allow_unicode=True)


def stage_page(page, cache, folder, config):
    "Copy one notebook that nbdev staged in `cache`, as smalldocs is to read it"
    source = NBProcessor(NBS / page).nb
    staged = improve_api(read_nb(cache / page), module_of(NBS / page))
    staged = show_constants(staged, source)
    staged = describe_figures(relink_notebook(staged, page, config))
    to = folder / unnumbered(page)
    to.parent.mkdir(parents=True, exist_ok=True)
    write_nb(staged, to)


def is_asset(path):
    "Is a file below `nbs` one that the site needs beside its pages?"
    parts = path.relative_to(NBS).parts
    if not path.is_file() or any(part.startswith((".", "_")) for part in parts):
        return False
    return path.suffix not in (".ipynb", ".yml") and path.name != "llms.txt"


def stage(cache, folder, config):
    "Copy all pages and what they need to `folder`"
    names = [str(unnumbered(page)) for page in pages()]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        listed = ", ".join(twice)
        raise SystemExit(f"docs: two notebooks would be {listed}; rename one")
    for page in pages():
        stage_page(page, cache, folder, config)
    for path in NBS.rglob("*"):
        if is_asset(path):
            to = folder / path.relative_to(NBS)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, to)
    for path, page in present_extras().items():
        text = (ROOT / path).read_text(encoding="utf-8")
        linked = relink(text, f"../{path}", config)
        (folder / page).write_text(linked, encoding="utf-8")
    (folder / "_quarto.yml").write_text(site_config(), encoding="utf-8")


# For language models ------------------------------------------------------------------


def description(page):
    "What a page is about: its title and its `>` line"
    first = joined(read_nb(NBS / page).cells[0].source)
    title = re.search(r"^# (.+)", first, flags=re.MULTILINE)
    line = re.search(r"^> (.+)", first, flags=re.MULTILINE)
    return (title[1] if title else page.stem), (line[1] if line else "")


def llms_txt(
    site,  # smalldocs' own text: title and description are taken from it
    config,  # nbdev's
):
    "`llms.txt` in reading order, by rooms, with a description of each page"
    lines = [site.partition("## Pages")[0].rstrip()]
    for section in sidebar():
        lines += ["", f"## {section['section']}", ""]
        for page in map(PurePosixPath, section["contents"]):
            title, text = description(page)
            address = config.doc_url + str(unnumbered(page).with_suffix(".llms.md"))
            lines.append(f"- [{title}]({address})" + (f": {text}" if text else ""))
    return "\n".join(lines) + "\n"


# README -------------------------------------------------------------------------------


def readme(site, config):
    "README.md from the index page: pages become links to the published site"
    blob = f"{config.git_url}/blob/{config.branch}/"

    def published(match):
        lead, target = match.groups()
        if target.startswith(blob):
            return lead + target[len(blob) :]
        if ABSOLUTE.match(target) or target.startswith("#"):
            return match[0]
        path, tail = re.match(r"/?([^#?]*)(.*)", target).groups()
        if path.endswith(".llms.md"):
            page = path.removesuffix(".llms.md") + ".html"
            return lead + config.doc_url + page + tail
        if (NBS / path).exists():
            return f"{lead}nbs/{path}{tail}"
        return lead + config.doc_url + path + tail

    text = (site / "index.llms.md").read_text(encoding="utf-8")
    text = re.sub(r"<!-- WARNING.*?-->\n*", "", text)
    text = re.sub(r'\{target="_blank"[^}]*\}', "", text)
    return f"{README_HEAD}\n\n{LINK.sub(published, text).strip()}\n"


def refresh(path, text, check):
    "Write a generated file if it changed; with `check`, only say that it is stale"
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return []
    name = path.relative_to(ROOT)
    if check:
        return [f"{name} is out of date: run `make docs` and commit it"]
    path.write_text(text, encoding="utf-8")
    print(f"wrote {name}")
    return []


def refresh_nbdev_yml(check):
    "nbdev's own settings for Quarto, made from `pyproject.toml`"
    path = NBS / "nbdev.yml"
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    refresh_quarto_yml()
    new = path.read_text(encoding="utf-8")
    path.write_text(old, encoding="utf-8")
    return refresh(path, new, check)


# All of it ----------------------------------------------------------------------------


@dataclass
class Problems:
    "What a build found"

    warnings: list = field(default_factory=list)  # On the site itself
    stale: list = field(default_factory=list)  # Generated files that are out of date


def is_older(cache):
    "Is nbdev's cache older than the library? Then its links may be wrong"
    if not cache.exists():
        return True
    sources = [*PACKAGE.rglob("*.py"), *NBS.glob("*.yml"), Path(__file__)]
    made = cache.stat().st_mtime
    return any(path.stat().st_mtime > made for path in sources)


def render(cache, config):
    "Build the site into `_docs`; returns smalldocs' warnings"
    with tempfile.TemporaryDirectory() as name:
        source, out = Path(name) / "source", Path(name) / "out"
        stage(cache, source, config)
        site = Site(load(source), quiet=True)
        site.out = out.resolve()
        site.build()
        shutil.rmtree(DOCS, ignore_errors=True)
        shutil.move(out, DOCS)
    return [text for text in site.warnings if ": broken link " not in text]


def finish(config):
    "What smalldocs leaves to do: addresses in docstrings, fonts, `llms.txt`"
    for path in DOCS.rglob("*.llms.md"):  # Module docstrings name `page.html.md`
        shutil.copy(path, path.with_name(path.name.replace(".llms.md", ".html.md")))
    for path in DOCS.rglob("site_libs/themes/*.css"):  # Fonts of another server
        style = path.read_text(encoding="utf-8")
        style = re.sub(r"@import url\(https:[^)]*\);", "", style)
        path.write_text(style, encoding="utf-8")
    path = DOCS / "llms.txt"
    text = llms_txt(path.read_text(encoding="utf-8"), config)
    path.write_text(text, encoding="utf-8")


def build(check):
    "Build the site and refresh what is generated from it"
    if not (NBS / "index.ipynb").exists():
        raise SystemExit("docs: nbs/index.ipynb is missing: it is the first page")
    start = time.time()
    config = get_config(ROOT)
    problems = Problems()
    problems.stale += refresh_nbdev_yml(check)
    problems.stale += refresh(NBS / "sidebar.yml", sidebar_yml(), check)
    problems.warnings += check_imports()
    if problems.warnings:
        return problems
    print(f"staging {len(pages())} notebooks", flush=True)
    os.chdir(ROOT)
    try:
        # A relative path: nbdev skips folders whose name starts with a dot. In this
        # process: another would load torch and its like once more
        cache = proc_nbs("nbs", n_workers=0, force=is_older(ROOT / "_proc"))
        # The shell of each notebook collects garbage at the end: over a minute together
        gc.freeze()
    except Exception as error:  # noqa: BLE001  Any cell of any notebook may fail
        problems.warnings.append(f"a notebook failed while it was staged: {error}")
        return problems
    try:
        problems.warnings += render(cache, config)
    except (BuildError, ConfigError) as error:
        problems.warnings.append(str(error))
        return problems
    finish(config)
    problems.warnings += dead_links(DOCS)
    problems.stale += refresh(ROOT / "README.md", readme(DOCS, config), check)
    took = f"{time.time() - start:.0f} s"
    print(f"{len(pages())} notebooks in _docs/ ({took}); open _docs/index.html")
    return problems


def main():
    "Build the site, and print what is wrong with it"
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="write neither README.md nor nbs/sidebar.yml; fail where out of date",
    )
    problems = build(check=parser.parse_args().check)
    for line in problems.warnings:
        print(f"warning: {line}", flush=True)
    for line in problems.stale:
        print(f"stale: {line}", flush=True)
    return 1 if problems.warnings or problems.stale else 0


if __name__ == "__main__":
    sys.exit(main())
