"""A picture and 1 to 365 labels: the function's model against the two usual ways to use Grounding DINO.

Grounding DINO Swin-T with random weights at its real size on a 1080p picture, shown as 750 x 1333. "upstream" is what
``groundingdino.util.inference`` does: for each caption, of which there are as many as ours, picture and text are
encoded anew. "one by one" asks for one label at a time in that way, as autodistill does: that is so many times what it
takes for one label, against all labels at once here. The ways take turns, each in a process of its own, on the GPU if
there is one: upstream in float32, ours in its default precision and in float32.

MM-Grounding-DINO Swin-T, which LLMDet is too, is timed against transformers' own model of it, and against our Grounding
DINO on the same labels.

Each of upstream's boxes is compared with ours that is most like it: the largest errors of all boxes, in pixels of the
picture, and of all scores, and the share of boxes that are ``same``, up to a pixel and .01. The model orders its 900
queries by their scores, and each place in that order has an embedding of its own. Where two scores differ by less than
float32 resolves, their places are a matter of chance, for upstream with another number of threads too, and the two
queries' boxes then differ.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from groundingdino.models.GroundingDINO.groundingdino import GroundingDINO as Upstream
from numpy.typing import NDArray
from torchvision.ops import box_convert

from benchmarks import machine, mm_grounding_dino
from benchmarks.measure import Measurement, Row, beside
from benchmarks.turns import Rounds, Timed, in_turn, median_seconds, paired
from promptable.models.detection.detector import PromptScores
from promptable.models.grounding_dino.build import SWIN_B, SWIN_T, GroundingDinoConfig, build
from promptable.models.grounding_dino.captions import Caption, pack
from promptable.models.grounding_dino.detector import GroundingDINO, span_scores, use_fast_layers
from promptable.models.grounding_dino.preprocess import preprocess
from promptable.models.grounding_dino.text_encoder import load_tokenizer, new_bert
from promptable.models.runtime import device
from promptable.models.runtime.memory import keep_freed_memory
from promptable.models.runtime.precision import autocast
from toy.scenes import scene

_HW = (1080, 1920)
_COUNTS = (1, 20, 80, 365)
_FEW = 20
_REPEATS = 3
_UNTIL_CAPTURED = 4
"""Pictures until CUDA graphs are there."""
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "?")
_SAME_PIXELS, _SAME_SCORE = 1.0, 0.01

Detect = Callable[[NDArray[np.uint8], Sequence[str]], PromptScores]


def measurements(quick: bool) -> list[Measurement]:
    """1, 20, 80 and 365 labels, and MM-Grounding-DINO; ``quick``: 1 and 20."""
    counts, precisions = (_COUNTS[:2] if quick else _COUNTS), machine.precisions(quick)
    rows = len(counts) * len(precisions) + 1
    grounding_dino = Measurement("Grounding DINO", partial(_against_upstream, counts, precisions), rows)
    mm = Measurement("MM-Grounding-DINO", _of_mm_grounding_dino, rows=2)
    return [grounding_dino, *([] if quick else [mm])]


def labels(count: int) -> str:
    """So many, in words."""
    return "1 label" if count == 1 else f"{count} labels"


def _against_upstream(counts: Sequence[int], precisions: Sequence[str]) -> Iterator[Row]:
    """The answers to one label are compared in its own row, and not where labels go one by one."""
    ours = {precision: f"ours {precision}" for precision in precisions}
    ways = {"plain": partial(detecting, "plain"), **{name: partial(detecting, name, counts) for name in ours.values()}}
    answers: dict[int, Rounds[PromptScores]] = {}
    with in_turn(ways) as detect:
        for count in counts:
            answers[count] = detect([count] * _REPEATS)
            for precision, name in ours.items():
                what = f"{labels(count)}, {device.resolve('auto')} {precision}, upstream"
                yield _row(what, answers[count]["plain"], answers[count][name])
    one = median_seconds(answers[1]["plain"])
    together = median_seconds(answers[_FEW][ours[machine.precision()]])
    yield beside(f"{labels(_FEW)}, {device.resolve('auto')}, one by one", _FEW * one, together)


def _of_mm_grounding_dino() -> Iterator[Row]:
    """Against transformers, and against our Grounding DINO with as many labels."""
    with in_turn({name: partial(detecting, name) for name in ("mm plain", "mm ours", "ours")}) as detect:
        answers = detect([_FEW] * _REPEATS)
    what = f"{labels(_FEW)}, {device.resolve('auto')}, MM-Grounding-DINO"
    seconds = {"Grounding DINO s": median_seconds(answers["ours"]), "ours s": median_seconds(answers["mm ours"])}
    yield _row(f"{what}, transformers", answers["mm plain"], answers["mm ours"])
    yield Row(f"{what} and our Grounding DINO", seconds)


def _row(what: str, plain: Sequence[Timed[PromptScores]], ours: Sequence[Timed[PromptScores]]) -> Row:
    pace = {"frames/s": 1 / median_seconds(ours)}
    return paired(what, plain, ours, pace | _agreement(plain[0].result, ours[0].result))


def _agreement(plain: PromptScores, ours: PromptScores) -> dict[str, float]:
    """Largest errors and share of equal boxes, caption by caption."""
    pairs = [_paired_errors(plain, ours, np.flatnonzero(ours.captions == n)) for n in range(ours.captions.max() + 1)]
    box, score = np.concatenate(pairs, axis=1)
    same = (box <= _SAME_PIXELS) & (score <= _SAME_SCORE)
    return {"box error": float(box.max()), "score error": float(score.max()), "same": float(same.mean())}


def _paired_errors(plain: PromptScores, ours: PromptScores, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Errors in pixels and in scores, [2, Q], of each of upstream's boxes against the most similar one of ours."""
    box = np.abs(plain.boxes_xyxy[rows, None] - ours.boxes_xyxy[None, rows]).max(2)
    asked = ours.scores[rows].any(0)
    score = np.abs(plain.scores[rows][:, None, asked] - ours.scores[rows][None, :, asked]).max(2)
    nearest = (box / _SAME_PIXELS + score / _SAME_SCORE).argmin(1)
    places = np.arange(len(rows))
    return np.stack([box[places, nearest], score[places, nearest]])


