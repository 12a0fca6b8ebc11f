"""Run every notebook again, in order and in place, slow cells included, and say which outputs changed: `make rerun`.

    python .ci/rerun.py                              all
    python .ci/rerun.py nbs/02_policy.ipynb          these
    python .ci/rerun.py --flags ""                   without the slow cells

A notebook that fails keeps its old outputs. Ends with a table, and exits 1 if any failed.
"""
import argparse, json, subprocess, sys, time
from pathlib import Path
from check import BIN, ROOT, environ, notebooks

def outputs(path):
    "What each cell of a notebook shows: id → outputs as JSON"
    return {c.get('id'):json.dumps(c['outputs'], sort_keys=True) for c in json.loads(path.read_text(encoding='utf-8'))['cells'] if c['cell_type']=='code'}

def rerun(path, flags, timeout):
    "Run one notebook in place; returns (did it pass, ids of cells whose outputs changed)"
    before = outputs(path)
    cmd = [BIN/'nbdev-test', path.relative_to(ROOT), '--save', '--cell-timeout', '0', *(['--flags',flags] if flags else [])]
    try: passed = subprocess.run(list(map(str,cmd)), cwd=ROOT, env=environ(2), timeout=timeout).returncode==0
    except subprocess.TimeoutExpired: passed = False
    if passed: subprocess.run([str(BIN/'nbdev-clean'), '--fname', str(path)], cwd=ROOT, check=True)
    return passed, [k for k,v in outputs(path).items() if before.get(k) != v]

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('notebooks', nargs='*', help='these only')
    p.add_argument('--flags', default='slow', help='cells to run besides those without a flag (default: slow)')
    p.add_argument('--timeout', type=int, default=14400, help='seconds for one notebook (default: 14400; training three seeds takes most of it)')
    a = p.parse_args()
    rows = []
    for n in [Path(o).resolve() for o in a.notebooks] or notebooks():
        start = time.time()
        rows.append((n.relative_to(ROOT), *rerun(n, a.flags, a.timeout), time.time()-start))
        print(f"{'ok  ' if rows[-1][1] else 'FAIL'} {rows[-1][0]}: {len(rows[-1][2])} outputs changed, {rows[-1][3]:.0f} s", flush=True)
    failed = [o for o in rows if not o[1]]
    print('\n'.join(f'changed: {n}: cells {", ".join(map(str,ids))}' for n,_,ids,_ in rows if ids))
    print(f'{len(rows)-len(failed)} ran, {len(failed)} failed, {sum(bool(o[2]) for o in rows)} with changed outputs; `git diff` shows them')
    return int(bool(failed))

if __name__=='__main__': sys.exit(main())
