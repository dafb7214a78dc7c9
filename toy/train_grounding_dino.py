"""Train the small Grounding DINO on generated scenes: ``python -m toy.train_grounding_dino``.

Captions are random sets of prompts, so that the model learns to read: all 32 labels in any order, or a few prompts with
hard negatives, synonyms, plurals, bare colours and bare shapes. An object is a target when a prompt means it.
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from groundingdino.models.GroundingDINO.groundingdino import GroundingDINO
from groundingdino.models.GroundingDINO.utils import gen_encoder_output_proposals, sigmoid_focal_loss
from groundingdino.util.misc import inverse_sigmoid
from safetensors.torch import save_file
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional
from torchvision.ops import box_convert, generalized_box_iou

from promptable.models.grounding_dino.build import GroundingDinoConfig, build
from promptable.models.grounding_dino.detector import load
from promptable.models.grounding_dino.preprocess import preprocess
from promptable.models.grounding_dino.text_encoder import load_tokenizer, new_bert
from promptable.models.weights import read_sizes
from toy.evaluate_grounding_dino import evaluate
from toy.pretrain_swin import PositionClassifier, draw_lesson, lesson_loss, look_around
from toy.scenes import COLOURS, SHAPES, Scene, scene
from toy.training import Schedule, train

FOLDER = Path(__file__).parent / "grounding-dino"
SEED = 0
BATCH = 8
THRESHOLD = 0.35
HELD_OUT_SCENES = 200
SYNONYMS = {
    "red": ("crimson",), "green": ("emerald",), "blue": ("azure",), "yellow": ("golden",), "purple": ("violet",),
    "orange": ("tangerine",), "cyan": ("turquoise",), "white": ("ivory",),
    "circle": ("disc", "ball"), "square": ("box",), "triangle": ("wedge",), "star": ("asterisk",),
}  # fmt: skip
_TEXT_SCALE = 0.1
_POSITIVES_PER_OBJECT = 4


@dataclass(frozen=True)
class Prompt:
    """Words, and the objects that they mean: those of this colour and shape, where None stands for any."""

    text: str
    colour: str | None
    shape: str | None

    def means(self, label: str) -> bool:
        colour, shape = label.split()
        return self.colour in (None, colour) and self.shape in (None, shape)


@dataclass(frozen=True)
class Batch:
    """Pictures [B, 3, H, W], captions, the objects of each: boxes cxcywh in 0..1 [N, 4], tokens bool [N, T]."""

    pictures: Tensor
    captions: list[str]
    boxes: list[Tensor]
    positives: list[Tensor]


@dataclass(frozen=True)
class Outputs:
    """Logits [B, Q, T] and boxes cxcywh in 0..1 [B, Q, 4], of each decoder layer and of all encoder positions.

    ``anchors`` cxcywh in 0..1 [positions, 4] are what the boxes of the encoder start from.
    """

    decoder: list[tuple[Tensor, Tensor]]
    encoder: tuple[Tensor, Tensor]
    anchors: Tensor


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--lessons", type=int, default=1500, help="steps of pretrain_swin")
    arguments.add_argument("--steps", type=int, default=2300, help="steps of the whole detector")
    arguments.add_argument("--resume-folder", type=Path, default=Path("out/train"))
    options = arguments.parse_args()
    torch.set_num_threads(1)
    model, config = new_model()
    seconds = _pretrain(model, config, options.lessons, options.resume_folder / "swin.pt")
    seconds += _train(model, config, options.steps, options.resume_folder / "grounding_dino.pt")
    _save(model)
    _report({"lessons": options.lessons, "steps": options.steps, "minutes": round(seconds / 60, 1)})


def new_model() -> tuple[GroundingDINO, GroundingDinoConfig]:
    torch.manual_seed(SEED)
    config = read_sizes(GroundingDinoConfig, FOLDER / "config.json")
    model = build(config, new_bert(FOLDER / "bert.json"), load_tokenizer(FOLDER / "vocab.txt"))
    look_around(model.backbone[0])
    with torch.no_grad():
        _start_with_few_positives(model)
        for fusion in model.transformer.encoder.fusion_layers:
            fusion.gamma_v.fill_(0.2)
            fusion.gamma_l.fill_(0.2)
    return model, config


def _pretrain(model: GroundingDINO, config: GroundingDinoConfig, steps: int, resume_file: Path) -> float:
    classifier = PositionClassifier(model.backbone)

    def loss_at(step: int) -> Tensor:
        return lesson_loss(classifier, draw_lesson(step, config))

    return train(classifier, loss_at, Schedule(steps, 1e-3), resume_file)


def _train(model: GroundingDINO, config: GroundingDinoConfig, steps: int, resume_file: Path) -> float:
    def loss_at(step: int) -> Tensor:
        batch = draw_batch(step, model.tokenizer, config)
        return loss(run(model, batch), batch)

    return train(model, loss_at, Schedule(steps, 5e-4), resume_file)


def _save(model: GroundingDINO) -> None:
    """Half precision; weights that layers share are written for each of them, as in upstream's checkpoints."""
    tensors = {
        name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in model.state_dict().items()
    }
    save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, FOLDER / "model.safetensors")


