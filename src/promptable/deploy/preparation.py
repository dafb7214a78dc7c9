"""What comes before Nuclio is touched: the checks, the function.yaml files, the plan and the images."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from promptable.config import function_yaml, labels
from promptable.deploy import plan
from promptable.deploy.commands import CommandError
from promptable.deploy.console import Console, StoppedError
from promptable.deploy.errors import DeployError
from promptable.deploy.image.build import Images, verified
from promptable.deploy.image.existing import ExistingImages, device_of
from promptable.deploy.image.own_model import OwnModel, own_model
from promptable.deploy.options import Options, all_functions
from promptable.deploy.platforms import host
from promptable.deploy.platforms.base import Platform, Site
from promptable.deploy.rendering.render import render
from promptable.deploy.rendering.rendered import Rendered
from promptable.deploy.rendering.target import Device, PlatformName, Target
from promptable.deploy.versions import cvat_version, numbers

_UNKNOWN_VERSION = "1.15.9"
_UNKNOWN_NETWORKS = {PlatformName.LOCAL: "cvat_cvat", PlatformName.KUBE: ""}
"""What a dry run goes on with where only a running CVAT could tell."""
_NO_IMAGE = "not-built-yet"
"""In a dry run where --no-build finds none."""
_SHAPES_SINCE = (2, 60)
"""The CVAT from which on the interactor answers shapes."""


@dataclass(frozen=True)
class Found:
    """What is deployed, and what the checks found out for it."""

    functions: Sequence[str]
    site: Site
    device: Device | None
    """None where the images decide it."""
    answer_form: str
    """The form of the interactor's answers for this CVAT; empty if nothing says which."""


