"""The images: one base, one thin image per function on it, tagged by what they hold."""

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from promptable.deploy import commands
from promptable.deploy.commands import CommandError
from promptable.deploy.console import Console
from promptable.deploy.errors import DeployError
from promptable.deploy.image.own_model import OwnModel
from promptable.deploy.options import Options
from promptable.deploy.rendering.target import Device
from promptable.models.catalogue import files_of
from promptable.models.checksum import sha256_of

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
_PACKAGES = ("build.txt", "torch.txt", "runtime.txt", "models.txt")
PACKAGES_LABEL = "promptable.packages"
MODELS_LABEL = "promptable.models"


class Images:
    """Builds with docker, in ``repository``, and forgets what nothing runs any more.

    ``work`` is a folder for what nobody needs later; docker's output goes to ``log``.
    """

    def __init__(self, options: Options, console: Console, repository: Path, work: Path, log: Path) -> None:
        self._options = options
        self._console = console
        self._repository = repository
        self._work = work
        self.log = log

    def name(self, function: str) -> str:
        """Repository of a function's images."""
        registry = self._options.registry
        return f"{registry}/promptable-{function}" if registry else f"promptable-{function}"

    def build_base(self, device: Device, nuclio_version: str) -> None:
        """Everything but weights and entry points. Raises CommandError."""
        if not self._console.dry_run:
            self.log.unlink(missing_ok=True)
        arguments = {"DEVICE": device, "NUCLIO_VERSION": nuclio_version, "PACKAGES": packages_digest(self._repository)}
        self._build("base", f"promptable-base:{device}", arguments, [])

    def build(
        self, function: str, models: Sequence[str], own: Sequence[OwnModel], device: Device, nuclio_version: str
    ) -> str:
        """Build a function's image with the checkpoints of ``models``; returns its name, whose tag is its content.

        So building the same twice changes nothing. Raises CommandError.
        """
        held = () if self._options.weights_pvc else models
        built = f"promptable-{function}:{self._work.name}"  # of this run alone: others may build here too
        arguments = {
            "DEVICE": device,
            "NUCLIO_VERSION": nuclio_version,
            "PACKAGES": packages_digest(self._repository),
            "FUNCTION": function,
            "MODELS": " ".join(held),
        }
        local = stage(held, own, self._options.weights, self._work / f"{function}-weights")
        context = [] if local is None else ["--build-context", f"local-weights={local}"]
        self._build("function", built, arguments, context)
        image = f"{self.name(function)}:{device}-{self._content(built)}"
        self._change("docker", "tag", built, image)
        self._change("docker", "rmi", built)
        return image

    def push(self, image: str) -> None:
        """Push an image to the registry in its name. Raises CommandError."""
        self._change("docker", "push", image)

    def newest(self, function: str, device: Device | None) -> str:
        """The image that was built last for this device, or for any; empty if there is none."""
        said = commands.ask("docker", "images", "--format", "{{.Repository}}:{{.Tag}}", self.name(function))
        prefixes = tuple(f"{self.name(function)}:{each}-" for each in Device if device in (None, each))
        return next((line for line in said.out.splitlines() if line.startswith(prefixes)), "")

    def held_models(self, image: str) -> set[str]:
        """The models that an image was built with."""
        return set(_label(image, MODELS_LABEL).split())

    def has_packages(self, device: Device) -> bool:
        """Are the pinned packages, the largest part of all, in an image on this machine already?"""
        return _label(f"promptable-base:{device}", PACKAGES_LABEL) == packages_digest(self._repository)

    def exists(self, image: str) -> bool:
        """Is it on this machine?"""
        return commands.ask("docker", "image", "inspect", image).ok

    def drop(self, image: str) -> None:
        """Remove an image of gigabytes; what a container uses stays, whoever's it is."""
        used = commands.ask("docker", "ps", "--all", "--format", "{{.Image}}").out.splitlines()
        if not image or image in used or not self.exists(image):
            return
        try:
            self._change("docker", "rmi", image)
        except CommandError as error:
            self._console.warn(f"{image} stays: {error}")

    def _build(self, target: str, tag: str, arguments: dict[str, str], context: Sequence[str]) -> None:
        command = ["docker", "build", "--load", "--provenance=false"]  # a provenance would carry the time
        command += ["--file", str(self._repository / "docker/Dockerfile"), "--target", target]
        for name, value in arguments.items():
            command += ["--build-arg", f"{name}={value}"]
        command += [*self._network_arguments(), *context, "--tag", tag, str(self._repository)]
        self._change(*command)

    def _network_arguments(self) -> Iterator[str]:
        """Proxies go by name: a password in them is on no command line. BuildKit keeps them out of the image."""
        for name in _PROXIES:
            if os.environ.get(name):
                yield from ("--build-arg", name)
        for secret, file in (("ca", self._options.ca), ("pip-config", self._options.pip_config)):
            if file is not None:
                yield from ("--secret", f"id={secret},src={file}")

    def _change(self, *command: str) -> None:
        self._console.command(command)
        if self._console.dry_run:
            return
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self._console.progress(f"docker {command[1]}") as news, self.log.open("a", encoding="utf-8") as log:

            def heard(line: str) -> None:
                log.write(line)
                news(line)

            commands.run(command, heard)

    def _content(self, image: str) -> str:
        """Digits of the id that Docker resolves; in containerd's store the builder's own (--iidfile) is another one."""
        if self._console.dry_run:
            return "content"
        said = commands.ask("docker", "image", "inspect", "--format", "{{.Id}}", image)
        if not said.ok:
            raise CommandError(f"{image} was built and cannot be found: {said.why}")
        return said.out.removeprefix("sha256:")[:12]


def packages_digest(repository: Path) -> str:
    """A digest of the pinned packages."""
    files = [*(repository / "requirements" / name for name in _PACKAGES), repository / "docker/install-packages.sh"]
    return hashlib.sha256(b"\n".join(file.read_bytes() for file in files)).hexdigest()[:12]


def stage(models: Sequence[str], own: Sequence[OwnModel], weights: Path | None, folder: Path) -> Path | None:
    """Lay out in ``folder`` what of the admin's folders goes into an image; None if nothing does.

    Only the files of ``models``, each verified. Raises DeployError for a damaged one.
    """
    files = {file: folder / model.name / file.name for model in own if model.name in models for file in model.files}
    files |= {file: folder / file.name for file in verified(models, weights)}
    for source, target in files.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        _link(source, target)
    return folder if files else None


def verified(models: Sequence[str], weights: Path | None) -> list[Path]:
    """The files of official ``models`` in the folder ``weights``, and what is recorded of them.

    Raises DeployError for a damaged one.
    """
    if weights is None:
        return []
    sources = [source for model in models for source in files_of(model) if (weights / source.file_name).is_file()]
    for source in sources:
        file, expected = weights / source.file_name, source.expected_sha256(weights)
        if expected is not None and sha256_of(file) != expected:
            raise DeployError(
                f"{file} is damaged or not the official file: remove it, or fetch it again ({source.url})"
            )
    files = [weights / name for source in sources for name in (source.file_name, source.record_name)]
    return [file for file in files if file.is_file()]


def _link(source: Path, target: Path) -> None:
    """Link a file, or copy its gigabytes if the file system cannot link."""
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)


def _label(image: str, label: str) -> str:
    said = commands.ask("docker", "image", "inspect", "--format", f'{{{{index .Config.Labels "{label}"}}}}', image)
    return said.out if said.ok else ""
