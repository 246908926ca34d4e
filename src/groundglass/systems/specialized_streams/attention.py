"""Where a picture's class was read off: Grad-CAM of the recognition stage.

Selvaraju et al. 2017, doi:10.1109/ICCV.2017.74, by the library captum.
"""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from groundglass.extras import need
from groundglass.geometry.frame import Box, Frame
from groundglass.systems.specialized_streams.network import classes_of, size_of_stage
from groundglass.systems.specialized_streams.predict import Predictor


def class_map(
    system: Predictor, pixels: NDArray[np.uint8], wanted: str, *, radiograph: bool
) -> NDArray[np.float32]:
    """How much each place of a picture spoke for a class.

    Args:
        system: Weights with a recognition stage.
        pixels: Picture, (row, column), 0 to 255.
        wanted: Name of the class.
        radiograph: Whether the picture is a radiograph.

    Returns:
        Same shape as the picture, 0 to 1, the most telling place at 1; all 0 where nothing spoke
        for the class. It says where the network looked, not where disease is.

    Raises:
        MissingExtraError: If captum is not installed.
    """
    need("explain")
    from captum.attr import LayerGradCam

    recognition = system.network.recognition
    assert recognition is not None
    shown = system.recognition_input(pixels, radiograph=radiograph)
    number = classes_of(system.card.network).index(wanted)
    with torch.enable_grad():
        cam = LayerGradCam(recognition, recognition.features).attribute(
            shown.requires_grad_(True), target=number, relu_attributions=True
        )
    small = cam[0, 0].detach().float().cpu().numpy()
    size_px = size_of_stage(system.card.network, "recognition")
    whole = np.asarray(cv2.resize(small, size_px[::-1]), np.float32)
    frame = Frame.fit(Box.whole(pixels.shape), (pixels.shape[0], pixels.shape[1]), size_px)
    on_picture = frame.restore(whole)
    largest = float(on_picture.max())
    return on_picture / np.float32(largest) if largest > 0 else on_picture
