import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nevus.data.metadata import MetadataEncoder
from nevus.data.taxonomy import SEXES, SITES
from nevus.errors import DataError

ages = st.one_of(st.none(), st.just(float("nan")), st.floats(0, 120))
rows = st.lists(st.tuples(ages, st.sampled_from(["", *SEXES]), st.sampled_from(["", *SITES])), min_size=1, max_size=8)


def columns(given_rows: list[tuple[float | None, str, str]]) -> dict[str, list[object]]:
    return {name: list(values) for name, values in zip(("age_years", "sex", "site"), zip(*given_rows, strict=True), strict=True)}


def test_a_row_by_hand() -> None:
    encoder = MetadataEncoder.fit({"age_years": [30.0, 50.0, np.nan]})
    assert (encoder.age_mean, encoder.age_sd) == (40.0, 10.0)
    vector, missing = encoder.encode({"age_years": [60.0, None], "sex": ["male", ""], "site": ["torso", "unheard of"]}, 2)
    assert vector.tolist() == [[2, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0], [0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1]]
    assert missing.tolist() == [[False, False, False], [True, True, True]]
    assert len(encoder.feature_names) == encoder.num_features == 12


@given(rows, st.integers(0, 1000))
def test_dropping_a_field_is_encoding_it_missing(given_rows: list[tuple[float | None, str, str]], seed: int) -> None:
    encoder = MetadataEncoder(("age", "sex", "site"), 50.0, 12.0)
    vector, missing = encoder.encode(columns(given_rows), len(given_rows))
    hidden = np.random.default_rng(seed).random((len(given_rows), 3)) < 0.5
    emptied = [
        (None if h[0] else a, "" if h[1] else s, "" if h[2] else p) for (a, s, p), h in zip(given_rows, hidden, strict=True)
    ]
    expected, _ = encoder.encode(columns(emptied), len(given_rows))
    assert (encoder.drop(vector, missing | hidden) == expected).all()


@given(st.floats(0, 120), st.floats(0.1, 60))
def test_json_gives_an_equal_encoder(mean: float, sd: float) -> None:
    encoder = MetadataEncoder(("age", "site"), mean, sd)
    assert MetadataEncoder.from_json(json.dumps(encoder.to_json())) == encoder
    assert MetadataEncoder.from_json(encoder.to_json()) == encoder


def test_unseen_values_are_missing_with_one_warning_that_counts_them(caplog: pytest.LogCaptureFixture) -> None:
    encoder = MetadataEncoder(("site",))
    _, missing = encoder.encode({"site": ["tail", "torso", "tail", "wing"]}, 4)
    assert missing[:, 0].tolist() == [True, False, True, True]
    assert len(caplog.records) == 1
    assert "'tail' in 2, 'wing' in 1" in caplog.text


def test_absent_columns_and_no_fields() -> None:
    vector, missing = MetadataEncoder(("age", "sex")).encode({}, 2)
    assert missing.all()
    assert vector.tolist() == [[0, 1, 0, 0, 1]] * 2
    vector, missing = MetadataEncoder(()).encode({}, 2)
    assert vector.shape == missing.shape == (2, 0)


def test_a_field_without_values_and_one_that_does_not_exist() -> None:
    assert MetadataEncoder.fit({"age_years": [np.nan]}).age_sd == 1.0
    assert MetadataEncoder.fit({"age_years": [40.0, 40.0]}).age_sd == 1.0
    with pytest.raises(DataError, match="no such metadata field: dx_type"):
        MetadataEncoder.fit({}, ["age", "dx_type"])


def test_other_categories_are_refused() -> None:
    document = MetadataEncoder(("sex",)).to_json()
    document["categories"]["sex"] = ["male", "female"]
    with pytest.raises(DataError, match="other categories"):
        MetadataEncoder.from_json(document)


def test_the_predictor_and_the_command_line_import_neither_torch_nor_pandas() -> None:
    code = (
        "import sys, nevus, nevus.predictor, nevus.cli; "
        "print([m for m in ('torch', 'pandas', 'timm', 'scipy') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"


def test_evaluation_and_report_need_no_more_than_the_base_installation() -> None:
    code = (
        "import sys, nevus.evaluation.evaluate, nevus.evaluation.compare, nevus.evaluation.recalibrate, nevus.reports.page; "
        "print([m for m in ('torch', 'sklearn', 'statsmodels', 'mlflow', 'tensorboard') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"
