"""The interactor's process does not grow with the requests that it has answered."""

import base64
from dataclasses import replace
from io import BytesIO
from random import Random

import numpy as np
import psutil
from PIL import Image

from benchmarks.measure import in_fresh_process
from promptable.config.settings import InteractorSettings
from promptable.models.sam.build import build
from promptable.models.sam.segmenter import SamSegmenter
from promptable.serving.interactor import click_history
from promptable.serving.interactor.function import InteractorFunction
from tests.models.sam.tiny import CONFIG

REQUESTS = 1000
WARM = 400
MOST_GROWTH_MB = 0.2
CLICKS_A_PICTURE = 20
TINY = replace(CONFIG, encoder_depth=1, encoder_global_attn_indexes=(0,), image_size=128, patch_size=4)
"""Its features are 64 KB a picture."""


def _used_mb() -> float:
    """What malloc has given out and not got back; the pieces in which it takes memory from the system do not count."""
    heap = psutil.heap_info()
    return (heap.heap_used + heap.mmap_used) / 2**20


def _picture(seed: int) -> str:
    pixels = np.random.default_rng(seed).integers(0, 256, (90, 120, 3), np.uint8)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def _grown_mb() -> float:
    """How much the process grows after ``WARM`` requests, with full caches and a new picture after every 20th."""
    click_history._CAPACITY_BYTES = 2**20
    settings = InteractorSettings(feature_cache_mb=1)
    function = InteractorFunction(SamSegmenter(build(TINY)), settings)
    random, warm = Random(0), 0.0
    for number in range(REQUESTS):
        if number % CLICKS_A_PICTURE == 0:
            picture = _picture(number)
        clicks = [[random.uniform(0, 120), random.uniform(0, 90)] for _ in range(random.randint(1, 4))]
        function({"image": picture, "pos_points": clicks, "neg_points": [], "obj_bbox": None})
        if number == WARM:
            warm = _used_mb()
    return _used_mb() - warm


def test_memory_stays_flat() -> None:
    assert in_fresh_process(_grown_mb) < MOST_GROWTH_MB
