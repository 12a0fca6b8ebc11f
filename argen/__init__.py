"Aligning language models for healthcare with a written policy"
__version__ = "0.1.0"

from .config import Bars, InputError
from .records import Response, Scenario, Scores, Verdict, read_scenarios
from .policy import PUBLISHED, Policy, score
from .judge import make_judge
from .scenarios import generate
from .pipeline import process
from .grpo import train
from .evaluate import Evaluation, evaluate, read_evaluation
from .compare import compare
from .report import Comparison
from .launch import compare_models

__all__ = ['Bars', 'Comparison', 'Evaluation', 'InputError', 'PUBLISHED', 'Policy', 'Response', 'Scenario', 'Scores', 'Verdict', 'compare', 'compare_models',
           'evaluate', 'generate', 'make_judge', 'process', 'read_evaluation', 'read_scenarios', 'score', 'train']

def __dir__(): return __all__
