"""A network as a graph, so that it can be cut at any layer and given more layers anywhere, whatever its own code does.

The graph keeps the names of the network's layers: weights load under the names they were saved with.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import fx, nn

from nevus.errors import RecipeError

Shape = tuple[int, ...]


class Traced:
    """A network's graph from the image to its last feature map, and the node that each of its modules ends in.

    Parameters
    ----------
    network
        A convolutional network.
    function
        The method from an image to a feature map: timm's "forward_features", or "forward".

    Raises
    ------
    RecipeError
        No graph says what the network does, since that depends on the size of its input or on the values that it computes.
    """

    def __init__(self, network: nn.Module, function: str) -> None:
        tracer = _Tracer()
        tracer.traced_func_name = function
        try:
            # In evaluation mode: drop-out and the like are modules of their own in the graph and follow its mode later.
            self.graph = tracer.trace(network.eval())
        except Exception as error:  # its own code raises what it likes at values that are not there
            raise RecipeError(
                f"{type(network).__name__} cannot be a backbone: it is not a convolutional network for any input size ({error})."
            ) from error
        self.network = network
        self.outputs = tracer.outputs

    def cut(self, module: str | None) -> fx.GraphModule:
        """The layers up to the output of `module`, or all of them for None; what lies behind is dropped."""
        if module is not None:
            end = next(node for node in self.graph.nodes if node.op == "output")
            end.args = (self.outputs[module],)
            # Nodes behind the cut have no users any more, last first; in-place layers too, which fx would keep for their effect.
            for node in reversed(self.graph.nodes):
                if not node.users and node.op not in ("output", "placeholder"):
                    self.graph.erase_node(node)
        layers = fx.GraphModule(self.network, self.graph)
        layers.train()
        return layers


class _Tracer(fx.Tracer):
    """A tracer for which torch's own layers, and timm's versions of them, are leaves; it notes what each module's output is."""

    def __init__(self) -> None:
        super().__init__()
        self.outputs: dict[str, fx.Node] = {}

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether `m` is a layer of torch, or derived from one, as timm's padded convolutions and norms with activation are."""
        return any(kind.__module__.startswith("torch.nn") for kind in type(m).__mro__ if kind not in _CONTAINERS)

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Trace a module, and note the node it ends in."""
        output = super().call_module(m, forward, args, kwargs)
        if isinstance(output, fx.Proxy):
            self.outputs[self.path_of_module(m)] = output.node
        return output


def add_output(layers: fx.GraphModule, node: fx.Node) -> None:
    """Make the graph return what `node` computes too: the pair (its output, that of the node)."""
    end = next(node for node in layers.graph.nodes if node.op == "output")
    end.args = ((end.args[0], node),)
    layers.recompile()


_CONTAINERS = {nn.Module, nn.Sequential, nn.ModuleList, nn.ModuleDict, object}


def insert(layers: fx.GraphModule, after: Iterable[fx.Node], create: Callable[[int], nn.Module], name: str, size: int) -> None:
    """Put a module after each node: `create` makes it for the node's channels, seen with an image of `size` pixels.

    `name` holds them all, in the order in which they run.
    """
    wanted = set(after)
    nodes = [node for node in layers.graph.nodes if node in wanted]
    channels = [shape[1] for shape in shapes(layers, nodes, size)]
    layers.add_module(name, nn.ModuleList(create(number) for number in channels))
    for index, node in enumerate(nodes):
        with layers.graph.inserting_after(node):
            inserted = layers.graph.call_module(f"{name}.{index}", (node,))
        node.replace_all_uses_with(inserted, delete_user_cb=lambda user, inserted=inserted: user is not inserted)
    layers.recompile()


def shapes(layers: fx.GraphModule, nodes: Iterable[fx.Node], size: int) -> list[Shape]:
    """The shapes of what the nodes compute for one image of `size` pixels."""
    seen: dict[fx.Node, Shape] = {}

    class Recorder(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            result = super().run_node(n)
            if isinstance(result, torch.Tensor):
                seen[n] = tuple(result.shape)
            return result

    training = layers.training
    with torch.no_grad():
        Recorder(layers.eval()).run(torch.zeros(1, 3, size, size))
    layers.train(training)
    return [seen[node] for node in nodes]
