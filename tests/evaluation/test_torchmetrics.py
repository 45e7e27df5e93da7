"""All figures that torchmetrics makes too."""

import numpy as np
import pytest
import torch

import nevus.networks.backbones  # noqa: F401  where torchvision's operators cannot load, it names them; torchmetrics needs that
from nevus.evaluation.figures import Judged, overall, per_class, value
from nevus.metrics.classification import decide

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("seed", range(20))
def test_torchmetrics_agrees(seed: int) -> None:
    from torchmetrics.functional import classification as tm

    rng = np.random.default_rng(seed)
    targets = np.concatenate([np.arange(4), rng.integers(0, 4, 80)])
    probabilities = (rng.dirichlet(np.ones(4), len(targets)) + np.eye(4)[targets]) / 2
    rows = Judged(targets, probabilities, decide(probabilities), None, None)
    scores, truth = torch.from_numpy(probabilities), torch.from_numpy(targets)
    found = {name: value(figure, len(truth)) for name, figure in overall(rows).items()}
    expected = {
        "macro_auc": tm.multiclass_auroc(scores, truth, 4, average="macro", thresholds=None),
        "weighted_auc": tm.multiclass_auroc(scores, truth, 4, average="weighted", thresholds=None),
        "macro_average_precision": tm.multiclass_average_precision(scores, truth, 4, average="macro", thresholds=None),
        "balanced_accuracy": tm.multiclass_accuracy(scores, truth, 4, average="macro"),
        "top_2_accuracy": tm.multiclass_accuracy(scores, truth, 4, average="micro", top_k=2),
        "macro_specificity": tm.multiclass_specificity(scores, truth, 4, average="macro"),
        "mcc": tm.multiclass_matthews_corrcoef(scores, truth, 4),
    }
    for name, reference in expected.items():
        assert found[name] == pytest.approx(float(reference), abs=1e-5), name
    for index in range(4):
        alone = {name: value(figure, len(truth)) for name, figure in per_class(rows, index).items()}
        of_class, answers = scores[:, index], (truth == index).long()
        assert alone["auc"] == pytest.approx(float(tm.binary_auroc(of_class, answers)), abs=1e-5)
        assert alone["average_precision"] == pytest.approx(float(tm.binary_average_precision(of_class, answers)), abs=1e-5)
