"""No gap that is more than chance, and too few resamples to tell, are different sentences."""

import pytest

from nevus.reports.subgroups import _words


@pytest.mark.parametrize(
    ("least", "said"), [(0.03, "is more than chance (Holm), which does not show"), (0.06, "Too few resamples")]
)
def test_what_resamples_cannot_tell_is_not_called_chance(least: float, said: str) -> None:
    [sentence] = _words({"fields": [], "worst": {}, "num_gaps": 30, "least_p_holm": least})
    assert said in sentence
