"""Write the `[project]` tables of pyproject.toml from settings.ini.

`make export` does so, and `make` itself before it installs.
"""

import json
import re
from configparser import ConfigParser

from project import ROOT

PYPROJECT = ROOT / "pyproject.toml"
CLASSIFIERS = [
    "Programming Language :: Python :: 3",
    "Programming Language :: Python :: 3 :: Only",
    "Intended Audience :: Science/Research",
    "Topic :: Scientific/Engineering :: Artificial Intelligence",
]
EXTRAS = ["dev", "genai", "anthropic", "peers", "rego", "ray", "vllm", "inspect", "eee"]


def read_settings():
    "The settings, each a text"
    parser = ConfigParser(delimiters=["="])
    parser.read(ROOT / "settings.ini", encoding="utf-8")
    return parser["DEFAULT"]


def lines(text):
    "The lines of a setting that has several"
    return [line.strip() for line in text.splitlines() if line.strip()]


def named(text):
    "Lines such as `name=value` as a dict"
    return dict(line.split("=", 1) for line in lines(text))


def project_tables(settings):
    "Table of pyproject.toml → its keys and values"
    package = settings["lib_path"]
    author = {"name": settings["author"], "email": settings["author_email"]}
    project = {
        "name": settings["name"],
        "version": settings["version"],
        "description": settings["description"],
        "readme": "README.md",
        "license": settings["license"],
        "authors": [author],
        "keywords": settings["keywords"].split(),
        "requires-python": f">={settings['min_python']}",
        "classifiers": CLASSIFIERS,
        "dependencies": lines(settings["requirements"]),
    }
    urls = {"Repository": settings["git_url"], "Documentation": settings["doc_url"]}
    return {
        "project": project,
        "project.optional-dependencies": {
            extra: lines(settings[f"{extra}_requirements"]) for extra in EXTRAS
        },
        "project.scripts": named(settings["console_scripts"]),
        "project.entry-points.nbdev": {package: f"{package}._modidx:d"},
        "project.urls": urls,
    }


def toml(value):
    "A text, or a list or table of texts, as TOML"
    if isinstance(value, dict):
        pairs = [f"{key} = {toml(part)}" for key, part in value.items()]
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        parts = "".join(f"    {toml(part)},\n" for part in value)
        return f"[\n{parts}]"
    return json.dumps(value, ensure_ascii=False)


def table_text(name, table):
    "A table of pyproject.toml"
    pairs = [f"{key} = {toml(value)}\n" for key, value in table.items()]
    return f"[{name}]\n{''.join(pairs)}\n"


def wanted_pyproject():
    "What pyproject.toml should hold: its `[project]` tables written anew"
    tables = project_tables(read_settings())
    texts = [table_text(name, table) for name, table in tables.items()]
    found = PYPROJECT.read_text(encoding="utf-8")
    before, _, rest = found.partition("[project]\n")
    tools = re.search(r"^\[tool\.", rest, re.MULTILINE)
    return before + "".join(texts) + rest[tools.start() :]


if __name__ == "__main__":
    PYPROJECT.write_text(wanted_pyproject(), encoding="utf-8")
