"""What `import argen` offers, and where it comes from

Read by editors, and by `__init__.py`, which loads a module when the first of its names
is used. There is no `py.typed`: methods that notebooks add with `@patch` are there, but
type checkers don't see them.
"""

__version__: str

from .assurance.bundles import open_bundle as open_bundle
from .assurance.rego import check_rego as check_rego
from .assurance.reproducing import reproduce as reproduce
from .auditing.audits import audit as audit
from .comparison.comparing import Comparison as Comparison
from .comparison.comparing import compare as compare
from .comparison.launch import compare_models as compare_models
from .errors import InputError as InputError
from .evaluation.results import (
    Evaluation as Evaluation,
)
from .evaluation.results import (
    read_evaluation as read_evaluation,
)
from .evaluation.run import evaluate as evaluate
from .judge.judges import make_judge as make_judge
from .labeling.presses import label as label
from .policy import PUBLISHED as PUBLISHED
from .policy import Policy as Policy
from .policy import score as score
from .policy_files import read_policy as read_policy
from .progress import Bars as Bars
from .progress import ProgressBars as ProgressBars
from .publishing.export import export_model as export_model
from .records import (
    Response as Response,
)
from .records import (
    Scenario as Scenario,
)
from .records import (
    Scores as Scores,
)
from .records import (
    Verdict as Verdict,
)
from .records import (
    read_scenarios as read_scenarios,
)
from .rubrics.importing import healthbench as healthbench
from .scenarios.generation import generate as generate
from .scenarios.processing import process as process
from .talking.talk import chat as chat
from .training.grpo import train as train
