"""Every source from a stand-in server to a manifest: what is fetched, found, left out and written down."""

import csv
import hashlib
import json
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from published import HAM, META_2019, NUM_IMAGES, PHOTOS, SOURCES, TRUTH_2019, image_requests, isic
from stand_in import StandIn, archive

from nevus.cli import create_app
from nevus.data.download import Downloaded, Patience, Plan, choose, describe, download
from nevus.data.manifest import Manifest
from nevus.errors import DataError, NotAvailableError

Get = Callable[..., Downloaded]


def prepare(done: Downloaded) -> Manifest:
    """Run the command that the download prints."""
    program, *words = shlex.split(done.next_command)
    assert program == "nevus"
    create_app()(words, standalone_mode=False)
    return Manifest.read(done.out / "manifest.csv")


@pytest.mark.slow
@pytest.mark.parametrize("name", SOURCES)
def test_the_next_command_makes_a_manifest_of_what_came(get: Get, name: str) -> None:
    done = get(name)
    assert (done.num_images, done.num_found, done.num_fetched) == (NUM_IMAGES[name], 0, NUM_IMAGES[name])
    frame = prepare(done).frame
    assert len(frame) == NUM_IMAGES[name]
    assert set(frame["license"]) <= {"CC-BY-NC-4.0", "CC-BY", "CC-BY-NC", "CC-0"}
    assert (frame["attribution"] != "").all()
    assert ((frame["diagnosis"] != "") | (frame["target"] >= 0)).all()


@pytest.mark.parametrize("name", SOURCES)
def test_a_second_run_fetches_and_unpacks_nothing(get: Get, server: StandIn, name: str) -> None:
    first = get(name)
    times = {path: path.stat().st_mtime_ns for path in (first.out / "images").iterdir()}
    server.requests.clear()
    again = get(name)
    assert (again.num_images, again.num_found, again.num_fetched, again.num_bytes) == (NUM_IMAGES[name],) * 2 + (0, 0)
    assert image_requests(server) == []
    assert times == {path: path.stat().st_mtime_ns for path in (first.out / "images").iterdir()}
    assert again.next_command == first.next_command


@pytest.mark.parametrize("name", SOURCES)
def test_the_record_and_the_checksums_hold(get: Get, name: str) -> None:
    done = get(name)
    record = json.loads(done.record.read_text())
    assert record["citation"] == choose(name).citation
    assert record["num_images"] == NUM_IMAGES[name] == sum(record["licenses"].values())
    assert record["date"].startswith("20")
    check = subprocess.run(
        ["sha256sum", "--check", "--strict", done.checksums.name], cwd=done.out, capture_output=True, text=True
    )
    assert check.returncode == 0, check.stdout
    assert check.stdout.count(": OK") >= NUM_IMAGES[name] + 1
    (done.out / "images" / "more.jpg").write_bytes(b"by hand")
    assert not list(done.out.rglob("*.part*"))
    assert not list(done.out.rglob("*.zip"))


def test_ham10000_is_what_the_dataverse_publishes(get: Get) -> None:
    done = get("ham10000")
    assert (done.out / "HAM10000_metadata.csv").read_text() == HAM
    assert (done.out / "images" / "ISIC_0000003.jpg").read_bytes() == PHOTOS["ISIC_0000003"]
    frame = prepare(done).frame.set_index("image_id")
    assert frame.loc["ISIC_0000004", ["diagnosis", "lesion_id", "sex", "site"]].tolist() == ["mel", "HAM_3", "female", "torso"]
    files = {file["name"]: file for file in json.loads(done.record.read_text())["files"]}
    assert files["HAM10000_metadata.csv"]["url"].endswith("?format=original")
    assert files["HAM10000_metadata.csv"]["checksum"] == f"md5:{hashlib.md5(HAM.encode()).hexdigest()}"


def test_pad_ufes_20_is_read_in_the_words_of_the_field(get: Get) -> None:
    frame = prepare(get("pad-ufes-20")).frame.set_index("image_id")
    assert frame["diagnosis"].tolist() == ["bcc", "akiec", "bkl", "nv"]
    assert frame["site"].tolist() == ["head/neck", "upper extremity", "head/neck", "lower extremity"]
    assert frame["sex"].tolist() == ["female", "male", "", ""]
    assert set(frame["license"]) == {"CC-BY"}
    assert frame.loc["PAT_2_20_2", "group_id"] == frame.loc["PAT_2_21_3", "group_id"]


