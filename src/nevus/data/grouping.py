"""Which images belong together: connected components over shared patients, lesions and near-duplicate links."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.compute
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from nevus.data.tables import as_arrow, number_values, sort_order
from nevus.errors import DataError

Indices = NDArray[np.int64]


def group_ids(frame: pd.DataFrame, links: Sequence[tuple[str, str]] = ()) -> "pd.Series[str]":
    """A name for each row's group, the same for rows joined by any chain of shared ids or links.

    Parameters
    ----------
    frame
        `image_id`, `dataset`, `lesion_id`, `patient_id` and `group_id` as text, "" unknown. Ids are those of their data set:
        equal lesion ids of two data sets are two lesions. A group id that is already there joins as well.
    links
        Pairs of image ids.

    Returns
    -------
    pandas.Series
        The group's first patient id, else its first lesion id, else its first image id, after its data set's name.
    """
    rows, nodes = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    num_nodes = len(frame)
    for column in ("patient_id", "lesion_id", "group_id"):
        known = np.flatnonzero(frame[column] != "")
        # A group id already carries its data set's name; the other ids do not.
        owners = number_values(frame["group_id"])[0] if column == "group_id" else number_owners(frame, column)
        codes, uniques = pd.factorize(owners[known])
        rows.append(known)
        nodes.append(codes + num_nodes)
        num_nodes += len(uniques)
    if links:
        places = pd.Index(frame["image_id"])
        pairs = np.stack([places.get_indexer(list(side)) for side in zip(*links, strict=True)], axis=1)
        if (pairs < 0).any():
            raise DataError(f"{int((pairs < 0).any(axis=1).sum())} links name images that are not in the manifest.")
        rows.append(pairs[:, 0])
        nodes.append(pairs[:, 1])
    sources, targets = np.concatenate(rows), np.concatenate(nodes)
    labels = components(num_nodes, sources, targets)[: len(frame)]
    names, place = _names(frame, labels)
    return pd.Series(names.take(place[labels]).to_pandas().to_numpy(), index=frame.index).astype(str)


def components(num_nodes: int, first: Indices, second: Indices) -> Indices:
    """A label for each node, the same for nodes that a chain of links `first[k]`, `second[k]` joins.

    >>> components(4, np.array([0, 2]), np.array([2, 3])).tolist()
    [0, 1, 0, 0]
    """
    graph = coo_array((np.ones(len(first), np.int8), (first, second)), shape=(num_nodes, num_nodes))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def number_owners(frame: pd.DataFrame, column: str) -> Indices:
    """A number for each row's patient or lesion; equal ids of two data sets have two numbers."""
    datasets, (ids, values) = number_values(frame["dataset"])[0], number_values(frame[column])
    return datasets * max(1, len(values)) + ids


def _names(frame: pd.DataFrame, labels: Indices) -> tuple[Any, Indices]:
    """The names, and where each component's is: patients name it before lesions, lesions before images, by the smallest id."""
    sizes = np.bincount(labels)
    place = np.full(len(sizes), -1, np.int64)
    found, num_found = [], 0
    for column in ("patient_id", "lesion_id", "image_id"):
        rows = np.flatnonzero((frame[column] != "").to_numpy() & (place[labels] < 0))
        texts = _joined(frame["dataset"].iloc[rows], frame[column].iloc[rows])
        # Most labels are one image, and need no comparison.
        alone = sizes[labels[rows]] == 1
        several = np.flatnonzero(~alone)
        order = several[sort_order(texts.take(several))]
        smallest = order[np.unique(labels[rows[order]], return_index=True)[1]]
        chosen = np.concatenate([np.flatnonzero(alone), smallest])
        place[labels[rows[chosen]]] = num_found + np.arange(len(chosen))
        found.append(texts.take(chosen))
        num_found += len(chosen)
    return pyarrow.concat_arrays(found), place


def _joined(datasets: "pd.Series[str]", ids: "pd.Series[str]") -> Any:
    colon = pyarrow.scalar(":", pyarrow.large_string())
    return pyarrow.compute.binary_join_element_wise(as_arrow(datasets), as_arrow(ids), colon)