def detecting(way: str, counts: Sequence[int] = (1,)) -> Callable[[int], PromptScores]:
    """What one way finds of so many labels on the picture, warm for these numbers of labels."""
    torch.manual_seed(0)
    with TemporaryDirectory() as folder:
        detect = _WAYS[way](Path(folder))
    image = scene(1, size=_HW[1]).image[: _HW[0]]
    for count in counts:
        for _ in range(_UNTIL_CAPTURED if way == "ours graphs" else 1):
            detect(image, label_names(count))
    return lambda count: detect(image, label_names(count))


def label_names(count: int) -> list[str]:
    """Labels of one or two words, as COCO's and Objects365's are."""
    return [f"first{n} second{n}" if n % 3 == 0 else f"first{n}" for n in range(count)]


def random_model(folder: Path, config: GroundingDinoConfig = SWIN_T) -> Upstream:
    """Upstream's model with a vocabulary of its own, which is written into the folder."""
    _write_vocabulary(folder)
    model = build(config, new_bert(folder / "bert.json"), load_tokenizer(folder / "vocab.txt"))
    with torch.no_grad():
        for weights in model.transformer.parameters():  # many of which are zero or one at first, and would hide errors
            weights.add_(torch.randn_like(weights) * 0.02)
    return model


def _write_vocabulary(folder: Path) -> Path:
    words = [f"{place}{n}" for place in ("first", "second") for n in range(max(_COUNTS))]
    (folder / "vocab.txt").write_text("\n".join((*_SPECIAL, *words)))
    return folder


def fast(folder: Path, precision: str = "", config: GroundingDinoConfig = SWIN_T, cuda_graphs: bool = False) -> Detect:
    """``precision`` is that of ``auto`` unless another is named."""
    keep_freed_memory()
    model, precision = random_model(folder, config).to(device.resolve("auto")), precision or machine.precision()
    return GroundingDINO(use_fast_layers(model, precision), config, precision, cuda_graphs).detect


def plain(folder: Path, precision: str = "fp32", config: GroundingDinoConfig = SWIN_T) -> Detect:
    """Upstream's ``predict`` for each caption, scored as ours."""
    model = random_model(folder, config).to(device.resolve("auto"))

    def detect(image: NDArray[np.uint8], labels: Sequence[str]) -> PromptScores:
        with autocast(device.resolve("auto"), precision):
            found = [_predict(model, image, caption, labels) for caption in pack(labels, model.tokenizer)]
        boxes, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return PromptScores(boxes, scores, np.zeros(len(boxes), np.int64))

    return detect


_WAYS: Mapping[str, Callable[[Path], Detect]] = {
    "ours": fast,
    **{f"ours {precision}": partial(fast, precision=precision) for precision in ("fp32", "bf16")},
    "ours graphs": partial(fast, cuda_graphs=True),
    "plain": plain,
    "plain bf16": partial(plain, precision="bf16"),
    "swin-b plain": partial(plain, config=SWIN_B),
    **{f"swin-b ours {each}": partial(fast, precision=each, config=SWIN_B) for each in ("fp32", "bf16")},
    "mm ours": lambda folder: mm_grounding_dino.ours(_write_vocabulary(folder)),
    "mm plain": lambda folder: mm_grounding_dino.plain(_write_vocabulary(folder)),
}


@torch.no_grad()
def _predict(
    model: Upstream, image: NDArray[np.uint8], caption: Caption, labels: Sequence[str]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes xyxy [Q, 4] and scores [Q, P] as ``groundingdino.util.inference`` computes them."""
    text = " . ".join(labels[index] for index in caption.prompt_indices) + " ."
    pixels = preprocess(image, SWIN_T.short_side, SWIN_T.long_side).to(model.feat_map.weight.device)
    output = {name: tensor.cpu() for name, tensor in model(pixels[None], captions=[text]).items()}
    height, width = image.shape[:2]
    boxes = box_convert(output["pred_boxes"][0], "cxcywh", "xyxy") * torch.tensor([width, height, width, height])
    scores = torch.zeros(len(boxes), len(labels))
    scores[:, list(caption.prompt_indices)] = span_scores(output["pred_logits"][0], caption.spans)
    return boxes.numpy(), scores.numpy()
