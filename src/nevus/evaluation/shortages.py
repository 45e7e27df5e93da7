"""What the test rows are too few, or too alike, to say."""

import numpy as np

from nevus.evaluation.figures import Judged

FEW = 10


def shortages(judged: Judged, classes: tuple[str, ...], num_groups: int) -> list[str]:
    """A sentence for each: classes without an image, one class alone, classes of fewer than ten images, one group alone.

    >>> judged = Judged(np.array([0, 0, 1]), np.full((3, 2), 0.5), None, None, None)
    >>> shortages(judged, ("benign", "malignant"), 3)[0][:54]
    'Fewer than 10 images of benign (2) and malignant (1): '
    """
    counts = np.bincount(judged.targets, minlength=len(classes))
    present = [name for name, count in zip(classes, counts, strict=True) if count]
    found = []
    if len(present) == 1:
        found.append(
            f"All test images are of one class, {present[0]}: AUC, balanced accuracy and MCC are undefined; "
            "accuracy, Brier score and log-loss say how it answers for this class, and nothing of the others."
        )
    elif absent := [name for name in classes if name not in present]:
        found.append(
            f"No test image of {_listed(absent)}: macro AUC, macro average precision and balanced accuracy are undefined. "
            "Figures of the other classes, accuracy and weighted averages stand; macro F1 counts a class wrongly named as 0."
        )
    if few := [f"{name} ({count})" for name, count in zip(classes, counts, strict=True) if 0 < count < FEW]:
        found.append(
            f"Fewer than {FEW} images of {_listed(few)}: figures that rest on them are shaky, and so are their intervals, where "
            "there are any."
        )
    if num_groups == 1 and len(judged.targets) > 1:
        found.append("All test images are of one group: how figures vary from one patient or lesion to the next is not known.")
    return found


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
