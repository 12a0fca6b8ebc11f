"Hands the metadata in `settings.ini` to setuptools"
from configparser import ConfigParser
from pathlib import Path
from setuptools import setup, find_packages

here = Path(__file__).parent
cfg = ConfigParser(delimiters=['='])
cfg.read(here/'settings.ini', encoding='utf-8')
cfg = cfg['DEFAULT']

def lines(key): return [o.strip() for o in cfg[key].splitlines() if o.strip()]

setup(
    version=cfg['version'],
    description=cfg['description'],
    long_description=(here/'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license=cfg['license'],
    author=cfg['author'],
    author_email=cfg['author_email'],
    keywords=cfg['keywords'].split(),
    python_requires=f">={cfg['min_python']}",
    classifiers=['Programming Language :: Python :: 3', 'Programming Language :: Python :: 3 :: Only',
                 'Intended Audience :: Science/Research', 'Topic :: Scientific/Engineering :: Artificial Intelligence'],
    packages=find_packages(include=[cfg['lib_path'], cfg['lib_path']+'.*']),
    install_requires=lines('requirements'),
    extras_require={'dev': lines('dev_requirements'), 'peers': lines('peers_requirements'), 'ray': lines('ray_requirements')},
    entry_points={'console_scripts': lines('console_scripts'),
                  'nbdev': [f"{cfg['lib_path']}={cfg['lib_path']}._modidx:d"]},
)
