"""Whether a run's bundle knows images that are unlike those it was trained on: its own test images against others."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nevus.data.images import find_images, load_image
from nevus.data.manifest import Manifest
from nevus.errors import DataError
from nevus.evaluation.evaluate import group_indices
from nevus.evaluation.figures import value
from nevus.evaluation.novelty_baselines import MAX_IMAGES, fit_baselines
from nevus.evaluation.predictions import Predictions
from nevus.evaluation.tested import Document
from nevus.evaluation.tested_run import drawn_rows, image_paths, training_images, whole_image_bundles
from nevus.files import write, write_json
from nevus.metrics.bootstrap import Interval, WeightedFigure
from nevus.metrics.classification import roc_curve
from nevus.metrics.intervals import Auc, Share, intervals
from nevus.metrics.novelty import accepted_others
from nevus.predictor import Outputs, Predictor

_COLUMNS = ("age_years", "sex", "site")
_SIDE = 96
_NUM_POINTS = 200
Scores = Mapping[str, NDArray[np.float64]]
Scorer = Callable[[pd.DataFrame, Sequence[Path]], Scores]


@dataclass(frozen=True)
class _Images:
    """Image files, which of them belong together (N,), and their scores."""

    paths: Sequence[Path]
    groups: NDArray[np.int64]
    scores: Scores

    def counts(self) -> Document:
        return {"num_images": len(self.paths), "num_groups": len(np.unique(self.groups))}


def novelty(
    run: Path | str,
    others: Mapping[str, Path | str],
    *,
    manifest: Path | str | None = None,
    fold: int | None = None,
    num_images: int | None = 500,
    baselines: bool = False,
    num_resamples: int = 2000,
    seed: int = 0,
    provenance: Document | None = None,
) -> Document:
    """Score one fold's own test images and other images with that fold's bundle, and tell them apart.

    One bundle judges all: scores of two bundles are not on one scale.

    Parameters
    ----------
    run
        A run's folder; it receives novelty.json and, in novelty/, small pictures.
    others
        By name a folder of images or a manifest (.csv or .parquet). In a folder each sub-folder holds parts of one photograph,
        which count as one group; every other image is its own. Of a manifest the groups and metadata are taken too.
    manifest
        Where the run's own images are; by default the one the run names.
    fold
        Whose bundle and test images; by default the first.
    num_images
        Of each set, at most about as many, whole groups; None takes all.
    baselines
        Fit `nevus.evaluation.novelty_baselines` too, to at most 2,000 of the fold's training images, and give their figures.
    num_resamples, seed
        Of the bootstrap; the seed also draws the images.

    Raises
    ------
    DataError
        There is no such fold, a place holds no images, or other images are among the run's own.
    BundleError
        The bundle has no scores.

    Examples
    --------
    >>> novelty("runs/zoome", {"cats": "cats"})["others"]["cats"]["scores"]["mahalanobis"]["auroc"]["value"]  # doctest: +SKIP
    0.99
    """
    run = Path(run)
    table = Predictions.read(run / "predictions.csv")
    folds = sorted(int(number) for number in table.test["fold"].unique())
    fold = folds[0] if fold is None else fold
    if fold not in folds:
        raise DataError(f"--fold {fold}: {run} tested folds {', '.join(map(str, folds))}.")
    if not others:
        raise DataError("nothing to tell the run's own images from. Give a folder or a manifest of other images: --images.")
    bundle = whole_image_bundles(run, [fold])[fold]
    predictor = Predictor(bundle)
    test = drawn_rows(table.test[table.test["fold"] == fold], num_images, seed)
    tables = {name: _other_rows(Path(place), table.frame["image_id"], num_images, seed) for name, place in others.items()}
    known = bundle.document["novelty"]
    scorer = _scorer(predictor, training_images(run, manifest, bundle, MAX_IMAGES, seed) if baselines else None, seed)
    own = _scored(scorer, test, image_paths(run, manifest, test), group_indices(test)[0])
    document: Document = {
        "fold": fold,
        **own.counts(),
        "seed": seed,
        **known,
        "own": {
            "refused": {name: _refused_own(own, name, known, num_resamples, seed) for name in known["thresholds"]},
            "examples": _examples(run / "novelty", "own", own, known),
        },
        "others": {},
        "provenance": provenance or {},
    }
    for index, (name, frame) in enumerate(tables.items()):
        places = [Path(path) for path in frame["path"]]
        other = _scored(scorer, frame, places, np.unique(frame["group_id"], return_inverse=True)[1].astype(np.int64))
        document["others"][name] = {
            "source": str(others[name]),
            **other.counts(),
            "scores": {score: _told_apart(own, other, score, known, num_resamples, seed) for score in own.scores},
            "curve": _curve(own.scores[known["decides"]], other.scores[known["decides"]]),
            "examples": _examples(run / "novelty", f"other-{index + 1}", other, known),
        }
    write_json(run / "novelty.json", document)
    return document


def novelty_table(document: Document) -> str:
    """The answers in columns, for people."""
    lines = [f"{document['num_images']} own test images, {document['num_groups']} groups, fold {document['fold']}"]
    for name, other in document["others"].items():
        lines.append(f"{name}: {other['num_images']} images, {other['num_groups']} groups")
        for score, found in other["scores"].items():
            figures = [found["auroc"], found["accepted_at_95"], *found["refused"].values()]
            shown = "  ".join("undefined" if f["value"] is None else f"{f['value']:.3f} {_limits(f)}" for f in figures)
            names = ["AUROC", "accepted at 95% of own", *(f"refused at {float(share):.0%}" for share in found["refused"])]
            lines.append(f"  {score:17} {', '.join(names)}: {shown}")
    return "\n".join(lines)


def _limits(figure: Document) -> str:
    return "" if figure["low"] is None else f"[{figure['low']:.3f}, {figure['high']:.3f}]"


def _other_rows(place: Path, own_ids: "pd.Series[str]", num_images: int | None, seed: int) -> pd.DataFrame:
    """Path, group and known metadata of each image, drawn by whole groups."""
    if place.suffix.lower() in (".csv", ".parquet"):
        manifest = Manifest.read(place)
        frame = manifest.frame.assign(path=[str(path) for path in manifest.paths()])
        if shared := sorted(set(frame["image_id"]) & set(own_ids)):
            raise DataError(f"{place}: {len(shared)} of its images are the run's own, {shared[0]} first. Give others.")
    else:
        paths = find_images([place])
        inside = [path.relative_to(place).parts if path.is_relative_to(place) else (str(path),) for path in paths]
        frame = pd.DataFrame({"path": map(str, paths), "group_id": [parts[0] for parts in inside]})
    if num_images is None or len(frame) <= num_images:
        return frame.reset_index(drop=True)
    sizes = frame.groupby("group_id").size().sample(frac=1, random_state=seed)
    chosen = sizes.index[: int((sizes.cumsum() < num_images).sum()) + 1]
    return frame[frame["group_id"].isin(chosen)].reset_index(drop=True)


def _scorer(predictor: Predictor, training: tuple[Sequence[Path], NDArray[np.int64]] | None, seed: int) -> Scorer:
    """What gives each score of images; with training images and their classes the baselines' as well."""

    def features(outputs: Outputs) -> NDArray[np.float32]:
        return outputs.features[:, predictor.num_texture_features :]

    baselines = training and fit_baselines(features(predictor.predict_outputs(training[0])), training[1], seed)

    def scores(frame: pd.DataFrame, paths: Sequence[Path]) -> Scores:
        metadata = {name: frame[name].to_numpy() for name in _COLUMNS if name in frame}
        outputs = predictor.predict_outputs(paths, metadata)
        return {**predictor.novelty_scores(outputs), **(baselines(features(outputs)) if baselines else {})}

    return scores


