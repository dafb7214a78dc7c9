"""What a deployment will do and take, beside what is free."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from promptable.deploy.image.own_model import OwnModel
from promptable.deploy.options import Options
from promptable.deploy.platforms.base import Site
from promptable.deploy.rendering.render import memory_gib
from promptable.deploy.rendering.rendered import Rendered
from promptable.deploy.rendering.target import Device
from promptable.models.catalogue import files_of

COLUMNS = ("function", "models", "checkpoints", "memory at most", "GPU memory at least")
_BASE_GB = {Device.GPU: 9, Device.CPU: 4}
_BASE_BUILD_GB = {Device.GPU: 16, Device.CPU: 6}
"""containerd's image store keeps each layer packed and unpacked, the builder once more; pip keeps what it fetched."""
_CHECKPOINT_COPIES = 5
"""The same of a checkpoint, in two of the builder's stages, beside the download."""


def lines(
    options: Options, site: Site, device: Device, answer_form: str, functions: Sequence[str], weights: str
) -> Iterator[str]:
    """What will be done, a line each."""
    network = f", network {site.network}" if site.network else ""
    form = f", interactor answers as {answer_form}" if answer_form else ""
    yield f"functions:   {' '.join(functions)}"
    yield f"platform:    {options.platform}, namespace {options.namespace}{network}"
    yield f"device:      {device}"
    yield f"Nuclio:      {site.nuclio_version or 'unknown'}; CVAT: {site.cvat_version or 'unknown'}{form}"
    yield f"labels:      {options.labels or 'those in function.yaml'}"
    yield f"weights:     {weights}"
    yield f"images:      {_images(options)}"
    redis = f"{options.redis[0]}:{options.redis[1]}" if options.redis else "none: each function remembers alone"
    yield f"Redis:       {redis}"
    if options.replicas:
        least, most = options.replicas
        yield f"replicas:    {least} to {most}{'' if options.redis else '; the tracker: 1'}"


def rows(rendered: Mapping[str, Rendered], device: Device, own_models: Collection[OwnModel]) -> Iterator[Sequence[str]]:
    """What each function will take: of its image's own layers, of memory with full caches, and of the GPU's.

    A GPU holds the weights, and what CUDA and the activations take on top is not known beforehand.
    """
    for function, file in rendered.items():
        size = _words([checkpoint_size(model, own_models) for model in file.models])
        on_gpu = size if device is Device.GPU else "-"
        yield function, " ".join(file.models), size, f"{memory_gib(file.config.type, file.models)} GB", on_gpu


def weights(options: Options, models: Collection[str], own_models: Iterable[OwnModel]) -> str:
    """Where the checkpoints of ``models`` come from: the admin's own as their folders are, official ones checked."""
    if options.weights_pvc:
        return f"on the claim {options.weights_pvc}"
    if not options.build:
        return "in the images"
    folders = {model.name: f"from {model.folder}" for model in own_models}
    official = f"{f'from {options.weights} or ' if options.weights else ''}downloaded, SHA-256 checked"
    return ", ".join(["in the images", *folders.values(), *([] if folders.keys() >= set(models) else [official])])


def base_image(device: Device, cached: bool) -> str:
    """A line on the image that the functions share."""
    return f"base image:  some {_BASE_GB[device]} GB for all functions{', here already' if cached else ''}"


def build_gb(device: Device, cached: bool, checkpoints: Iterable[int | None]) -> int:
    """Disk that the builds take: the base image unless it is cached, and checkpoints of so many bytes."""
    copies = _CHECKPOINT_COPIES * sum(filter(None, checkpoints)) / 1e9
    return (0 if cached else _BASE_BUILD_GB[device]) + math.ceil(1 + copies)


def checkpoint_size(model: str, own_models: Iterable[OwnModel]) -> int | None:
    """Bytes of a model's files; None where nobody knows."""
    own = {each.name: each.size for each in own_models}
    return own[model] if model in own else _official_size(model)


def _official_size(model: str) -> int | None:
    """Bytes of an official model's files; None where the catalogue does not know it."""
    sizes = [source.size for source in files_of(model)]
    return sum(filter(None, sizes)) if sizes and None not in sizes else None


def _words(sizes: Sequence[int | None]) -> str:
    """``1.2 GB``; with one of unknown size ``over 1.2 GB``."""
    known = [size for size in sizes if size is not None]
    return f"{'' if len(known) == len(sizes) else 'over '}{sum(known) / 1e9:.2g} GB"


def free(site: Site) -> Iterator[str]:
    """What is free for the deployment, a line each."""
    for what, amount in site.free.items():
        yield f"{what} free: {amount}"


def _images(options: Options) -> str:
    if not options.build:
        return "as they are (--no-build)"
    return f"built here, pushed to {options.registry}" if options.registry else "built here"
