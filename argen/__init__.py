"Aligning language models for healthcare with a written policy"

__version__ = "0.1.0"

import os
from importlib import import_module
from importlib.util import find_spec

import lazy_loader

# OpenMP's threads wait a moment for each other, and then sleep. By default they spin
# on, for nothing where something else uses the cores (measured in
# nbs/benchmarks/local_generation.ipynb). Read when PyTorch is loaded; a policy that is
# set already stays, and ARGEN_TUNING=off leaves it to PyTorch.
if os.environ.get("ARGEN_TUNING") != "off" and "OMP_WAIT_POLICY" not in os.environ:
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")

# A name is imported when it is first used, from where `__init__.pyi` says
_attribute, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name):
    "A name that argen offers, or one of its modules"
    if name in __all__:
        return _attribute(name)
    module = f"{__name__}.{name}"
    if name.startswith("_") or find_spec(module) is None:
        raise AttributeError(f"argen offers no {name!r}")
    return import_module(module)
