"""The sources as they are published, a few images each, on the stand-in server."""

import csv
import io
import zipfile
from collections.abc import Callable

from PIL import Image
from stand_in import StandIn, archive, dataverse, mendeley

HAM = """lesion_id,image_id,dx,dx_type,age,sex,localization,dataset
HAM_1,ISIC_0000001,bkl,histo,80.0,male,scalp,vidir_modern
HAM_1,ISIC_0000002,bkl,histo,80.0,male,scalp,vidir_modern
HAM_2,ISIC_0000003,nv,follow_up,,unknown,unknown,rosendahl
HAM_3,ISIC_0000004,mel,consensus,0.0,female,back,rosendahl
"""
PAD = """patient_id,lesion_id,img_id,smoke,age,gender,region,diagnostic,biopsed
PAT_1,10,PAT_1_10_1.png,,55,FEMALE,NECK,BCC,True
PAT_2,20,PAT_2_20_2.png,,61,MALE,FOREARM,ACK,False
PAT_2,21,PAT_2_21_3.png,,61,,LIP,SEK,False
PAT_3,30,PAT_3_30_4.png,,,,THIGH,NEV,False
"""
TRUTH_2018 = "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC\n" + "".join(f"ISIC_000000{n},0,1,0,0,0,0,0\n" for n in range(1, 8))
LESIONS_2018 = "image,lesion_id,diagnosis_confirm_type\n" + "".join(f"ISIC_000000{n},HAM_{n},histo\n" for n in range(1, 8))
TRUTH_2019 = TRUTH_2018.replace("ISIC_0000001,", "ISIC_0000001_downsampled,")
META_2019 = "image,age_approx,anatom_site_general,lesion_id,sex\n" + "".join(
    f"ISIC_000000{n}{'_downsampled' if n == 1 else ''},50,anterior torso,BCN_{n},male\n" for n in range(1, 8)
)
TRUTH_2020 = (
    "image_name,patient_id,lesion_id,sex,age_approx,anatom_site_general_challenge,diagnosis,benign_malignant,target\n"
    + "".join(f"ISIC_000000{n},IP_{n},IL_{n},male,45,torso,nevus,benign,0\n" for n in range(1, 8))
)
META_2024 = "isic_id,patient_id,age_approx,sex,anatom_site_general,attribution,copyright_license,target\n" + "".join(
    f"ISIC_000000{n},IP_{n},60,male,lower extremity,MSK,{'CC-BY-NC' if n == 1 else 'CC-BY'},0\n" for n in range(1, 5)
)
SUPPLEMENT_2024 = "isic_id,iddx_full,iddx_1,iddx_2\n" + "".join(f"ISIC_000000{n},Benign,Benign,\n" for n in range(1, 5))
TRUTH_2024 = "isic_id,malignant\n" + "".join(f"ISIC_000000{n},0.0\n" for n in range(1, 5))
CHALLENGE = "/challenges/"


