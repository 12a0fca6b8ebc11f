"Aligning language models for healthcare with a written policy"

__version__ = "0.1.0"

import os

# OpenMP's threads wait a moment for each other, and then sleep. By default they spin
# on, for nothing where something else uses the cores (measured in
# nbs/benchmarks/local_generation.ipynb). Read when PyTorch is loaded; a policy that is
# set already stays.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")

from .assurance.bundles import open_bundle
from .assurance.rego import check_rego
from .assurance.reproduce import reproduce
from .auditing.audit import audit
from .comparison.comparing import Comparison, compare
from .comparison.launch import compare_models
from .errors import InputError
from .evaluation.results import Evaluation, read_evaluation
from .evaluation.run import evaluate
from .judge.judges import make_judge
from .labeling.presses import label
from .policy import PUBLISHED, Policy, score
from .policy_files import read_policy
from .progress import ProgressBars
from .publishing.export import export_model
from .records import Response, Scenario, Scores, Verdict, read_scenarios
from .rubrics.importing import healthbench
from .scenarios.generation import generate
from .scenarios.processing import process
from .talking.talk import chat
from .training.grpo import train

Bars = ProgressBars  # Its name in version 0.1

__all__ = [
    "PUBLISHED",
    "Bars",
    "Comparison",
    "Evaluation",
    "InputError",
    "Policy",
    "ProgressBars",
    "Response",
    "Scenario",
    "Scores",
    "Verdict",
    "audit",
    "chat",
    "check_rego",
    "compare",
    "compare_models",
    "evaluate",
    "export_model",
    "generate",
    "healthbench",
    "label",
    "make_judge",
    "open_bundle",
    "process",
    "read_evaluation",
    "read_policy",
    "read_scenarios",
    "reproduce",
    "score",
    "train",
]


def __dir__():
    return __all__
