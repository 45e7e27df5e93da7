"""Tables are read as text by Arrow where they are plain, by pandas where they are not, to the same cells or to an error."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nevus.data.tables import _read_csv, _read_plain_csv, number_values, read_table, sort_order
from nevus.errors import DataError


@pytest.mark.slow
@given(rows=st.lists(st.lists(st.text('ab",;\n é-', max_size=6), min_size=2, max_size=2), min_size=1, max_size=6))
def test_any_cells_that_were_written_are_read_by_both_readers(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    path = tmp_path_factory.mktemp("tables") / "a.csv"
    pd.DataFrame(rows, columns=["x", "y"]).to_csv(path, index=False)
    assert read_table(path).to_numpy().tolist() == rows
    assert _read_csv(path, 0).to_numpy().tolist() == rows


@given(text=st.text('ab",\n é', max_size=24))
def test_what_pandas_refuses_is_refused_however_plain_it_looks(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("tables") / "a.csv"
    path.write_text("x,y\n" + text)
    quick = _read_plain_csv(path, 0)
    if quick is not None:
        assert quick.to_numpy().tolist() == _read_csv(path, 0).to_numpy().tolist()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('x,y\na,b\nc,"d\ne,f\n', "not a table: .*EOF inside string"),
        ("x,y\na,b\nc\nd,e\n", r"(?s)fewer cells than the 2 .*row 3: 1.*empty cell"),
        ("x,y\na,b,c\n", "more cells than its header"),
        ("x,y\na,b\nc,d,e\n", "not a table"),
    ],
)
def test_rows_of_unequal_length_and_open_quotes_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_table(tmp_path / "a.csv")


def test_a_packed_table_is_refused_and_called_no_text(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv.gz"
    path.write_bytes(gzip.compress(b"image_id,target\na,mel\n"))
    with pytest.raises(DataError, match=r"predictions\.csv\.gz: not UTF-8 text"):
        read_table(path)


def test_plain_tables_are_read_by_the_quick_reader(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes('# a line to pass over\r\n x ,y\r\n1.0,"a, ""b"""\r\n,NA\r\n'.encode("utf-8-sig"))
    for frame in (_read_plain_csv(path, 1), read_table(path, skip_lines=1)):
        assert frame is not None
        assert list(frame) == ["x", "y"]
        assert frame.to_numpy().tolist() == [["1.0", 'a, "b"'], ["", "NA"]]


def test_parquet_cells_become_the_text_that_python_writes(tmp_path: Path) -> None:
    columns = {
        "text": ["a", None, ""],
        "whole": pd.array([1, None, -3], "Int64"),
        "part": [61.0, float("nan"), 0.1],
        "kind": pd.Categorical(["x", None, "x"]),
        "yes": [True, False, None],
    }
    pd.DataFrame(columns).to_parquet(tmp_path / "a.parquet")
    frame = read_table(tmp_path / "a.parquet")
    expected = [["a", "1", "61.0", "x", "True"], ["", "", "", "", "False"], ["", "-3", "0.1", "x", ""]]
    assert frame.to_numpy().tolist() == expected


@pytest.mark.slow
@given(st.lists(st.text(max_size=3)))
def test_order_is_pythons_and_numbers_stand_for_texts(texts: list[str]) -> None:
    texts = [text.encode("utf-8", "ignore").decode() for text in texts]
    column = pd.Series(texts, dtype=str)
    assert [texts[place] for place in sort_order(column)] == sorted(texts)
    codes, values = number_values(column)
    assert [values[code] for code in codes] == texts
    assert len(np.unique(codes)) == len(set(texts))
