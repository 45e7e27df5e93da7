"""What a bundle says of where its weights come from, and of how it decides."""

from typing import Any

import pytest

from nevus.bundle.description import description


@pytest.mark.parametrize(
    ("distillation", "said"),
    [
        (
            {"contrast": 0.1, "relation": 1.0, "prediction": 1.0},
            "distilled (CRCKD, its predictions) from weights with SHA-256 eeeeeeeeeeee…",
        ),
        ({"contrast": 0.0, "relation": 0.0, "prediction": 1.0}, "distilled (its predictions) from weights"),
        (
            {"start": True, "contrast": 0.0, "relation": 0.0, "prediction": 0.0},
            "gone on from weights with SHA-256 eeeeeeeeeeee…, trained on",
        ),
        (
            {"start": True, "contrast": 0.0, "relation": 0.0, "prediction": 1.0},
            "the same images; distilled (its predictions) from them",
        ),
    ],
)
def test_a_teacher_is_called_what_it_was(distillation: dict[str, Any], said: str) -> None:
    document = {"teacher_sha256": "e" * 64, "recipe": {"training": {"distillation": distillation}}}
    text = description(document)["Teacher"]
    assert said in text
    assert ("distilled" in text) == any(distillation[name] for name in ("contrast", "relation", "prediction"))


def test_how_it_decides_is_said_where_there_are_several_classes() -> None:
    assert "for its share" in description({"classes": ["a", "b", "c"], "decisions": "balanced"})["Decides"]
    assert "Decides" not in description({"classes": ["a", "b"], "decisions": "balanced"})
    assert "Decides" not in description({"classes": ["a", "b", "c"]}), "one of before there was a choice"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "144 x 144 pixels, of the whole of the photo; one view; metadata age, each optional"),
        ({"central": [0.9], "views": 2}, "144 x 144 pixels, of the central 0.9 of the sides of the photo; 2 views averaged;"),
        (
            {"central": [1.0, 0.8], "views": 4},
            "of the whole and the central 0.8 of the sides of the photo; 4 views of each averaged;",
        ),
        ({"crop": "mask"}, "of the whole of the lesion by its mask, without which this model gives no answer; one view;"),
    ],
)
def test_what_is_looked_at_is_said(settings: dict[str, Any], said: str) -> None:
    preprocessing = {"size": 144, "resolutions": [], "views": 1, **settings}
    assert said in description({"preprocessing": preprocessing, "metadata": {"fields": ["age"]}})["Input"]
