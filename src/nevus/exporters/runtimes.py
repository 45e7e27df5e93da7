"""The runtimes that are installed apart: each large, and particular about its companions' versions."""

from importlib import import_module
from types import ModuleType

from nevus.errors import NotAvailableError
from nevus.exporters.quiet import quiet


def import_runtime(extra: str, *modules: str) -> list[ModuleType]:
    """Import what an extra of nevus brings.

    Raises
    ------
    NotAvailableError
        It is not installed here.

    Examples
    --------
    >>> import_runtime("openvino", "no_such_runtime")
    Traceback (most recent call last):
        ...
    nevus.errors.NotAvailableError: --to openvino needs no_such_runtime, which cannot be imported (No module named \
'no_such_runtime'). Install it in an environment of its own: pip install 'nevus[train,openvino]'
    """
    found = []
    for name in modules:
        try:
            with quiet():
                found.append(import_module(name))
        except ImportError as error:
            raise NotAvailableError(
                f"--to {extra} needs {name.partition('.')[0]}, which cannot be imported ({error}). Install it in an environment "
                f"of its own: pip install 'nevus[train,{extra}]'"
            ) from error
    return found
