"""What counts as opacified lung."""

import numpy as np
import torch

from groundglass.labels import is_opacity

NUMBERS = [0, 1, 2, 3, 4, 255]
OPACITY = [False, True, True, True, False, False]


def test_effusion_and_the_unknown_are_no_opacity():
    assert is_opacity(np.array(NUMBERS, np.uint8)).tolist() == OPACITY
    assert is_opacity(torch.tensor(NUMBERS, dtype=torch.uint8)).tolist() == OPACITY