def _scored(scorer: Scorer, frame: pd.DataFrame, paths: Sequence[Path], groups: NDArray[np.int64]) -> _Images:
    return _Images(paths, groups, scorer(frame, paths))


def _told_apart(own: _Images, other: _Images, score: str, known: Document, num_resamples: int, seed: int) -> Document:
    scores = np.concatenate([own.scores[score], other.scores[score]])
    others = np.arange(len(scores)) >= len(own.paths)
    groups = np.concatenate([own.groups, other.groups + own.groups.max() + 1])
    limits = known["thresholds"].get(score, {})
    figures: dict[str, WeightedFigure | None] = {
        "auroc": Auc(others, scores),
        "accepted_at_95": accepted_others(others, scores),
        **{share: None if limit is None else Share(scores > limit, others) for share, limit in limits.items()},
    }
    found = _measured(figures, groups, others, num_resamples, seed)
    refused = {share: found.pop(share) for share in limits}
    return {**found, "refused": refused}


def _refused_own(own: _Images, score: str, known: Document, num_resamples: int, seed: int) -> Document:
    everyone, scores = np.ones(len(own.paths), bool), own.scores[score]
    limits = known["thresholds"][score]
    figures: dict[str, WeightedFigure | None] = {
        share: None if limit is None else Share(scores > limit, everyone) for share, limit in limits.items()
    }
    return _measured(figures, own.groups, ~everyone, num_resamples, seed)


