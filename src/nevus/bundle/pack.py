"""From a bundle's folder to one file and back: the same files, byte for byte."""

from pathlib import Path

from nevus.bundle import Bundle
from nevus.bundle.archive import write_archive
from nevus.errors import BundleError
from nevus.files import new_folder, replacing

SUFFIX = ".nevus"


def pack(bundle: Bundle | Path | str, out: Path | str) -> Bundle:
    """Write a bundle as one file. Equal bundles give equal files; what the folder holds beside the bundle stays out.

    Parameters
    ----------
    bundle
        A bundle or the path of one.
    out
        The file to write, named .nevus; one that is there is replaced.

    Raises
    ------
    BundleError
        The bundle cannot be loaded, or `out` is not named .nevus.

    Examples
    --------
    >>> pack("runs/mine/bundle", "mine.nevus").path  # doctest: +SKIP
    PosixPath('mine.nevus')
    """
    bundle = bundle if isinstance(bundle, Bundle) else Bundle.load(bundle)
    out = Path(out)
    if out.suffix != SUFFIX:
        raise BundleError(f"{out}: expected a file named {SUFFIX}, as in {out.with_suffix(SUFFIX).name}.")
    with replacing(out) as beside:
        write_archive(beside, bundle.names, bundle.read)
    return Bundle.load(out)


def unpack(bundle: Bundle | Path | str, out: Path | str) -> Bundle:
    """Write a bundle as a folder, wholly or not at all.

    Parameters
    ----------
    bundle
        A bundle or the path of one.
    out
        A folder that is not there yet, or empty.

    Raises
    ------
    BundleError
        The bundle cannot be loaded.
    NevusError
        `out` holds something, or cannot be written.
    """
    bundle = bundle if isinstance(bundle, Bundle) else Bundle.load(bundle)
    with new_folder(out) as beside:
        for name in bundle.names:
            (beside / name).write_bytes(bundle.read(name))
    return Bundle.load(out)
