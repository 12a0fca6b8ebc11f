"""Build the docs site and README.md from the notebooks: `make docs`.

1. nbdev stages the notebooks in `_proc/`, with an API entry for each exported definition.
2. They are copied to a temporary site folder, with the numbers taken off their names (`02_policy.ipynb` → `policy.ipynb`), here and in every link.
3. smalldocs renders that folder into `_docs/`; every link and anchor of the result is checked.
4. README.md is made from the index page, and `nbs/sidebar.yml` from the notebooks that exist.

Exits 1 when there is a warning or a dead link. `--check` writes neither README.md nor the sidebar, but fails where they are out of date.
"""
import argparse, ast, importlib, inspect, json, os, re, shutil, sys, tempfile, time
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
from smalldocs.config import BuildError, ConfigError, load
from smalldocs.site import Site

ROOT = Path(__file__).resolve().parents[1]
NBS,DOCS = ROOT/'nbs',ROOT/'_docs'
EXTRAS = {'CHANGELOG.md':'changelog.md', 'data/README.md':'data.md'} # Files outside `nbs` that become pages, where they exist
QUARTO_ONLY = ['format-links', 'format.commonmark', 'format.html.keep-md'] # Settings for Quarto; smalldocs has no such thing

def notebooks():
    "All notebooks of the book, in reading order"
    return sorted(p.relative_to(NBS) for p in NBS.rglob('*.ipynb') if not any(o[0] in '._' for o in p.relative_to(NBS).parts))

def unnumbered(path):
    "`guide/02_policy.ipynb` → `guide/policy.ipynb`"
    path = PurePosixPath(path)
    return path.with_name(re.sub(r'^\d+[a-zA-Z0-9]*_', '', path.name))

# Links ------------------------------------------------------------------------------------------------------------------------------------

LINK = re.compile(r'(\]\(\s*<?|\b(?:href|src)=["\'])([^)\s>"\']+)')

def relink(text, page, cfg):
    "Point the links of `text`, written in `nbs/{page}`, at staged pages, and at the repository for files that are no pages"
    def _sub(m):
        pre,href = m.groups()
        if href.startswith(cfg.doc_url): return pre + '/' + href[len(cfg.doc_url):].replace('.html.md', '.html')
        path,tail = re.match(r'([^#?]*)(.*)', href).groups()
        if not path or re.match(r'[a-z][a-z0-9+.-]*:|//', path, re.I): return m[0]
        full = normpath(f'nbs/{path}' if path[0]=='/' else f'nbs/{PurePosixPath(page).parent}/{unquote(path)}')
        if full in EXTRAS and (ROOT/full).exists(): return f'{pre}/{EXTRAS[full]}{tail}'
        if not full.startswith('nbs/'): return f'{pre}{cfg.git_url}/blob/{cfg.branch}/{full}{tail}' if (ROOT/full).exists() else m[0]
        return pre + (str(unnumbered(path)) if re.search(r'\.(ipynb|html|qmd|md)$', path) else path) + tail
    text = re.sub(r'\[\[(`[^`\n]+`)\]\([^)\n]*\)\](?=\()', r'[\1]', text) # nbdev links a symbol even where it is already the text of a link
    return LINK.sub(_sub, text)

def relink_nb(nb, page, cfg):
    "Apply `relink` to the prose and the outputs of a notebook, and drop nbdev's `output-file`, which is for Quarto"
    def _join(o): return ''.join(o) if isinstance(o, list) else o
    for c in nb.cells:
        if c.cell_type=='raw': c.source = re.sub(r'^output-file:.*\n', '', _join(c.source), flags=re.M)
        if c.cell_type=='markdown': c.source = relink(_join(c.source), page, cfg)
        for o in c.get('outputs', []):
            data = o.get('data', {})
            for k in ('text/markdown','text/html','image/svg+xml'):
                if k in data: data[k] = relink(_join(data[k]), page, cfg)
    return nb

def describe_figures(nb):
    "Give a cell's figure the alt text that argen's figures show as their text"
    for c in nb.cells:
        said = [''.join(o['data'].get('text/plain','')) for o in c.get('outputs',[]) if 'image/png' in o.get('data',{})]
        if len(said)==1 and not said[0].startswith('<Figure') and 'fig-alt' not in c.source: c.source = f'#| fig-alt: {json.dumps(said[0], ensure_ascii=False)}\n' + c.source
    return nb