def _report(training: dict[str, float]) -> None:
    (figures,) = evaluate(load(str(FOLDER), FOLDER, "cpu"), [THRESHOLD], HELD_OUT_SCENES)
    report = {
        "command": "python -m toy.train_grounding_dino",
        "seed": SEED,
        **training,
        "held_out": {"scenes": HELD_OUT_SCENES, "f1": round(figures.f1, 4), **asdict(figures)},
    }
    (FOLDER / "training.json").write_text(json.dumps(report, indent=2) + "\n")


def _start_with_few_positives(model: GroundingDINO) -> None:
    """Logits are products of normalised features without a bias: channel 0 becomes one, the rest of the text small."""
    text_norm = model.transformer.encoder.text_layers[-1].norm2
    text_norm.weight.fill_(_TEXT_SCALE)
    for norm, constant in (
        (text_norm, 2.0),
        (model.transformer.decoder.norm, -3.0),
        (model.transformer.enc_output_norm, -2.0),
    ):
        norm.weight[0] = 0.0
        norm.bias[0] = constant


def draw_batch(step: int, tokenizer: Any, config: GroundingDinoConfig) -> Batch:
    rng = np.random.default_rng([step, 3])
    drawn = [scene(step * BATCH + index, max_objects=6 if step % 2 else 12) for index in range(BATCH)]
    count = None if step % 2 else int(rng.integers(1, 13))
    prompts = [_all_labels(rng) if count is None else _some_prompts(one, count, rng) for one in drawn]
    captions = [" . ".join(prompt.text for prompt in row) + " ." for row in prompts]
    tokens = tokenizer(captions, padding="longest", return_tensors="pt").input_ids
    targets = [_targets(*row, tokenizer) for row in zip(drawn, prompts, tokens, strict=True)]
    pictures = torch.stack([preprocess(one.image, config.short_side, config.long_side) for one in drawn])
    return Batch(pictures, captions, [boxes for boxes, _ in targets], [positives for _, positives in targets])


def _all_labels(rng: np.random.Generator) -> list[Prompt]:
    prompts = [_worded(colour, shape, rng, 0.05) for colour in COLOURS for shape in SHAPES]
    return [prompts[index] for index in rng.permutation(len(prompts))]


def _some_prompts(one: Scene, count: int, rng: np.random.Generator) -> list[Prompt]:
    """About half of them are meant by an object; the others share a colour or a shape with one."""
    present = [tuple(item.label.split()) for item in one.objects]
    prompts = []
    for _ in range(count):
        colour, shape = present[rng.integers(len(present))]
        what = rng.choice(
            ["present", "colour", "shape", "any", "bare shape", "bare colour"], p=[0.4, 0.2, 0.2, 0.1, 0.05, 0.05]
        )
        if what in ("shape", "any"):
            colour = str(rng.choice(list(COLOURS)))
        if what in ("colour", "any"):
            shape = str(rng.choice(SHAPES))
        prompts.append(
            _worded(None if what == "bare shape" else colour, None if what == "bare colour" else shape, rng, 0.25)
        )
    return list({prompt.text: prompt for prompt in prompts}.values())


def _worded(colour: str | None, shape: str | None, rng: np.random.Generator, variety: float) -> Prompt:
    """The prompt's words; each becomes a synonym or a plural with probability ``variety``."""
    words = [_synonym(word, rng, variety) for word in (colour, shape) if word]
    if shape is None:
        words.append(str(rng.choice(["shape", "object"])))
    if words[-1] == shape and rng.random() < variety:
        words[-1] += "s"
    return Prompt(" ".join(words), colour, shape)


def _synonym(word: str, rng: np.random.Generator, variety: float) -> str:
    return str(rng.choice(SYNONYMS[word])) if rng.random() < variety else word


def _targets(one: Scene, prompts: list[Prompt], tokens: Tensor, tokenizer: Any) -> tuple[Tensor, Tensor]:
    prompt_of_token = _prompt_of_token(tokens, tokenizer)
    boxes, positives = [], []
    for item in one.objects:
        meant = torch.tensor([prompt.means(item.label) for prompt in prompts])
        if meant.any():
            boxes.append(torch.from_numpy(item.xyxy) / one.image.shape[0])
            positives.append((prompt_of_token >= 0) & meant[prompt_of_token.clamp(min=0)])
    if not boxes:
        return torch.zeros(0, 4), torch.zeros(0, len(tokens), dtype=torch.bool)
    return box_convert(torch.stack(boxes), "xyxy", "cxcywh"), torch.stack(positives)


def _prompt_of_token(tokens: Tensor, tokenizer: Any) -> Tensor:
    """For each token the index of its prompt, and -1 for separators and padding, int64 [T]."""
    dot, *special = tokenizer.convert_tokens_to_ids([".", "[CLS]", "[SEP]", "[PAD]"])
    prompt: Tensor = (tokens == dot).cumsum(0)
    separators = torch.isin(tokens, torch.tensor([dot, *special]))
    return prompt.masked_fill(separators, -1)


