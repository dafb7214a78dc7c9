"""The interactor's first inferences on a GPU, so that nobody's click is the slow one.

On a CPU a first inference takes a tenth of a second more than the next, and readiness need not wait for any.
"""

import numpy as np
from numpy.typing import NDArray

from promptable.models.segmentation.features import ImageFeatures
from promptable.models.segmentation.segmenter import Prompt, Segmenter

_HW = (720, 1280)


def warm_up(segmenter: Segmenter, clicks: int = 1) -> tuple[ImageFeatures, NDArray[np.float32]]:
    """Answer every kind of prompt on a gray picture: a lone click, a box, and clicks that refine an answer.

    These are one, and then more, up to ``clicks``: where there are CUDA graphs, each number of clicks has its own.
    Returns the features and the low-res logits [h, w], which show the form of all others from this model.
    """
    height, width = _HW
    features = segmenter.encode_image(np.full((*_HW, 3), 128, np.uint8))
    click = Prompt(np.array([[width / 2, height / 2]], np.float32), np.ones(1, np.int32))
    first = segmenter.predict(features, click)
    segmenter.predict(features, Prompt(box_xyxy=np.array([0, 0, width, height], np.float32)))
    for count in range(1, clicks + 1):
        points, labels = np.repeat(click.points_xy, count, 0), np.repeat(click.labels, count)
        segmenter.predict(features, Prompt(points, labels, mask_input=first.low_res_logits))
    return features, first.low_res_logits