class Targets(HTMLParser):
    "The ids of a page, what it links to, and how many pictures it doesn't describe"
    def __init__(self, text):
        super().__init__()
        self.ids,self.links,self.undescribed = set(),[],0
        self.feed(text)
    def handle_starttag(self, tag, attrs):
        d = dict(attrs)
        self.undescribed += tag=='img' and not d.get('alt')
        self.ids.update(d[k] for k in ('id','name') if d.get(k))
        self.links += [d[k] for k in ('href','src') if d.get(k) and not (tag=='link' and d.get('rel')=='canonical')]

def dead_links(site):
    "One line for each link inside the built `site` that leads to no file or to no anchor, and for each page with a picture that isn't described"
    pages = {p:Targets(p.read_text(encoding='utf-8')) for p in sorted(site.rglob('*.html'))}
    res = []
    for p,t in pages.items():
        if t.undescribed: res.append(f'{p.relative_to(site)}: {t.undescribed} pictures have no alt text; give their cells a line #| fig-alt: …')
        for href in dict.fromkeys(t.links):
            path,_,anchor = href.partition('#')
            path = path.partition('?')[0]
            if re.match(r'[a-z][a-z0-9+.-]*:|//', href, re.I): continue
            to = (p.parent/unquote(path)).resolve() if path else p
            if to.is_dir(): to = to/'index.html'
            where = p.relative_to(site)
            if not to.exists(): res.append(f'{where}: {href} leads to no file')
            elif anchor and to in pages and unquote(anchor) not in pages[to].ids: res.append(f'{where}: {href} leads to no such place on the page')
    return res

# Imports ----------------------------------------------------------------------------------------------------------------------------------

DEFS = ast.Import,ast.ImportFrom,ast.FunctionDef,ast.AsyncFunctionDef,ast.ClassDef

def mixed_imports(nb):
    "The cells that would fail, or run at the wrong time, when docs are staged: nbdev runs each cell that has an import, without the cells before it"
    res = []
    for c in nb.cells:
        d = c.directives_
        if c.cell_type!='code' or d.keys() & {'export','exports','exporti'} or d.get('eval','').lower()=='false': continue
        trees = c.parsed_() or []
        if any(isinstance(o, (ast.Import,ast.ImportFrom)) for t in trees for o in ast.walk(t)) and any(not isinstance(t, DEFS) for t in trees): res.append(c)
    return res

def check_imports(nbs):
    "One line for each cell that mixes imports with other code"
    return [f"nbs/{o}: cell {c.id} mixes imports with other code, which the docs build can't run: give the imports a cell of their own"
            for o in nbs for c in mixed_imports(NBProcessor(NBS/o).nb)]

# API entries ------------------------------------------------------------------------------------------------------------------------------

def signature(text, obj, module):
    "A shorter signature: `Mapping` for `collections.abc.Mapping`, and the name of a default that has one in `module`"
    named = {id(v):k for k,v in vars(module).items() if k.isupper()}
    try: defaults = [o.default for o in inspect.signature(obj).parameters.values() if id(o.default) in named]
    except (TypeError,ValueError): defaults = []
    for d in defaults: text = text.replace(f'={d!r}', f'={named[id(d)]}')
    parts = [l.partition(' # ') for l in text.splitlines()]
    return '\n'.join(re.sub(r'\b(?:[a-z_]\w*\.)+(?=[A-Z])', '', code) + sep + comment for code,sep,comment in parts)

def api_entry(md, name, module):
    "The entry nbdev made for `name`, with the signature of the exported object: its source is known, so the comments on its fields are too"
    obj = nested_attr(module, name)
    head,fence,old = md.partition('```python\n')
    if obj is None or not fence: return md
    new = BasicMarkdownRenderer(obj)._repr_markdown_().partition(fence)[2] or old
    sig,end,rest = new.partition('\n```')
    return head + fence + signature(sig, obj, module) + end + rest

def improve_api(nb, module):
    "Apply `api_entry` to each entry of a staged notebook"
    for c in nb.cells:
        name = re.search(r'^show_doc\(([\w.]+)\)', ''.join(c.source), flags=re.M) if c.cell_type=='code' else None
        for o in c.get('outputs', []) if name else []:
            if md := ''.join(o.get('data',{}).get('text/markdown','')): o['data']['text/markdown'] = api_entry(md, name[1], module)
    return nb

def constants(cell):
    "The names that an exported, shown cell of nothing but assignments gives values to"
    d = cell.directives_
    if cell.cell_type!='code' or 'export' not in d or 'hide' in d or d.get('include')=='false': return []
    trees = cell.parsed_() or []
    if not all(isinstance(t, (ast.Assign,ast.AnnAssign)) for t in trees): return []
    return [o.id for t in trees for o in ast.walk(t) if isinstance(o, ast.Name) and isinstance(o.ctx, ast.Store) and o.id[0]!='_']