def run(model: GroundingDINO, batch: Batch) -> Outputs:
    """Upstream's own forward, which returns the last layer only; the others are caught on their way."""
    caught: dict[str, tuple[Any, ...]] = {}
    transformer = model.transformer
    hooks = [
        module.register_forward_hook(lambda _, inputs, output, name=name: caught.__setitem__(name, (inputs, output)))
        for name, module in (
            ("transformer", transformer),
            ("class", transformer.enc_out_class_embed),
            ("box", transformer.enc_out_bbox_embed),
        )
    ]
    model(batch.pictures, captions=batch.captions)
    for hook in hooks:
        hook.remove()
    (*_, text), (hidden, references, *_) = caught["transformer"]
    decoder = [
        (classify(layer, text), (box(layer) + inverse_sigmoid(reference)).sigmoid())
        for classify, box, layer, reference in zip(
            model.class_embed, model.bbox_embed, hidden, references, strict=False
        )
    ]
    anchors = _anchors(caught["transformer"][0][0])
    return Outputs(decoder, (caught["class"][1], (caught["box"][1] + anchors).sigmoid()), anchors.sigmoid()[0])


def _anchors(levels: list[Tensor]) -> Tensor:
    shapes = torch.tensor([level.shape[-2:] for level in levels])
    positions = int(shapes.prod(1).sum())
    anchors: Tensor = gen_encoder_output_proposals(
        torch.zeros(1, positions, 1), torch.zeros(1, positions, dtype=torch.bool), shapes
    )[1]
    return anchors


def loss(outputs: Outputs, batch: Batch) -> Tensor:
    total = _loss_of(outputs.encoder, batch, [_nearest(outputs.anchors, boxes) for boxes in batch.boxes])
    for logits, boxes in outputs.decoder:
        matches = [_match(*row) for row in zip(logits, boxes, batch.boxes, batch.positives, strict=True)]
        total = total + _loss_of((logits, boxes), batch, matches)
    return total


def _loss_of(output: tuple[Tensor, Tensor], batch: Batch, matches: list[tuple[Tensor, Tensor]]) -> Tensor:
    """2 focal + 5 L1 + 2 (1 - GIoU), each per matched object."""
    tokens = batch.positives[0].shape[1]
    logits, boxes = output[0][..., :tokens], output[1]
    wanted = torch.zeros_like(logits)
    found, true = [], []
    for index, (rows, objects) in enumerate(matches):
        wanted[index, rows] = batch.positives[index][objects].to(wanted)
        found.append(boxes[index, rows])
        true.append(batch.boxes[index][objects])
    found_boxes, true_boxes = torch.cat(found), torch.cat(true)
    count = max(len(true_boxes), 1)
    padding = logits.isneginf()
    focal = (
        sigmoid_focal_loss(logits.masked_fill(padding, 0), wanted, 1, no_reduction=True).masked_fill(padding, 0).sum()
        / count
    )
    distance = functional.l1_loss(found_boxes, true_boxes, reduction="sum") / count
    overlap = generalized_box_iou(_xyxy(found_boxes), _xyxy(true_boxes)).diagonal().sum() / count
    total: Tensor = 2 * focal + 5 * distance + 2 * (len(true_boxes) / count - overlap)
    return total


def _nearest(anchors: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """The encoder positions nearest to each object's centre; one near two objects belongs to the nearer."""
    if not len(boxes):
        return torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long)
    distance = torch.cdist(anchors[:, :2], boxes[:, :2])
    near = torch.zeros_like(distance, dtype=torch.bool)
    near.scatter_(0, distance.topk(_POSITIVES_PER_OBJECT, dim=0, largest=False).indices, True)
    nearest, owner = distance.masked_fill(~near, torch.inf).min(1)
    rows = nearest.isfinite().nonzero().squeeze(1)
    return rows, owner[rows]


@torch.no_grad()
def _match(logits: Tensor, boxes: Tensor, true_boxes: Tensor, positives: Tensor) -> tuple[Tensor, Tensor]:
    """Hungarian assignment of queries to objects, by the loss's own terms."""
    logits = logits[:, : positives.shape[1]].clamp(min=-20)
    gain = sigmoid_focal_loss(logits, torch.ones_like(logits), 1, no_reduction=True)
    pain = sigmoid_focal_loss(logits, torch.zeros_like(logits), 1, no_reduction=True)
    share = positives.float() / positives.sum(1, keepdim=True).clamp(min=1)
    cost = 2 * (gain - pain) @ share.T + 5 * torch.cdist(boxes, true_boxes, p=1)
    cost = cost - 2 * generalized_box_iou(_xyxy(boxes), _xyxy(true_boxes))
    rows, objects = linear_sum_assignment(cost.numpy())
    return torch.from_numpy(rows), torch.from_numpy(objects)


def _xyxy(boxes: Tensor) -> Tensor:
    xyxy: Tensor = box_convert(boxes, "cxcywh", "xyxy")
    return xyxy


if __name__ == "__main__":
    main()