def _measured(
    figures: Mapping[str, WeightedFigure | None],
    groups: NDArray[np.int64],
    others: NDArray[np.bool_],
    num_resamples: int,
    seed: int,
) -> Document:
    """Each figure as `{value, low, high, n, method}`; `n` are the images that are told from the own, or all that are ranked."""
    defined = {name: figure for name, figure in figures.items() if figure is not None}
    found = intervals(defined, groups, others.astype(np.int64), num_resamples=num_resamples, seed=seed)
    documents: Document = {}
    for name, figure in figures.items():
        if figure is None:
            reason = "too few validation groups to promise such a threshold"
            documents[name] = {**dict.fromkeys(("value", "low", "high")), "n": 0, "method": "no interval", "reason": reason}
            continue
        limits = found[name]
        if limits.low is not None and limits.low == limits.high:
            # All or none of the images in every resample: the bootstrap cannot tell how sure that is.
            limits = Interval(None, None, "every resample gives the same")
        count = int(others.sum()) if others.any() and not isinstance(figure, Auc) else len(others)
        method = limits.method if limits.low is not None else f"no interval: {limits.reason}"
        documents[name] = {
            "value": value(figure, len(others)),
            "low": limits.low,
            "high": limits.high,
            "n": count,
            "method": method,
        }
    return documents


def _curve(own: NDArray[np.float64], other: NDArray[np.float64]) -> list[list[float]]:
    """Shares refused of the own images and of the others, as the threshold falls."""
    others = np.arange(len(own) + len(other)) >= len(own)
    refused_own, refused_others, _ = roc_curve(others, np.concatenate([own, other]))
    places = np.unique(np.linspace(0, len(refused_own) - 1, _NUM_POINTS).astype(int))
    return [refused_own[places].round(5).tolist(), refused_others[places].round(5).tolist()]


def _examples(folder: Path, name: str, images: _Images, known: Document) -> list[Document]:
    """The three most and the three least like the training images, by the score that decides, as small pictures."""
    scores, accepted = images.scores[known["decides"]], known["accepted"]
    order = np.argsort(scores, kind="stable")
    limit = np.inf if accepted is None else known["thresholds"][known["decides"]][accepted]
    examples = []
    for place, index in enumerate(dict.fromkeys([*order[:3], *order[-3:]])):
        picture = cv2.cvtColor(load_image(images.paths[index], _SIDE), cv2.COLOR_RGB2BGR)
        _, content = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 80])
        write(folder / f"{name}-{place + 1}.jpg", content.tobytes())
        examples.append(
            {
                "picture": f"{name}-{place + 1}.jpg",
                "image": images.paths[index].name,
                "scores": {score: float(values[index]) for score, values in images.scores.items()},
                "refused": bool(scores[index] > limit),
            }
        )
    return examples
