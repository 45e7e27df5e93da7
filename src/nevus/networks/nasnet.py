"""NASNet-A Mobile (4 @ 1056; Zoph et al. 2018, section 4), which timm lacks, from the cells of timm's NASNet-A Large.

The sizes are those of TF-slim and Keras: 32 channels in the stem, 44 filters at first, four normal cells between the reductions.
"""

import torch
from timm.models.nasnet import NASNetALarge
from torch import nn

# Of the large network's cells of each of the three stacks, the first four: each stack's first one fits two resolutions together.
_STACKS = ((0, 1, 2, 3), (6, 7, 8, 9), (12, 13, 14, 15))


class NASNetAMobile(nn.Module):
    """float32 (N, 3, H, W) to (N, 1056, H/32, W/32); 4,269,716 parameters as Keras counts them, without its classifier.

    Examples
    --------
    >>> NASNetAMobile().forward_features(torch.zeros(1, 3, 64, 64)).shape
    torch.Size([1, 1056, 2, 2])
    """

    num_features = 1056
    conv0: nn.Module
    cell_stem_0: nn.Module
    cell_stem_1: nn.Module
    act: nn.Module

    def __init__(self) -> None:
        super().__init__()
        large = NASNetALarge(num_classes=0, stem_size=32, num_features=self.num_features)
        kept = ["conv0", "cell_stem_0", "cell_stem_1", "reduction_cell_0", "reduction_cell_1", "act"]
        for name in kept + [f"cell_{number}" for stack in _STACKS for number in stack]:
            self.add_module(name, getattr(large, name))

    def forward_features(self, batch: torch.Tensor) -> torch.Tensor:
        """The last feature map. Each cell sees the two before it; unlike in the large network a reduction cell is one of them."""
        before = self.conv0(batch)
        x_prev = self.cell_stem_0(before)
        x = self.cell_stem_1(before, x_prev)
        for number, stack in enumerate(_STACKS):
            if number:
                x_prev, x = x, getattr(self, f"reduction_cell_{number - 1}")(x, x_prev)
            for cell in stack:
                x_prev, x = x, getattr(self, f"cell_{cell}")(x, x_prev)
        feature_map: torch.Tensor = self.act(x)
        return feature_map
