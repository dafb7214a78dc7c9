"""Train the toy SAM on generated scenes: ``python -m toy.train_sam``. A second call goes on where one stopped."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from segment_anything.modeling import Sam
from torch import Tensor, nn
from torch.nn import functional

from promptable.models.sam.build import SamConfig, build
from promptable.models.sam.segmenter import load
from toy.evaluate_sam import evaluate
from toy.sam_prompts import Prompts, correct, draw_boxes, draw_clicks
from toy.scenes import Scene, scene
from toy.training import Schedule, train

CONFIG = SamConfig(
    encoder_embed_dim=96,
    encoder_depth=4,
    encoder_num_heads=3,
    encoder_global_attn_indexes=(1, 3),
    image_size=192,
    patch_size=8,
    window_size=8,
    prompt_embed_dim=96,
    decoder_num_heads=4,
    decoder_mlp_dim=256,
)
SEED = 0
FIRST = Schedule(steps=4000, learning_rate=1e-3, warmup=150)
SECOND, SECOND_START = Schedule(steps=3000, learning_rate=8e-4, warmup=100), 20_000
FOLDER = Path(__file__).parent / "sam"

_PICTURES, _MOST_OBJECTS = 6, 10
_CLICKS, _CLICKS_BESIDE, _BOXES = 3, 1, 2
_MOST_CORRECTIONS = 4
_STRIDE = CONFIG.patch_size // 4


@dataclass(frozen=True)
class Answers:
    """What the decoder makes of N prompts.

    Logits of all four mask tokens, float32 [N, 4, h, w], and their predicted IoU, float32 [N, 4]; and the upscaled
    embedding that the masks are made from, float32 [N, C, h, w].
    """

    logits: Tensor
    scores: Tensor
    upscaled: Tensor

    def loss(self, coverage: Tensor) -> Tensor:
        """Cross-entropy, Dice loss (for objects only) and squared error of the predicted IoU, for every token alike."""
        truth = coverage[:, None].expand_as(self.logits)
        on_object = (coverage.amax((1, 2)) > 0)[:, None]
        entropy = functional.binary_cross_entropy_with_logits(self.logits, truth)
        dice = (_dice_loss(self.logits.sigmoid(), truth) * on_object).mean()
        return 5 * entropy + dice + functional.mse_loss(self.scores, _iou(self.logits > 0, truth > 0.5))


def _dice_loss(found: Tensor, truth: Tensor) -> Tensor:
    return 1 - (2 * (found * truth).sum((2, 3)) + 1) / (found.sum((2, 3)) + truth.sum((2, 3)) + 1)


def _iou(found: Tensor, truth: Tensor) -> Tensor:
    return (found & truth).sum((2, 3)) / (found | truth).sum((2, 3)).clamp(min=1)


def new_model() -> Sam:
    """The untrained model, with a ``colour_probe`` of the upscaled embedding that only the training uses.

    Two changes to the usual random start let the prompts find their place in the picture early: a finer positional
    code, and attention between prompt and picture whose queries and keys begin alike.
    """
    torch.manual_seed(SEED)
    model = build(CONFIG)
    model.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix.mul_(2)
    for layer in model.mask_decoder.transformer.layers:
        for attention in (layer.cross_attn_token_to_image, layer.cross_attn_image_to_token):
            attention.q_proj.load_state_dict(attention.k_proj.state_dict())
    model.colour_probe = nn.Conv2d(CONFIG.prompt_embed_dim // 8, 3, 1)
    nn.init.normal_(model.colour_probe.weight)
    return model


def loss_at(model: Sam, step: int) -> Tensor:
    """Clicks and boxes on a few new scenes, then further clicks that correct the answers to the ones or the others."""
    rng = np.random.default_rng([SEED, step])
    scenes = [scene(step * _PICTURES + i, max_objects=_MOST_OBJECTS) for i in range(_PICTURES)]
    features = _encode(model, scenes)
    first = draw_clicks(scenes, _STRIDE, _CLICKS, _CLICKS_BESIDE, rng), draw_boxes(scenes, _STRIDE, _BOXES, rng)
    answers = [_decode(model, features, prompts) for prompts in first]
    corrected = step % 2
    token = int(rng.integers(4))
    previous = answers[corrected].logits[:, token].detach()
    corrections = correct(first[corrected], previous, _STRIDE, int(rng.integers(1, _MOST_CORRECTIONS + 1)), rng)
    answers.append(_decode(model, features, corrections))
    losses = [answer.loss(prompts.coverage) for answer, prompts in zip(answers, (*first, corrections), strict=True)]
    return torch.stack(losses).sum() + _colour_loss(model, answers[0], first[0], scenes)


def _colour_loss(model: Sam, answers: Answers, prompts: Prompts, scenes: list[Scene]) -> Tensor:
    """Squared error of the colours that the probe reads from the upscaled embedding.

    Without it the embedding tells objects from background early, but very late one object from another that it touches.
    """
    colours = functional.avg_pool2d(_pixels(model, scenes), _STRIDE)
    return 4 * functional.mse_loss(model.colour_probe(answers.upscaled), colours[prompts.picture])


def _encode(model: Sam, scenes: list[Scene]) -> Tensor:
    """Image embeddings, float32 [pictures, C, h, w]."""
    embeddings: Tensor = model.image_encoder(_pixels(model, scenes))
    return embeddings


def _pixels(model: Sam, scenes: list[Scene]) -> Tensor:
    """The pictures as the encoder takes them, float32 [pictures, 3, H, W] around zero."""
    pictures = torch.from_numpy(np.stack([scene.image for scene in scenes])).permute(0, 3, 1, 2)
    pixels: Tensor = model.preprocess(pictures.float())
    return pixels


def _decode(model: Sam, features: Tensor, prompts: Prompts) -> Answers:
    """Answer prompts over several pictures at once.

    The decoder takes one picture, so the features come in with the dense prompt, which it adds to those of the picture.
    """
    points = (prompts.points_xy, prompts.labels) if prompts.labels.numel() else None
    sparse, dense = model.prompt_encoder(points, prompts.boxes_xyxy, prompts.logits)
    if prompts.with_logits is not None:
        no_mask = model.prompt_encoder.no_mask_embed.weight[..., None, None]
        dense = torch.where(prompts.with_logits[:, None, None, None], dense, no_mask)
    upscaled: list[Tensor] = []
    hook = model.mask_decoder.output_upscaling.register_forward_hook(lambda *call: upscaled.append(call[-1]))
    logits, scores = model.mask_decoder.predict_masks(
        image_embeddings=torch.zeros_like(features[:1]),
        image_pe=model.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense + features[prompts.picture],
    )
    hook.remove()
    return Answers(logits, scores, upscaled[0])


def main() -> None:
    torch.set_num_threads(1)
    model = new_model()
    seconds = train(model, lambda step: loss_at(model, step), FIRST, Path("out/train/sam.pt"))
    second = Path("out/train/sam-second.pt")
    seconds += train(model, lambda step: loss_at(model, SECOND_START + step), SECOND, second)
    _write(model, FOLDER)
    report = {
        "command": "python -m toy.train_sam",
        "seed": SEED,
        "steps": FIRST.steps + SECOND.steps,
        "minutes": round(seconds / 60),
        "held_out": asdict(evaluate(load(str(FOLDER), FOLDER, "cpu"))),
    }
    (FOLDER / "training.json").write_text(json.dumps(report, indent=2) + "\n")


def _write(model: Sam, folder: Path) -> None:
    """The model folder that ``promptable.models.sam.segmenter.load`` reads, with weights in half precision."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(asdict(CONFIG), indent=2) + "\n")
    weights = {name: tensor.half() for name, tensor in model.state_dict().items() if "colour_probe" not in name}
    save_file(weights, folder / "model.safetensors")


if __name__ == "__main__":
    main()
