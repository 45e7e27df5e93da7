"""What is known of an image goes into the predictions, so that figures can be had by group from them alone."""

import pandas as pd

from nevus.evaluation.cross_validate import answers


def test_predictions_keep_source_and_skin_type_where_the_manifest_has_them() -> None:
    known = {"image_id": ["a", "b"], "group_id": "g", "dataset": "d", "lesion_id": "", "patient_id": "", "age_years": 50.0}
    frame = pd.DataFrame({**known, "sex": "male", "site": "torso", "attribution": ["A clinic", "Another"]})
    kept = answers(frame, 0, "test", "strict", ["mel", "nv"], {"mel": [0.5, 0.25]})
    assert kept["attribution"].tolist() == ["A clinic", "Another"]
    assert "skin_type" not in kept
    kept = answers(frame.assign(skin_type=["II", ""]), 0, "test", "strict", ["mel", "nv"], {"mel": [0.5, 0.25]})
    assert kept["skin_type"].tolist() == ["II", ""]
