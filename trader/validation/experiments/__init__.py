"""Statistics of champion against challenger: tests, effect sizes, planning, and verdicts that may be watched."""

from trader.validation.experiments.adjust import Cuped, adjust_p_values, cuped
from trader.validation.experiments.bayes import (
    BayesianComparison,
    NormalPrior,
    StudentPosterior,
    compare_posteriors,
    posterior_of_mean,
)
from trader.validation.experiments.comparison import SequentialComparison, SequentialResult
from trader.validation.experiments.counts import chi_square, sample_ratio_mismatch, sequential_sample_ratio
from trader.validation.experiments.dependence import (
    bartlett_lag,
    bootstrap_test,
    hac_test,
    long_run_variance,
    variance_inflation,
)
from trader.validation.experiments.effects import cliffs_delta, cohens_d
from trader.validation.experiments.means import mann_whitney, paired_differences, paired_t, welch_t
from trader.validation.experiments.mixtures import (
    confidence_sequence,
    mixture_variance,
    msprt_p_values,
    t_mixture_evidence,
    t_mixture_radius,
)
from trader.validation.experiments.moments import StreamingMoments
from trader.validation.experiments.noninferiority import equivalence_test, noninferiority_test
from trader.validation.experiments.plan import ExperimentPlan, suggested_block_length
from trader.validation.experiments.power import (
    autoregressive_inflation,
    power_of,
    sample_size,
    sequential_power,
    sequential_sample_size,
)
from trader.validation.experiments.results import Inference, block_means
from trader.validation.experiments.spending import spending_boundaries, spent_alpha
from trader.validation.experiments.verdict import Judgement, Verdict, judge

__all__ = [
    "BayesianComparison",
    "Cuped",
    "ExperimentPlan",
    "Inference",
    "Judgement",
    "NormalPrior",
    "SequentialComparison",
    "SequentialResult",
    "StreamingMoments",
    "StudentPosterior",
    "Verdict",
    "adjust_p_values",
    "autoregressive_inflation",
    "bartlett_lag",
    "block_means",
    "bootstrap_test",
    "chi_square",
    "cliffs_delta",
    "cohens_d",
    "compare_posteriors",
    "confidence_sequence",
    "cuped",
    "equivalence_test",
    "hac_test",
    "judge",
    "long_run_variance",
    "mann_whitney",
    "mixture_variance",
    "msprt_p_values",
    "noninferiority_test",
    "paired_differences",
    "paired_t",
    "posterior_of_mean",
    "power_of",
    "sample_ratio_mismatch",
    "sample_size",
    "sequential_power",
    "sequential_sample_ratio",
    "sequential_sample_size",
    "spending_boundaries",
    "spent_alpha",
    "suggested_block_length",
    "t_mixture_evidence",
    "t_mixture_radius",
    "variance_inflation",
    "welch_t",
]