def show_constants(nb, src):
    "Put exported tables and settings, which nbdev leaves out, in their places: what a page says of them can't be followed without them. Long ones are folded"
    at,seen = {c.id:c for c in nb.cells},None
    for c in src.cells:
        if c.id in at: seen = at[c.id]
        elif seen is not None and (names := constants(c)):
            code = ''.join(o for o in c.source.splitlines(True) if not o.startswith('#|'))
            label = ', '.join(names[:4]) + (', …' if len(names)>4 else '')
            fold = f'#| code-fold: true\n#| code-summary: "{label}"\n' if len(code.splitlines())>12 else ''
            new = mk_cell(fold+code)
            nb.cells.insert(nb.cells.index(seen)+1, new)
            seen = new
    return nb

def module_of(path):
    "The module that the notebook at `path` exports, or `None`"
    found = re.search(r'^#\|\s*default_exp\s+(\S+)', '\n'.join(''.join(c.source) for c in read_nb(path).cells if c.cell_type=='code'), flags=re.M)
    return importlib.import_module(f'argen.{found[1]}') if found else None

# Staging ----------------------------------------------------------------------------------------------------------------------------------

def sidebar(nbs):
    "The sidebar, as Quarto has it: `contents` made from the notebooks that exist"
    index,mods = [o for o in nbs if o.stem=='index' and o.parent==Path('.')],[o for o in nbs if o.parent==Path('.') and o.stem!='index']
    secs = {'Start':index, 'The loop':mods, 'Tutorials':[o for o in nbs if o.parts[0]=='tutorials'], 'Benchmarks':[o for o in nbs if o.parts[0]=='benchmarks']}
    return [dict(section=k, contents=[str(o) for o in v]) for k,v in secs.items() if v]

def sidebar_yml(nbs):
    "The text of `nbs/sidebar.yml`"
    return yaml.dump({'website':{'sidebar':{'contents':sidebar(nbs)}}}, Dumper=IndentDumper, sort_keys=False)

def drop(d, key):
    "Remove a dotted `key` from nested dicts, where it is"
    *path,last = key.split('.')
    for k in path: d = d.get(k) or {}
    d.pop(last, None)

def site_config(nbs):
    "The settings of the site for smalldocs: those of `nbs/*.yml`, with unnumbered names and the pages from outside `nbs`"
    load_yml = lambda f: yaml.safe_load((NBS/f).read_text(encoding='utf-8'))
    conf,site = load_yml('_quarto.yml'),load_yml('nbdev.yml')
    conf['website'] = {**site.pop('website'), **conf['website']}
    conf = {**site, **conf, 'project':{**site['project'], **conf['project']}}
    del conf['metadata-files']
    for k in QUARTO_ONLY: drop(conf, k)
    contents = [dict(o, contents=[str(unnumbered(p)) for p in o['contents']]) for o in sidebar(nbs)]
    extras = [v for k,v in EXTRAS.items() if (ROOT/k).exists()]
    if extras: contents.append(dict(section='Project', contents=sorted(extras, reverse=True)))
    conf['website']['sidebar'] = {**conf['website'].get('sidebar', {}), 'contents':contents}
    return yaml.dump(conf, sort_keys=False, allow_unicode=True)

def stage(nbs, cache, dest, cfg):
    "Copy what nbdev staged in `cache` to `dest`, as smalldocs is to read it"
    names = [unnumbered(o) for o in nbs]
    if twice := {str(o) for o in names if names.count(o)>1}: raise SystemExit(f"docs: two notebooks would be {', '.join(sorted(twice))}; rename one")
    for o,name in zip(nbs, names):
        (dest/name).parent.mkdir(parents=True, exist_ok=True)
        nb = show_constants(improve_api(read_nb(cache/o), module_of(NBS/o)), NBProcessor(NBS/o).nb)
        write_nb(describe_figures(relink_nb(nb, o, cfg)), dest/name)
    for f in NBS.rglob('*'):
        rel = f.relative_to(NBS)
        if not f.is_file() or any(o[0] in '._' for o in rel.parts) or f.suffix in ('.ipynb','.yml') or rel==Path('llms.txt'): continue
        (dest/rel).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(f, dest/rel)
    for k,v in EXTRAS.items():
        if (ROOT/k).exists(): (dest/v).write_text(relink((ROOT/k).read_text(encoding='utf-8'), f'../{k}', cfg), encoding='utf-8')
    (dest/'_quarto.yml').write_text(site_config(nbs), encoding='utf-8')

# README -----------------------------------------------------------------------------------------------------------------------------------

