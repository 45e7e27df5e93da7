"""Which images belong together: connected components over shared patients, lesions and near-duplicate links."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from nevus.errors import DataError


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
    num_rows = len(frame)
    sources, targets = [], []
    num_nodes = num_rows
    for column in ("patient_id", "lesion_id", "group_id"):
        known = np.flatnonzero(frame[column] != "")
        # A group id already carries its data set's name; the other ids do not.
        keys = frame[column] if column == "group_id" else frame["dataset"] + "\0" + frame[column]
        codes, uniques = pd.factorize(keys.to_numpy()[known])
        sources.append(known)
        targets.append(codes + num_nodes)
        num_nodes += len(uniques)
    if links:
        places = pd.Index(frame["image_id"])
        pairs = np.array([places.get_indexer(list(pair)) for pair in links])
        if (pairs < 0).any():
            raise DataError(f"{int((pairs < 0).any(axis=1).sum())} links name images that are not in the manifest.")
        sources.append(pairs[:, 0])
        targets.append(pairs[:, 1])
    rows, columns = np.concatenate(sources), np.concatenate(targets)
    graph = coo_array((np.ones(len(rows), np.int8), (rows, columns)), shape=(num_nodes, num_nodes))
    _, labels = connected_components(graph, directed=False)
    names = pd.DataFrame({"component": labels[:num_rows]})
    # Patients name a group before lesions, lesions before images; within a kind the smallest id does, whatever the rows' order.
    prefix = frame["dataset"].to_numpy() + ":"
    for rank, column in enumerate(("patient_id", "lesion_id", "image_id")):
        values = frame[column].to_numpy()
        named = np.where(values == "", "", prefix + values)
        names[column] = pd.Series(named).where(named != "", None)
        names[f"rank {rank}"] = names.groupby("component")[column].transform("min")
    chosen = names["rank 0"].fillna(names["rank 1"]).fillna(names["rank 2"])
    return pd.Series(chosen.astype(str).to_numpy(), index=frame.index)
