"""Pure functions of the outputs of some rows, each with an interval. The one table of names is `METRICS`. No torch.

Source: see each file; where scikit-learn defines a metric, its definition is the reference and the tests compare.
"""

from thuja.metrics import (
    classification,
    control,
    detection,
    forecast,
    generation,
    language,
    multilabel,
    probability,
    ranking,
    recommendation,
    regression,
    rejection,
    segmentation,
    several,
    speech,
    translation,
    verification,
)
from thuja.metrics.bootstrap import Estimate as Estimate
from thuja.metrics.bootstrap import Sampling as Sampling
from thuja.metrics.bootstrap import interval as interval
from thuja.metrics.bootstrap import intervals as intervals
from thuja.metrics.bootstrap import paired as paired
from thuja.metrics.metric import Metric as Metric
from thuja.metrics.metric import Outputs as Outputs

METRICS: dict[str, Metric] = {metric.name: metric for family in (
    classification,
    ranking,
    probability,
    regression,
    forecast,
    rejection,
    speech,
    translation,
    language,
    recommendation,
    several,
    generation,
    multilabel,
    detection,
    verification,
    control,
    segmentation,
) for metric in family.METRICS}