@dataclass(frozen=True)
class Preparation:
    """Checks, renders and builds. What is wrong is said on the console, and raises StoppedError."""

    options: Options
    console: Console
    repository: Path
    platform: Platform
    images: Images

    def check(self, functions: Sequence[str]) -> Found:
        """Would a deployment of these functions work? Changes nothing."""
        self._check_files()
        functions = [function for function in functions if self._readable(function)]
        device = self.options.device or (self.platform.default_device() if self.options.build else None)
        ports = {function: port for function in functions if (port := self._port(function)) is not None}
        site = self.platform.check(device, self.options.build, ports)
        answer_form = self._answer_form(site)
        self.console.stop_on_problems()
        return Found(functions, self._known(site) if self.options.dry_run else site, device, answer_form)

    def prepare(self, found: Found, last: Mapping[str, Rendered | None]) -> Mapping[str, Rendered]:
        """The function.yaml files to deploy, with their images, which are built unless there is --no-build.

        ``last`` is each function's version that runs, or ran before it was removed.
        """
        existing = {} if self.options.build else self._existing_images.find(last)
        device = found.device or self._existing_images.device(existing)
        self.console.stop_on_problems()
        rendered = self._render_all(found, device, existing)
        for function in existing.keys() & rendered.keys():
            self._existing_images.check_models(rendered[function].with_image(existing[function]), last[function])
        self._print_plan(found, device, rendered)
        self.console.stop_on_problems()
        self.console.step("images")
        if self.options.build:
            existing = self._build(rendered, device, found.site.nuclio_version)
        return {function: self._complete(function, file, existing) for function, file in rendered.items()}

    @cached_property
    def _existing_images(self) -> ExistingImages:
        return ExistingImages(self.options, self.console, self.platform, self.images)

    @cached_property
    def own_models(self) -> Mapping[str, OwnModel]:
        """Model folders by the text of the option that names them; what is none has been said."""
        found = {}
        for text in (self.options.model, self.options.mask_model):
            with suppress(DeployError):
                found[text] = own_model(text)
        return {text: model for text, model in found.items() if model is not None}

    def _check_files(self) -> None:
        """Are the labels and the model folders as they must be?"""
        try:
            if self.options.labels is not None:
                labels.render(self.options.labels)
            for text in (self.options.model, self.options.mask_model):
                own_model(text)
        except (ValueError, OSError) as error:
            self.console.problem(str(error), "docs/labels.md shows what --labels takes, docs/deploy.md the models")

    def _readable(self, function: str) -> bool:
        """Is its function.yaml as it must be?"""
        try:
            function_yaml.load(self._function_yaml(function))
        except function_yaml.FunctionConfigError as error:
            self.console.problem(str(error), "change that file; docs/settings.md lists the variables that it may set")
            return False
        return True

    def _port(self, function: str) -> int | None:
        """The function's port on this machine, 0 if nothing says it; None in Kubernetes, where it has none."""
        if self.options.platform is PlatformName.KUBE:
            return None
        if self.options.port_base is not None:
            return self.options.port_base + all_functions(self.repository).index(function)
        return function_yaml.load(self._function_yaml(function)).trigger.port

    def _answer_form(self, site: Site) -> str:
        """The form of the interactor's answers, which CVAT's version decides; empty if nothing says it."""
        version = cvat_version(self.options.cvat_url, self.console) or site.cvat_version
        if not numbers(version):
            self.console.warn(
                "CVAT's version is not known: the interactor answers for 2.60 and later; --cvat-url lets me ask"
            )
            return ""
        return "shapes" if numbers(version) >= _SHAPES_SINCE else "mask"

    def _render_all(self, found: Found, device: Device, existing: Mapping[str, str]) -> Mapping[str, Rendered]:
        rendered = {}
        for function in found.functions:
            own_device = device_of(existing[function]) if function in existing else device
            try:
                file = render(self._function_yaml(function), self._target(function, found, own_device))
                verified(file.models, self.options.weights)
            except (ValueError, OSError) as error:
                self.console.problem(f"{function} cannot be rendered: {error}", "change the option that it names")
            else:
                rendered[function] = file
        return rendered

    def _target(self, function: str, found: Found, device: Device) -> Target:
        options = self.options
        return Target(
            platform=options.platform,
            namespace=options.namespace,
            device=device,
            network=found.site.network,
            port=self._port(function),
            model=self._model(options.model),
            mask_model=self._model(options.mask_model),
            labels=options.labels,
            answer_form=found.answer_form,
            redis=options.shared_redis,
            scheduling=options.scheduling,
        )

    def _model(self, text: str) -> str:
        """What a function calls it: an official model's name, or the folder in the container."""
        return self.own_models[text].place if text in self.own_models else text

    def _print_plan(self, found: Found, device: Device, rendered: Mapping[str, Rendered]) -> None:
        self.console.step("plan")
        models = {model for file in rendered.values() for model in file.models}
        weights = plan.weights(self.options, models, self.own_models.values())
        for line in plan.lines(self.options, found.site, device, found.answer_form, found.functions, weights):
            self.console.say(line)
        self.console.say(plan.base_image(device, self.images.has_packages(device)))
        self.console.table("what it takes", plan.COLUMNS, list(plan.rows(rendered, device, self.own_models.values())))
        for line in plan.free(found.site):
            self.console.say(line)
        if self.options.build:
            self._check_disk(device, rendered)

    def _check_disk(self, device: Device, rendered: Mapping[str, Rendered]) -> None:
        """Is there room for the builds? Checkpoints that the function's newest image holds take none again."""
        new = {
            tuple(file.models)
            for function, file in rendered.items()
            if not self.images.held_models(self.images.newest(function, device)) >= set(file.models)
        }
        own = self.own_models.values()
        sizes = [plan.checkpoint_size(model, own) for models in new for model in models]
        needs = plan.build_gb(device, self.images.has_packages(device), () if self.options.weights_pvc else sizes)
        host.check_disk(self.console, host.image_folder(), needs, "building the images")

    def _build(self, rendered: Mapping[str, Rendered], device: Device, nuclio_version: str) -> Mapping[str, str]:
        """Build each function's image; nothing of Nuclio's is touched."""
        own = list(self.own_models.values())
        built = {}
        try:
            self.images.build_base(device, nuclio_version)
            for function, file in rendered.items():
                built[function] = self.images.build(function, file.models, own, device, nuclio_version)
                self.platform.publish(built[function])
        except (CommandError, DeployError) as error:
            self.console.problem(f"an image cannot be built: {error}", f"all that docker said is in {self.images.log}")
            raise StoppedError from None
        return built

    def _complete(self, function: str, rendered: Rendered, existing: Mapping[str, str]) -> Rendered:
        """The file with its image; a dry run prints it."""
        complete = rendered.with_image(existing.get(function, _NO_IMAGE))
        if self.options.dry_run:
            self.console.say(f"the function.yaml that is deployed, {function}.yaml below:")
            self.console.text(complete.text)
        return complete

    def _known(self, site: Site) -> Site:
        version = site.nuclio_version or _UNKNOWN_VERSION
        network = site.network or _UNKNOWN_NETWORKS[self.options.platform]
        return replace(site, nuclio_version=version, network=network)

    def _function_yaml(self, function: str) -> Path:
        return self.repository / "functions" / function / "function.yaml"