def test_isic2019_has_the_official_labels_and_the_archives_metadata(get: Get) -> None:
    done = get("isic2019")
    frame = prepare(done).frame
    assert set(frame["dataset"]) == {"isic2019"}
    assert set(frame["lesion_id"]) == {f"BCN_{n}" for n in range(1, 8)}
    with (done.out / "metadata.csv").open() as file:
        rows = list(csv.DictReader(file))
    # Column for column as isic-cli writes it.
    assert list(rows[0])[:4] == ["isic_id", "attribution", "copyright_license", "age_approx"]
    assert rows[1]["patient_id"] == ""
    assert len(rows) == 7


@pytest.mark.parametrize(("licenses", "num_images"), [(["cc0", "CC-BY"], 3), (["CC-BY-NC"], 4)])
def test_each_image_counts_by_its_own_licence(get: Get, server: StandIn, licenses: list[str], num_images: int) -> None:
    done = get("isic2019", licenses=licenses)
    assert len(list((done.out / "images").iterdir())) == num_images == done.num_images
    assert sum(done.left_out.values()) == 7 - num_images
    assert not set(done.licenses) & set(done.left_out)
    frame = prepare(done).frame
    assert len(frame) == num_images
    assert set(frame["license"]) == set(done.licenses)
    assert len(image_requests(server)) == num_images


def test_a_source_with_one_licence_is_taken_or_refused_whole(get: Get, server: StandIn) -> None:
    for name, licenses, reason in (
        ("ham10000", ["CC-0", "CC-BY"], "--license CC-0, CC-BY: ham10000 has no such image; all of it is CC-BY-NC"),
        ("pad-ufes-20", ["CC-BY-NC"], "all of it is CC-BY"),
        ("isic2024", ["CC-0"], "its images are CC-BY or CC-BY-NC"),
        ("isic2019", ["MIT"], "--license MIT: expected some of CC-0, CC-BY, CC-BY-NC"),
    ):
        with pytest.raises(DataError, match=reason):
            get(name, licenses=licenses)
        assert server.requests == []
        server.contents.clear()
    assert get("ham10000", licenses=["CC-BY-NC", "CC-BY"]).num_images == 4


def test_nothing_under_the_licence_asked_for_says_what_there_is(get: Get, server: StandIn) -> None:
    archive(server, "65", [{"isic_id": "ISIC_0000001", "content": b"x", "copyright_license": "CC-BY-NC"}])
    with pytest.raises(DataError, match=r"no image is left; the archive's collection 65 has CC-BY-NC 1\."):
        get("isic2019", licenses=["CC-0"])


def test_isic2024_comes_in_two_releases_and_each_row_counts_by_its_own_licence(get: Get, tmp_path: Path) -> None:
    whole = get("isic2024", out=tmp_path / "all")
    assert whole.licenses == {"CC-BY": 3, "CC-BY-NC": 1}
    assert len(prepare(whole).frame) == 4
    done = get("isic2024", licenses=["CC-BY"])
    assert (done.num_images, done.licenses, done.left_out) == (3, {"CC-BY": 3}, {})
    other = get("isic2024", licenses=["CC-BY-NC"], out=tmp_path / "all")
    assert (other.licenses, other.left_out) == ({"CC-BY-NC": 1}, {"CC-BY": 3})
    assert set(prepare(other).frame["license"]) == {"CC-BY-NC"}


@pytest.mark.parametrize("name", SOURCES)
def test_images_on_disk_are_found(get: Get, server: StandIn, tmp_path: Path, name: str) -> None:
    mine = get(name, out=tmp_path / "mine")
    images = sorted((mine.out / "images").iterdir())
    other = tmp_path / "other" / "deep"
    other.mkdir(parents=True)
    for image in images:
        image.rename(other / image.name)
    server.requests.clear()
    done = get(name, have=[tmp_path / "other"])
    assert (done.num_images, done.num_found, done.num_fetched) == (NUM_IMAGES[name], NUM_IMAGES[name], 0)
    # ISIC-2024's patients are in a table inside its archive of images, which is needed for that.
    assert image_requests(server) == (["/challenges/2024/ISIC_2024_Training_Input.zip"] if name == "isic2024" else [])
    assert f"--images {tmp_path / 'other'}" in done.next_command
    if name == "isic2024":
        assert len(prepare(done).frame) == NUM_IMAGES[name]


def test_only_what_is_missing_is_fetched(get: Get, server: StandIn, tmp_path: Path) -> None:
    have = tmp_path / "have"
    have.mkdir()
    (have / "ISIC_0000001_downsampled.jpg").write_bytes(PHOTOS["ISIC_0000001"])
    (have / "ISIC_0000002.jpg").write_bytes(b"another size")
    (have / "ISIC_0000003.jpg").write_bytes(b"")
    done = get("isic2019", have=[have])
    assert (done.num_found, done.num_fetched) == (1, 6)
    assert "/files/ISIC_0000001.jpg" not in image_requests(server)
    (have / "ISIC_0000002.jpg").unlink()
    (have / "ISIC_0000003.jpg").unlink()
    assert len(prepare(get("isic2019", have=[have])).frame) == 7