def photo(seed: int, kind: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((60, 45), 40 + seed).convert("RGB").save(buffer, kind)
    return buffer.getvalue()


PHOTOS = {f"ISIC_000000{n}": photo(n) for n in range(1, 8)}
LICENSES = ["CC-0", "CC-BY", "CC-BY-NC", "CC-BY-NC", "CC-0", "CC-BY-NC", "CC-BY-NC"]


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


def ham10000(server: StandIn) -> None:
    parts = [
        zipped({f"{name}.jpg": PHOTOS[name] for name in names})
        for names in (["ISIC_0000001", "ISIC_0000002"], ["ISIC_0000003", "ISIC_0000004"])
    ]
    files = {
        "HAM10000_images_part_1.zip": parts[0],
        "HAM10000_images_part_2.zip": parts[1],
        "HAM10000_metadata.tab": HAM.replace(",", "\t").encode() + b"as tabs",
        "HAM10000_segmentations_lesion_tschandl.zip": b"not asked for",
    }
    dataverse(server, files, originals={"HAM10000_metadata.tab": HAM.encode()})


def pad_ufes_20(server: StandIn) -> None:
    names = [row["img_id"] for row in csv.DictReader(io.StringIO(PAD))]
    files = {f"imgs_part_{n}.zip": zipped({f"imgs_part_{n}/{name}": photo(n, "PNG")}) for n, name in enumerate(names, 1)}
    mendeley(server, {**files, "metadata.csv": PAD.encode()})


def isic(year: int) -> Callable[[StandIn], None]:
    collection = {2018: "66", 2019: "65", 2020: "70"}[year]
    tables = {
        2018: {
            "2018/ISIC2018_Task3_Training_GroundTruth.zip": zipped(
                {"ISIC2018_Task3_Training_GroundTruth/ISIC2018_Task3_Training_GroundTruth.csv": TRUTH_2018.encode()}
            ),
            "2018/ISIC2018_Task3_Training_LesionGroupings.csv": LESIONS_2018.encode(),
        },
        2019: {
            "2019/ISIC_2019_Training_GroundTruth.csv": TRUTH_2019.encode(),
            "2019/ISIC_2019_Training_Metadata.csv": META_2019.encode(),
        },
        2020: {"2020/ISIC_2020_Training_GroundTruth_v2.csv": TRUTH_2020.encode()},
    }[year]

    def serve(server: StandIn) -> None:
        images = [
            {
                "isic_id": name,
                "content": content,
                "copyright_license": license_name,
                "age_approx": 60,
                "sex": "female",
                "anatom_site_1": "Trunk",
                "diagnosis_1": "Benign",
                "diagnosis_2": "Benign melanocytic proliferations",
                "diagnosis_3": "Nevus",
                "lesion_id": f"IL_{name}",
                "patient_id": None if name.endswith("2") else f"IP_{name}",
            }
            for (name, content), license_name in zip(PHOTOS.items(), LICENSES, strict=True)
        ]
        archive(server, collection, images)
        server.contents |= {CHALLENGE + name: content for name, content in tables.items()}

    return serve


def isic2024(server: StandIn) -> None:
    for release, first in (("ISIC_2024_Training", 1), ("ISIC_2024_Permissive_Training", 2)):
        members = {f"{release}_Input/ISIC_000000{n}.jpg": PHOTOS[f"ISIC_000000{n}"] for n in range(first, 5)}
        lines = {
            name: text.splitlines(True) for name, text in (("meta", META_2024), ("more", SUPPLEMENT_2024), ("y", TRUTH_2024))
        }
        tables = {name: "".join([rows[0], *rows[first:]]).encode() for name, rows in lines.items()}
        members |= {f"{release}_Input/metadata.csv": tables["meta"], f"{release}_Input/attribution.txt": b"MSK"}
        server.contents[f"{CHALLENGE}2024/{release}_Input.zip"] = zipped(members)
        server.contents[f"{CHALLENGE}2024/{release}_Supplement.csv"] = tables["more"]
        server.contents[f"{CHALLENGE}2024/{release}_GroundTruth.csv"] = tables["y"]


SOURCES = {
    "ham10000": ham10000,
    "isic2018": isic(2018),
    "isic2019": isic(2019),
    "isic2020": isic(2020),
    "isic2024": isic2024,
    "pad-ufes-20": pad_ufes_20,
}
NUM_IMAGES = {"ham10000": 4, "isic2018": 7, "isic2019": 7, "isic2020": 7, "isic2024": 4, "pad-ufes-20": 4}


def image_requests(server: StandIn) -> list[str]:
    """The images and archives of images that were asked for, as often as they were."""
    asked = [path for method, path, _ in server.requests if method == "GET"]
    return sorted(path for path in asked if path.endswith((".jpg", "Input.zip")) or path in _ARCHIVES)


_ARCHIVES = (
    "/store/100",
    "/store/101",
    *(f"/public-files/datasets/zr7vgbcyr2/files/imgs_part_{n}.zip/file_downloaded" for n in range(1, 5)),
)
