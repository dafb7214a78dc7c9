"""The interactor's first inferences on a GPU, so that nobody's click is the slow one.

On a CPU a first inference takes a tenth of a second more than the next, and readiness need not wait for any.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from promptable.models.segmentation.features import ImageFeatures
from promptable.models.segmentation.segmenter import Prompt, Segmenter

_HW = (720, 1280)


def warm_up(segmenter: Segmenter) -> tuple[ImageFeatures, NDArray[np.float32]]:
    """Answer every kind of prompt on a gray picture: a lone click, a box, and a click that refines an answer.

    Returns the features and the low-res logits [h, w], which show the form of all others from this model.
    """
    height, width = _HW
    features = segmenter.encode_image(np.full((*_HW, 3), 128, np.uint8))
    click = Prompt(np.array([[width / 2, height / 2]], np.float32), np.ones(1, np.int32))
    first = segmenter.predict(features, click)
    segmenter.predict(features, Prompt(box_xyxy=np.array([0, 0, width, height], np.float32)))
    segmenter.predict(features, replace(click, mask_input=first.low_res_logits))
    return features, first.low_res_logits