def readme(site, cfg):
    "README.md from the index page: pages become links to the published site, other files links into the repository"
    blob = f'{cfg.git_url}/blob/{cfg.branch}/'
    def _sub(m):
        pre,href = m.groups()
        if href.startswith(blob): return pre + href[len(blob):]
        if re.match(r'[a-z][a-z0-9+.-]*:|//|#', href, re.I): return m[0]
        path,tail = re.match(r'/?([^#?]*)(.*)', href).groups()
        if path.endswith('.llms.md'): return pre + cfg.doc_url + path.removesuffix('.llms.md') + '.html' + tail
        return f'{pre}nbs/{path}{tail}' if (NBS/path).exists() else pre + cfg.doc_url + path + tail
    text = re.sub(r'<!-- WARNING.*?-->\n*', '', (site/'index.llms.md').read_text(encoding='utf-8'))
    text = re.sub(r'\{target="_blank"[^}]*\}', '', text)
    return '<!-- Made from nbs/index.ipynb by `make docs`: edit that notebook -->\n\n' + LINK.sub(_sub, text).strip() + '\n'

def refresh(path, text, check):
    "Write a generated file if it changed; with `check`, only say that it is out of date. Returns the problems"
    if path.exists() and path.read_text(encoding='utf-8')==text: return []
    name = path.relative_to(ROOT)
    if check: return [f'{name} is out of date: run `make docs` and commit it']
    path.write_text(text, encoding='utf-8')
    print(f'wrote {name}')
    return []

def refresh_nbdev_yml(check):
    "nbdev's own settings for Quarto, made from `pyproject.toml`"
    path = NBS/'nbdev.yml'
    old = path.read_text(encoding='utf-8') if path.exists() else ''
    refresh_quarto_yml()
    new = path.read_text(encoding='utf-8')
    path.write_text(old, encoding='utf-8')
    return refresh(path, new, check)

# All of it --------------------------------------------------------------------------------------------------------------------------------

def is_older(cache):
    "Is what nbdev cached older than the library? Then links and signatures in it may be wrong"
    srcs = [*(ROOT/'argen').rglob('*.py'), *NBS.glob('*.yml'), Path(__file__)]
    return not cache.exists() or any(o.stat().st_mtime > cache.stat().st_mtime for o in srcs)

def build(check=False):
    "Build all; returns (problems of the site, generated files out of date)"
    cfg,nbs,start = get_config(ROOT),notebooks(),time.time()
    if not (NBS/'index.ipynb').exists(): raise SystemExit('docs: nbs/index.ipynb is missing; it is the first page of the site')
    stale = refresh_nbdev_yml(check) + refresh(NBS/'sidebar.yml', sidebar_yml(nbs), check)
    if problems := check_imports(nbs): return problems, stale
    print(f'staging {len(nbs)} notebooks', flush=True)
    os.chdir(ROOT)
    try: cache = proc_nbs('nbs', force=is_older(ROOT/'_proc')) # a relative path: it skips folders whose name starts with a dot
    except Exception as e: return [f'a notebook failed while it was staged: {e}'], stale
    with tempfile.TemporaryDirectory() as tmp:
        src,out = Path(tmp)/'src',Path(tmp)/'out'
        stage(nbs, cache, src, cfg)
        site = Site(load(src), quiet=True)
        site.out = out.resolve()
        try: site.build()
        except (BuildError,ConfigError) as e: return [str(e)], stale
        shutil.rmtree(DOCS, ignore_errors=True)
        shutil.move(out, DOCS)
    for f in DOCS.rglob('*.llms.md'): shutil.copy(f, f.with_name(f.name.replace('.llms.md', '.html.md'))) # the address in module docstrings
    for f in DOCS.rglob('site_libs/themes/*.css'): f.write_text(re.sub(r'@import url\(https:[^)]*\);', '', f.read_text(encoding='utf-8')), encoding='utf-8') # Fonts of another server, which `styles.css` doesn't use
    stale += refresh(ROOT/'README.md', readme(DOCS, cfg), check)
    print(f'{len(site.pages)} pages in _docs/ ({time.time()-start:.0f} s); open _docs/index.html', flush=True)
    return [o for o in site.warnings if ': broken link ' not in o] + dead_links(DOCS), stale

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--check', action='store_true', help='write neither README.md nor nbs/sidebar.yml; fail where they are out of date')
    args = p.parse_args()
    site,stale = build(check=args.check)
    for kind,lines in ('warning',site),('stale',stale):
        for o in lines: print(f'{kind}: {o}', flush=True)
    return 1 if site or stale else 0

if __name__=='__main__': sys.exit(main())
