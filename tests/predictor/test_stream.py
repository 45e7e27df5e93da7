"""Batches of answers: who is known to be what, which images are passed over, and how much memory it takes."""

import io
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid
from stub_predictor import stub, write_images

from nevus.data import images
from nevus.data.cases import Case
from nevus.data.dicom_metadata import dicom_metadata
from nevus.predictor import stream
from nevus.predictor.answer import Answer
from nevus.predictor.stream import Unreadable, predict_stream

# pydicom itself warns of the faults that these tests plant.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def dicom(**tags: str) -> bytes:
    """A DICOM file with a noisy picture and these elements."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    pixels = np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.PixelData = pixels.tobytes()
    for name, value in tags.items():
        setattr(dataset, name, value)
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (
            {"PatientAge": "045Y", "PatientSex": "M", "BodyPartExamined": "CHEST"},
            {"age_years": 45.0, "sex": "male", "site": "torso"},
        ),
        (
            {"PatientAge": "018M", "PatientSex": "F", "BodyPartExamined": "HAND"},
            {"age_years": 1.5, "sex": "female", "site": "upper extremity"},
        ),
        ({"PatientAge": "052W"}, {"age_years": 1.0}),
        ({"PatientAge": "000D"}, {"age_years": 0.0}),
        ({"PatientAge": "130Y", "PatientSex": "O", "BodyPartExamined": "SKIN"}, {}),
        ({"PatientAge": "45", "PatientSex": "", "BodyPartExamined": ""}, {}),
        ({}, {}),
    ],
)
def test_a_dicom_file_says_what_can_be_said_without_guessing(tags: dict[str, str], expected: dict[str, float | str]) -> None:
    assert dicom_metadata(dicom(**tags)) == expected


def test_a_dicom_files_words_are_used_where_nothing_else_is_known_and_it_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(dicom(PatientAge="045Y", PatientSex="M", BodyPartExamined="CHEST"))
    predictor = stub()
    ((alone, given),) = predict_stream(predictor, [Case(path), Case(path, age_years=0.0, sex="female")])
    assert predictor.asked == [{"age_years": [45.0, 0.0], "sex": ["male", "female"], "site": ["torso", "torso"]}]
    assert isinstance(alone, Answer)
    assert isinstance(given, Answer)
    assert alone.metadata_from_file == {"age_years": 45.0, "sex": "male", "site": "torso"}
    assert given.metadata_from_file == {"site": "torso"}


def test_answers_come_in_order_with_the_unreadable_ones_in_their_places(tmp_path: Path) -> None:
    cases = write_images(tmp_path, 10)
    cases[4].image.write_text("no image")
    cases[5].image.unlink()
    cases.append(Case(Path("-"), content=cases[0].image.read_bytes()))
    batches = list(predict_stream(stub(), cases, batch_size=4))
    assert [len(batch) for batch in batches] == [4, 4, 3]
    found = [item for batch in batches for item in batch]
    assert [item.image for item in found] == [str(case.image) for case in cases]
    assert [index for index, item in enumerate(found) if isinstance(item, Unreadable)] == [4, 5]
    assert isinstance(found[-1], Answer)
    later = [item for batch in predict_stream(stub(), cases, start=8, batch_size=4) for item in batch]
    assert later == found[8:]
    assert list(predict_stream(stub(), [])) == []


def test_no_more_than_two_batches_are_in_memory_however_many_images_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def counted(content: bytes, name: str, short_side: int) -> images.Pixels:
        read.append(name)
        return images.decode_reduced(content, name, short_side)

    monkeypatch.setattr(stream, "decode_reduced", counted)
    cases = write_images(tmp_path, 40)
    for number, _ in enumerate(predict_stream(stub(), cases, batch_size=4), start=1):
        assert len(read) <= 4 * (number + 1)
    assert len(read) == 40


@pytest.mark.parametrize("num_workers", [2, 5])
def test_however_many_answer_at_once_the_answers_are_the_same_to_the_last_digit(tmp_path: Path, num_workers: int) -> None:
    cases = write_images(tmp_path, 75)
    cases[11].image.write_bytes(b"no image")
    crowd = stub()
    crowd.num_workers = num_workers
    one, many = ([list(batch) for batch in predict_stream(each, cases)] for each in (stub(), crowd))
    assert many == one
    assert [len(batch) for batch in many] == [32, 32, 11]
    # One that goes on from a later batch says of it what it would have said.
    assert [list(batch) for batch in predict_stream(crowd, cases, start=32)] == one[1:]


def test_what_goes_wrong_in_one_of_many_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crowd = stub()
    crowd.num_workers = 3

    def broken(*args: object, **rest: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(crowd, "outputs", broken)
    with pytest.raises(ZeroDivisionError):
        list(predict_stream(crowd, write_images(tmp_path, 40)))
