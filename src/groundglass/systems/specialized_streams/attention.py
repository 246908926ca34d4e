"""Where a picture's class was read off: Grad-CAM of the recognition stage.

Selvaraju et al. 2017, doi:10.1109/ICCV.2017.74, by the library captum.
"""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groundglass.extras import need
from groundglass.systems.specialized_streams.network import Recognition


def class_map(recognition: Recognition, shown: Tensor, number: int) -> NDArray[np.float32]:
    """How much each place of an input spoke for a class.

    Args:
        recognition: The first stage.
        shown: One input, (1, 1, row, column), from 0 to 1.
        number: Which class.

    Returns:
        (row, column) of the input, 0 and more; all 0 where nothing spoke for the class. It says
        where the network looked, not where disease is.

    Raises:
        MissingExtraError: If captum is not installed.
    """
    need("explain")
    from captum.attr import LayerGradCam

    with torch.enable_grad():
        cam = LayerGradCam(recognition, recognition.features).attribute(
            shown.detach().requires_grad_(True), target=number, relu_attributions=True
        )
    coarse = cam[0, 0].detach().float().cpu().numpy()
    return np.asarray(cv2.resize(coarse, tuple(shown.shape[:1:-1])), np.float32)
