"""What the card says beside its tables."""

import pytest

from nevus.training.card import _belonging


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ({"mel": 1 / 3, "nv": 1 / 3, "bkl": 1 / 3}, "every class is equally common, which is so in no clinic;\n"),
        ({"mel": 0.111, "nv": 0.889}, "of which 11.1% are mel, 88.9% are nv;\n"),
    ],
)
def test_the_probabilities_belong_to_a_class_mix_that_is_named(shares: dict[str, float], said: str) -> None:
    text = _belonging(shares)
    assert said in text
    assert text.endswith("`nevus predict --prevalence` moves them to the shares that you name.")
