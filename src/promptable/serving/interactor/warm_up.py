"""The interactor's first inferences on a GPU, at start, so that no user has to wait for a slow first click.

On a CPU no warm-up is needed: the first inference takes only a tenth of a second longer than the next ones.
"""

import numpy as np
from numpy.typing import NDArray

from promptable.models.segmentation.features import ImageFeatures
from promptable.models.segmentation.segmenter import Prompt, Segmenter

_HW = (720, 1280)


def warm_up(segmenter: Segmenter, clicks: int = 1) -> tuple[ImageFeatures, NDArray[np.float32]]:
    """Answer every kind of prompt on a gray picture: a lone click, a box, and clicks that refine an answer.

    The clicks that refine are tried in every number from 1 to ``clicks``: with CUDA graphs, each number has its own
    graph. Returns features and low-res logits [h, w] as examples of the shapes and dtypes of this model.
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
