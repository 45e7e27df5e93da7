"""Image files inside an HDF5 file, read in place: `train-image.hdf5#ISIC_0015670`, as ISIC-2024 is published.

Each key of the container holds the bytes of one encoded image, as an opaque value, as fixed-length bytes or as one row of uint8.
"""

import functools
import importlib
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from nevus.errors import DataError, NotAvailableError

CONTAINERS = (".hdf5", ".h5")
_INSIDE = re.compile(r"(.+?\.(?:hdf5|h5))#(.+)", re.IGNORECASE | re.DOTALL)


def container_of(path: Path | str) -> tuple[Path, str] | None:
    """The container and the key that a path names, or None for a plain file, whatever signs its name has.

    >>> container_of("in/train-image.hdf5#ISIC_0015670")
    (PosixPath('in/train-image.hdf5'), 'ISIC_0015670')
    >>> container_of("in/lesion#2.jpg")
    """
    found = split_name(str(path))
    # A folder or a file may be called so too: what is there as a plain file is one.
    return None if found is None or Path(path).is_file() else (Path(found[0]), found[1])


def split_name(name: str) -> tuple[str, str] | None:
    """The container and the key in a name, or None, whatever is on the disk."""
    found = _INSIDE.fullmatch(name) if "#" in name else None
    return found and (found[1], found[2])


def list_keys(container: Path | str) -> list[str]:
    """The keys of a container, sorted.

    Raises
    ------
    DataError
        It is missing or is not an HDF5 file.
    NotAvailableError
        h5py is not installed.
    """
    return sorted(_opened(Path(container)))


def read_value(container: Path, key: str, max_bytes: int) -> bytes:
    """The bytes of the image file at a key; their number is checked before they are read. Threads may call this together.

    Raises
    ------
    DataError
        The container is missing or is not an HDF5 file, lacks the key, or holds there what is no file's bytes.
    """
    file, name = _opened(container), f"{container}#{key}"
    h5d = importlib.import_module("h5py.h5d")
    try:
        # h5py's own low level, without its wrapping, is three times as fast; it takes h5py's lock as well.
        dataset = h5d.open(file.id, key.encode())
    except (KeyError, ValueError, TypeError) as error:
        raise DataError(f"{name}: the container has no such image. It has {len(file)} others.") from error
    kind, shape = dataset.dtype, dataset.shape
    if not (kind.kind in "VSO" and shape == ()) and not (kind == np.uint8 and len(shape) == 1):
        raise DataError(f"{name}: holds {kind} of shape {shape}; the bytes of an image file are expected.")
    if (size := kind.itemsize * (shape[0] if shape else 1)) > max_bytes:
        raise DataError(f"{name}: {size // 2**20} MiB; an image file of at most {max_bytes // 2**20} MiB is read.")
    value = np.empty(shape, kind)
    try:
        dataset.read(importlib.import_module("h5py.h5s").ALL, importlib.import_module("h5py.h5s").ALL, value)
    except (OSError, RuntimeError) as error:
        raise DataError(f"{name}: cannot be read ({error}). Copy the container again from its source.") from error
    content = value[()]
    return content if isinstance(content, bytes) else bytes(content.tobytes())


def _opened(container: Path) -> Any:
    """The container's handle, one a process for as long as the file stays the same."""
    try:
        status = container.stat()
    except OSError as error:
        raise DataError(f"{container}: cannot be read ({error.strerror}). Check the path.") from error
    return _open(container, os.getpid(), status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=16)
def _open(container: Path, process: int, changed_ns: int, size: int) -> Any:
    try:
        h5py = importlib.import_module("h5py")
    except ImportError as error:
        raise NotAvailableError(f"{container}: reading HDF5 needs h5py: pip install 'nevus[hdf5]'") from error
    try:
        return h5py.File(container, "r")
    except OSError as error:
        raise DataError(f"{container}: not an HDF5 file ({error}). Copy it again from its source.") from error