def test_an_image_of_the_wrong_size_is_fetched_again(get: Get) -> None:
    done = get("isic2019")
    image = done.out / "images" / "ISIC_0000005.jpg"
    image.write_bytes(b"cut off")
    again = get("isic2019")
    assert (again.num_found, again.num_fetched) == (6, 1)
    assert image.read_bytes() == PHOTOS["ISIC_0000005"]


def test_part_of_an_archive_on_disk_is_left_out_of_unpacking(get: Get, tmp_path: Path) -> None:
    have = tmp_path / "have"
    have.mkdir()
    (have / "ISIC_0000001.jpg").write_bytes(b"my copy")
    (have / "ISIC_0000002.jpg").write_bytes(b"")
    done = get("ham10000", have=[have])
    assert (done.num_found, done.num_fetched, done.num_images) == (1, 3, 4)
    assert not (done.out / "images" / "ISIC_0000001.jpg").exists()
    assert (done.out / "images" / "ISIC_0000002.jpg").read_bytes() == PHOTOS["ISIC_0000002"]
    (have / "ISIC_0000002.jpg").unlink()
    assert len(prepare(done).frame) == 4
    # Without that folder, the archive that was unpacked without it is needed again.
    assert get("ham10000").num_fetched == 2
    assert (done.out / "images" / "ISIC_0000001.jpg").read_bytes() == PHOTOS["ISIC_0000001"]


def test_folders_inside_each_other_are_searched_once(get: Get, tmp_path: Path) -> None:
    deep = tmp_path / "have" / "deep"
    deep.mkdir(parents=True)
    (deep / "ISIC_0000001.jpg").write_bytes(PHOTOS["ISIC_0000001"])
    (deep.parent / "ISIC_0000002.jpg").write_bytes(PHOTOS["ISIC_0000002"])
    done = get("isic2019", have=[deep, deep.parent])
    assert done.num_found == 2
    assert len(prepare(done).frame) == 7


def test_a_few_images_for_a_try(get: Get, server: StandIn) -> None:
    done = get("isic2020", max_images=2)
    assert done.num_images == 2
    assert len(prepare(done).frame) == 2
    assert len([path for _, path, _ in server.requests if path.endswith("search/")]) == 1
    with pytest.raises(DataError, match=r"--max-images 2: .*isic2018, isic2019, isic2020"):
        get("ham10000", max_images=2)


def test_size_licence_and_citation_come_first(get: Get, server: StandIn, tmp_path: Path, patience: Patience) -> None:
    plans: list[Plan] = []

    def confirm(plan: Plan) -> bool:
        plans.append(plan)
        return False

    isic(2019)(server)
    endpoints: Any = {"isic": f"{server.url}api/v2/", "challenge": f"{server.url}challenges/"}
    out = tmp_path / "out"
    assert download("isic2019", out, endpoints=endpoints, patience=patience, confirm=confirm, licenses=["CC-BY-NC"]) is None
    (plan,) = plans
    assert image_requests(server) == []
    assert plan.num_bytes == sum(len(PHOTOS[f"ISIC_000000{n}"]) for n in (3, 4, 6, 7))
    assert plan.licenses == {"CC-BY-NC": 4}
    assert plan.left_out == {"CC-0": 2, "CC-BY": 1}
    for said in ("25,331 images, about 9.1 GB", "arXiv:1710.05006", "CC-BY-NC 4", "CC-0 2", "to fetch: 4 files", "free on disk"):
        assert said in plan.text()


def test_progress_ends_with_all(get: Get) -> None:
    seen: list[tuple[int, int, int]] = []
    done = get("isic2019", progress=lambda *numbers: seen.append(numbers))
    assert seen[-1][:2] == (9, 9)  # seven images and two tables
    assert seen[-1][2] == done.num_bytes == sum(map(len, PHOTOS.values())) + len(TRUTH_2019) + len(META_2019)
    assert seen == sorted(seen)


def test_derm7pt_says_what_to_do(get: Get) -> None:
    with pytest.raises(
        NotAvailableError, match=r"(?s)derm7pt cannot be fetched by a program.*1\. Open https://derm\.cs\.sfu\.ca"
    ):
        download("derm7pt", "nowhere")
    assert not Path("nowhere").exists()
    with pytest.raises(DataError, match=r"no such source. Choose one of ham10000"):
        download("imagenet", "nowhere")


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_is_described(name: str) -> None:
    text = describe(choose(name))
    for said in ("images, about", "licence: CC-BY", "from: https://", "cite: "):
        assert said in text


def test_folders_that_are_not_there(get: Get, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--images .*nowhere: not a folder"):
        get("isic2019", have=[tmp_path / "nowhere"])
