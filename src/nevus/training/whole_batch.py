"""What makes several processes compute what one would: batch norm over all their images, drop-out as one process draws it.

torch's SyncBatchNorm runs on CUDA alone, and knows nothing of drop-out. Here the two functions themselves are replaced while the
network runs, so that any network trains alike, whoever wrote its layers.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import distributed
from torch.nn.functional import batch_norm, dropout
from torch.overrides import TorchFunctionMode


class WholeBatch(TorchFunctionMode):
    """Within it, `batch_norm` and `dropout` see the batch of all processes; image i of process r is number i · R + r of R.

    Parameters
    ----------
    rank, num_processes
        r and R. With one process nothing is replaced.
    seed
        Of the drop-out's draws: that which a single process passes to `torch.manual_seed`. On CPUs the draws are then those of
        one process, as long as the network draws nothing else; on CUDA they are other draws of the same distribution.

    Examples
    --------
    >>> with WholeBatch(rank=0, num_processes=1, seed=0):
    ...     dropout(torch.ones(2, 3), 0.0)
    tensor([[1., 1., 1.],
            [1., 1., 1.]])
    """

    def __init__(self, rank: int, num_processes: int, seed: int) -> None:
        super().__init__()
        self._rank, self._num_processes, self._seed = rank, num_processes, seed
        self._generator: torch.Generator | None = None

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Replace the two functions where they are in training; pass all others on."""
        replaced = _REPLACED.get(func) if self._num_processes > 1 else None
        return replaced(self, *args, **(kwargs or {})) if replaced else func(*args, **(kwargs or {}))

    def batch_norm(
        self,
        images: torch.Tensor,
        running_mean: torch.Tensor | None,
        running_var: torch.Tensor | None,
        weight: torch.Tensor | None = None,
        bias: torch.Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> torch.Tensor:
        """`torch.nn.functional.batch_norm` with mean and variance over (N, …) of every process, at least in float32."""
        if not training:
            return batch_norm(images, running_mean, running_var, weight, bias, training, momentum, eps)
        axes = [0, *range(2, images.ndim)]
        shape = [1, -1, *[1] * (images.ndim - 2)]
        values = images.to(torch.promote_types(images.dtype, torch.float32))
        # Two passes: a mean of squares less a squared mean would lose the digits that the processes are to agree in.
        mean: torch.Tensor = _Mean.apply(values.mean(axes))  # type: ignore[no-untyped-call]
        centred = values - mean.view(shape)
        variance: torch.Tensor = _Mean.apply(centred.square().mean(axes))  # type: ignore[no-untyped-call]
        if running_mean is not None and running_var is not None:
            count = self._num_processes * images.numel() / images.shape[1]
            running_mean.lerp_(mean.detach().to(running_mean), momentum)
            running_var.lerp_(variance.detach().to(running_var) * (count / (count - 1)), momentum)
        normal: torch.Tensor = centred * (variance + eps).rsqrt().view(shape)
        if weight is not None:
            normal = normal * weight.to(values.dtype).view(shape)
        if bias is not None:
            normal = normal + bias.to(values.dtype).view(shape)
        return normal.to(images.dtype)

    def dropout(self, features: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> torch.Tensor:
        """`torch.nn.functional.dropout` with this process's rows of the mask that is drawn for the whole batch."""
        if not training or p == 0:
            return features
        if self._generator is None:
            self._generator = torch.Generator(features.device).manual_seed(self._seed)
        # In memory as the features lie: a tensor is filled with random numbers in that order.
        last = features.ndim == 4 and features.is_contiguous(memory_format=torch.channels_last)
        whole = features.new_empty((self._num_processes * len(features), *features.shape[1:]))
        whole = whole.to(memory_format=torch.channels_last) if last else whole
        mask = whole.bernoulli_(1 - p, generator=self._generator).div_(1 - p)[self._rank :: self._num_processes]
        return features.mul_(mask) if inplace else features * mask


_REPLACED: dict[Callable[..., Any], Callable[..., torch.Tensor]] = {
    batch_norm: WholeBatch.batch_norm,
    dropout: WholeBatch.dropout,
}


class _Mean(torch.autograd.Function):
    """The mean of a tensor over all processes.

    The gradient is averaged likewise: each process's loss is a mean over its own images, and the gradients of their weights are
    averaged afterwards, which is the gradient of the mean loss if what others owe to this tensor comes back here.
    """

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor) -> torch.Tensor:
        return _mean(values)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        return _mean(gradients[0])


def _mean(values: torch.Tensor) -> torch.Tensor:
    total = values.detach().clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(total)
    return total.div_(distributed.get_world_size())
