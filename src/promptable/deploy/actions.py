"""What ``promptable deploy`` does: deploy, status, logs, rollback, remove."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Thread

from promptable.config import function_yaml, labels
from promptable.deploy import commands, images, plan
from promptable.deploy.commands import CommandError
from promptable.deploy.console import Console, StoppedError
from promptable.deploy.images import Images
from promptable.deploy.nuclio import Nuclio
from promptable.deploy.options import Action, Options, all_functions
from promptable.deploy.own_model import OwnModel, own_model
from promptable.deploy.platforms import tools
from promptable.deploy.platforms.base import Platform, Site
from promptable.deploy.platforms.docker import Docker
from promptable.deploy.platforms.kubernetes import Kubernetes
from promptable.deploy.render import DeployError, render
from promptable.deploy.rendered import Rendered, image_device
from promptable.deploy.reported import Reported
from promptable.deploy.rollout import Outcome, Rollout
from promptable.deploy.state import LockedError, State, state_of
from promptable.deploy.target import Device, PlatformName, Scheduling, SharedRedis, Target
from promptable.deploy.versions import numbers

_UNKNOWN_SITE = Site(nuclio_version="1.15.9", network="cvat_cvat")
"""What a dry run goes on with where only a running CVAT could tell."""
_SHAPES_SINCE = (2, 62)
"""The CVAT from which on the interactor answers shapes."""
_WITH_REDIS = ("sam-interactor", "sam2-tracker")


@dataclass(frozen=True)
class Run:
    """One run of the command on the functions that it names. ``work`` is a folder for what nobody needs later."""

    options: Options
    console: Console
    repository: Path
    work: Path

    def __call__(self) -> None:
        """Raises StoppedError where something is wrong, after it has been said."""
        actions = {
            Action.DEPLOY: self.deploy,
            Action.STATUS: self.status,
            Action.LOGS: self.logs,
            Action.ROLLBACK: self.rollback,
            Action.REMOVE: self.remove,
        }
        if self.options.action in (Action.STATUS, Action.LOGS) or self.options.dry_run:
            actions[self.options.action]()
            return
        try:
            with self.state.locked():
                actions[self.options.action]()
        except LockedError:
            where = f"{self.options.platform}, namespace {self.options.namespace}"
            self.console.problem(f"another deploy.sh is at work on {where}", "wait until it has ended")
            raise StoppedError from None

    # Actions.

    def deploy(self) -> None:
        """Check, build, deploy, call; the functions that fail do not keep the others from coming up."""
        self.console.step("checks")
        self._check_files()
        device = self.options.device or (self.platform.default_device() if self.options.build else None)
        site = self.platform.check(device, self.options.build, self._ports())
        answer_form = self._answer_form(site)
        self.console.stop_on_problems()
        if self.options.dry_run:
            site = _known(site)
        reported = self._reported()
        found = {} if self.options.build else self._existing_images(reported)
        device = device or self._device_of_images(found)
        self.console.stop_on_problems()
        rendered = self._render_all(site, device, found, answer_form)
        self._print_plan(site, device, answer_form, rendered)
        self.console.stop_on_problems()
        rendered = self._with_images(rendered, device, site, found)
        redis = self._ask_redis(rendered)
        self.console.stop_on_problems()
        self._roll_out(rendered, reported, redis)

    def status(self) -> None:
        """What runs, and what Nuclio tells CVAT of it."""
        self._reach()
        columns = ("function", *self.platform.columns, "Nuclio", "its port")
        self.console.table("status", columns, [self._status(function) for function in self.functions])

    def logs(self) -> None:
        """Follow the functions' logs, each line with its function's name."""
        self._reach()
        followed = {function: self.platform.follow_command(function) for function in self.functions}
        for function, command in followed.items():
            if not command:
                self.console.problem(
                    f"{function} has no container, and so no log",
                    f"./deploy.sh deploys it; what failed last is kept in {self.state.folder}",
                )
        _follow({function: command for function, command in followed.items() if command})
        if not all(followed.values()):
            raise StoppedError

    def rollback(self) -> None:
        """Back to what was deployed before; of functions that were not named, to those that have a version before."""
        self._check_nuctl()
        self._reach()
        chosen = self._rollbacks()
        self.console.stop_on_problems()
        reported = self._reported(tuple(chosen))
        self.console.stop_on_problems()
        outcomes = {}
        for function, previous in chosen.items():
            self.console.step(function)
            self.console.say(f"back to {previous.image}")
            if not self.options.dry_run:
                before = self.rollout.before(function, reported[function])
                outcomes[function] = self.rollout.replace(function, previous, before, reported[function])
        if not self.options.dry_run:
            self._conclude(outcomes, {})

    def remove(self) -> None:
        """Out of CVAT's model list; the images stay."""
        self._check_nuctl()
        self._reach()
        for function in self.functions:
            self._change(self.nuclio.delete_command(function))

    # What the run works with.

    @property
    def functions(self) -> Sequence[str]:
        return self.options.functions or all_functions(self.repository)

    @cached_property
    def images(self) -> Images:
        return Images(self.options, self.console, self.repository, self.work, self._build_log)

    @property
    def _build_log(self) -> Path:
        return self.state.folder / "build.log"

    @cached_property
    def platform(self) -> Platform:
        make = Docker if self.options.platform is PlatformName.LOCAL else Kubernetes
        return make(self.options, self.console, self.images)

    @cached_property
    def nuclio(self) -> Nuclio:
        return Nuclio(self.options.platform, self.options.namespace)

    @cached_property
    def state(self) -> State:
        return state_of(self.options.platform, self.options.namespace)

    @cached_property
    def rollout(self) -> Rollout:
        return Rollout(self.platform, self.nuclio, self.images, self.state, self.console, self.work)

    @cached_property
    def own_models(self) -> Mapping[str, OwnModel]:
        """Model folders by the text of the option that names them. Raises DeployError."""
        found = {text: own_model(text) for text in (self.options.model, self.options.mask_model)}
        return {text: model for text, model in found.items() if model is not None}

    # Checks.

    def _reach(self) -> None:
        self.platform.reach()
        self.console.stop_on_problems()

    def _check_nuctl(self) -> None:
        tools.check(self.console, "nuctl")

    def _check_files(self) -> None:
        """Are the labels and the model folders as they must be?"""
        try:
            if self.options.labels is not None:
                labels.render(self.options.labels)
            _ = self.own_models
        except (ValueError, OSError) as error:
            self.console.problem(str(error), "README.md shows what --labels, --model and --weights take")

    def _ports(self) -> Mapping[str, int]:
        if self.options.platform is PlatformName.KUBE:
            return {}
        return {function: self._port(function) for function in self.functions}

    def _port(self, function: str) -> int:
        if self.options.port_base is not None:
            return self.options.port_base + all_functions(self.repository).index(function)
        return function_yaml.load(self._function_yaml(function)).trigger.port

    def _answer_form(self, site: Site) -> str:
        """The form of the interactor's answers, which CVAT's version decides; empty if nothing says it."""
        version = plan.cvat_version(self.options.cvat_url, self.console) or site.cvat_version
        if not numbers(version):
            self.console.warn(
                "CVAT's version is not known: the interactor answers for 2.62 and later; --cvat-url lets me ask"
            )
            return ""
        return "shapes" if numbers(version) >= _SHAPES_SINCE else "mask"

    def _reported(self, functions: Sequence[str] | None = None) -> Mapping[str, Reported | None]:
        """What Nuclio runs. Somebody else, or another machine, may have deployed it."""
        found: dict[str, Reported | None] = {}
        for function in functions if functions is not None else self.functions:
            found[function] = None
            if not commands.installed("nuctl"):
                continue  # a dry run has said so
            try:
                found[function] = self.nuclio.get(function)
            except DeployError as error:
                self.console.problem(str(error), f"nuctl get function {function} --platform {self.options.platform}")
        return found

    # Images.

    def _existing_images(self, reported: Mapping[str, Reported | None]) -> Mapping[str, str]:
        """For --no-build: the image that is deployed, or else the newest that was built here."""
        found = {}
        for function in self.functions:
            before = self.rollout.before(function, reported[function])
            image = before.image if before else ""
            if not image and self.options.platform is PlatformName.LOCAL:
                image = self.images.newest(function, self.options.device)
            if not image:
                self.console.problem(f"there is no image of {function} yet for --no-build", "leave --no-build out once")
                continue
            found[function] = image
            if self.options.device and self.options.device != _device(image):
                self.console.problem(
                    f"--{self.options.device}: {image} was built for {_device(image)}",
                    f"leave --no-build out, so that one for {self.options.device} is built",
                )
        return found

    def _device_of_images(self, found: Mapping[str, str]) -> Device:
        """Without a build the images decide."""
        if Device.GPU not in map(_device, found.values()):
            return Device.CPU
        self.platform.check_gpu()
        return Device.GPU

    def _with_images(
        self, rendered: Mapping[str, Rendered], device: Device, site: Site, found: Mapping[str, str]
    ) -> Mapping[str, Rendered]:
        """The files with their images in, built here unless they are there. Nothing of Nuclio's is touched."""
        self.console.step("images")
        try:
            if self.options.build:
                self.images.build_base(device, site.nuclio_version)
            return {each: self._with_image(each, file, device, site, found) for each, file in rendered.items()}
        except (CommandError, DeployError) as error:
            self.console.problem(f"an image cannot be built: {error}", f"all that docker said is in {self._build_log}")
            raise StoppedError from None

    def _with_image(
        self, function: str, rendered: Rendered, device: Device, site: Site, found: Mapping[str, str]
    ) -> Rendered:
        image = found.get(function, "")
        if self.options.build:
            own = list(self.own_models.values())
            image = self.images.build(function, rendered.models, own, device, site.nuclio_version)
            self.platform.publish(image)
        complete = rendered.with_image(image) if image else rendered
        if self.options.dry_run:
            self.console.say(f"the function.yaml that is deployed, {function}.yaml below:")
            self.console.text(complete.text)
        return complete

    # Rendering and the plan.

    def _render_all(
        self, site: Site, device: Device, found: Mapping[str, str], answer_form: str
    ) -> Mapping[str, Rendered]:
        rendered = {}
        for function in self.functions:
            image = found.get(function, "")
            target = self._target(function, site, _device(image) if image else device, answer_form)
            try:
                rendered[function] = render(self._function_yaml(function), target)
                images.verified(rendered[function].models, self.options.weights)
            except (ValueError, OSError) as error:
                self.console.problem(f"{function} cannot be rendered: {error}", "change the option that it names")
                continue
            if image:
                self._check_models(function, rendered[function].with_image(image))
        return rendered

    def _target(self, function: str, site: Site, device: Device, answer_form: str) -> Target:
        options = self.options
        return Target(
            platform=options.platform,
            namespace=options.namespace,
            image="not-built-yet",
            device=device,
            network=site.network,
            port=self._ports().get(function),
            model=self._model(options.model),
            mask_model=self._model(options.mask_model),
            labels=options.labels,
            answer_form=answer_form,
            redis=_redis(options),
            scheduling=_scheduling(options),
        )

    def _model(self, text: str) -> str:
        return self.own_models[text].place if text in self.own_models else text

    def _check_models(self, function: str, rendered: Rendered) -> None:
        """Does the image that --no-build deploys hold the checkpoints of the function.yaml?"""
        if rendered.claim:
            return
        held = self.platform.held_models(rendered.image, self.state.current(function))
        for model in rendered.models if held is not None else ():
            if model not in (held or ()):
                self.console.problem(
                    f"{rendered.image} does not hold {model}, but: {' '.join(sorted(held or ())) or 'nothing'}",
                    "leave --no-build out, so that an image with it is built",
                )

    def _print_plan(self, site: Site, device: Device, answer_form: str, rendered: Mapping[str, Rendered]) -> None:
        self.console.step("plan")
        for line in plan.lines(self.options, site, device, answer_form, self.functions):
            self.console.say(line)
        self.console.say(plan.base_image(device, self.images.has_packages(device)))
        self.console.table("what it takes", plan.COLUMNS, list(plan.rows(rendered, device, self.own_models.values())))
        for line in plan.free(site):
            self.console.say(line)

    def _function_yaml(self, function: str) -> Path:
        return self.repository / "functions" / function / "function.yaml"

    # The rollout.

    def _ask_redis(self, rendered: Mapping[str, Rendered]) -> Mapping[str, str]:
        """What Redis says to each function that uses it, before anything is touched."""
        redis = _redis(self.options)
        if redis is None or self.options.dry_run:
            return {}
        said = {}
        for function, file in rendered.items():
            if function in _WITH_REDIS:
                said[function] = self.platform.ask_redis(file.image, redis)
        for answer in sorted(set(said.values()) - {"ok", ""}):
            self.console.problem(
                f"Redis at {redis.host}:{redis.port} does not answer on CVAT's network: {answer}",
                "check --redis and its password; CVAT's own is cvat_redis_ondisk:6666",
            )
        return said

    def _roll_out(
        self, rendered: Mapping[str, Rendered], reported: Mapping[str, Reported | None], redis: Mapping[str, str]
    ) -> None:
        self.console.step("deployment")
        if self.options.dry_run or not self.nuclio.has_project():
            self._change(self.nuclio.create_project_command())
        outcomes = {}
        for function, file in rendered.items():
            if self.options.dry_run:
                printed = Path(f"{function}.yaml")
                self.console.command(self.nuclio.deploy_command(function, printed, file.image))
                continue
            self.console.step(function)
            outcomes[function] = self.rollout.deploy(function, file, reported[function])
        if not self.options.dry_run:
            self._conclude(outcomes, redis)

    def _conclude(self, outcomes: Mapping[str, Outcome], redis: Mapping[str, str]) -> None:
        """The table, CVAT's own view, and what failed. Raises StoppedError if something did."""
        columns = ("function", "model", "device", "port", "Redis", "ready", "first ms", "second ms")
        rows = [_row(function, outcome, redis.get(function, "-")) for function, outcome in outcomes.items()]
        self.console.table("deployed", columns, rows)
        self.platform.verify({name: each.runs for name, each in outcomes.items() if each.runs is not None})
        failed = {function: outcome.failure for function, outcome in outcomes.items() if outcome.failure}
        for function, failure in failed.items():
            log = f"its log is above, and in {self.state.folder}/{function}.failed.log"
            self.console.problem(f"not deployed: {function}: {failure}", log)
        if failed:
            raise StoppedError

    def _rollbacks(self) -> Mapping[str, Rendered]:
        chosen = {}
        for function in self.functions:
            previous = self.state.previous(function)
            if previous is not None:
                chosen[function] = previous
            elif self.options.functions:
                self.console.problem(
                    f"nothing was deployed before the present {function}",
                    "deploy the version you want with ./deploy.sh",
                )
        if not chosen and not self.options.functions:
            what = f"no function has a previous version in {self.state.folder}"
            self.console.problem(what, "deploy the version you want with ./deploy.sh")
        return chosen

    def _status(self, function: str) -> Sequence[str]:
        try:
            reported = self.nuclio.get(function) if commands.installed("nuctl") else None
        except DeployError:
            reported = None
        said = ("-", "-") if reported is None else (reported.state, str(reported.port or "-"))
        return function, *self.platform.status(function), *said

    def _change(self, command: Sequence[str]) -> None:
        """Show the command; run it unless this is a dry run. Raises StoppedError."""
        self.console.command(command)
        if self.options.dry_run:
            return
        try:
            commands.run(command)
        except CommandError as error:
            self.console.problem(f"{' '.join(command[:3])} failed: {error}", "run the command above by hand")
            raise StoppedError from None


def _known(site: Site) -> Site:
    version = site.nuclio_version or _UNKNOWN_SITE.nuclio_version
    network = site.network or _UNKNOWN_SITE.network
    return Site(version, site.cvat_version, network, site.free)


def _device(image: str) -> Device:
    try:
        return image_device(image)
    except ValueError:
        return Device.CPU


def _redis(options: Options) -> SharedRedis | None:
    if options.redis is None:
        return None
    host, port = options.redis
    return SharedRedis(host, port, options.redis_tls, options.redis_password_file, options.redis_secret)


def _scheduling(options: Options) -> Scheduling:
    least, most = options.replicas or (1, 1)
    return Scheduling(
        node_selector=options.node_selector,
        tolerations=options.tolerations,
        min_replicas=least,
        max_replicas=most,
        pull_secret=options.pull_secret,
        weights_claim=options.weights_pvc,
    )


def _row(function: str, outcome: Outcome, redis: str) -> Sequence[str]:
    runs, timing = outcome.runs, outcome.timing
    times = (f"{timing.first:.0f}", f"{timing.second:.0f}") if timing else ("-", "-")
    if runs is None:
        return function, "-", "-", "-", "-", outcome.how, *times
    model = next(iter(runs.models), "-")
    return function, model, runs.device, str(runs.port or "-"), redis or "-", outcome.how, *times


def _follow(followed: Mapping[str, Sequence[str]]) -> None:
    """Print what these commands print until all have ended; they end with this one at the latest."""
    with ExitStack() as stack:
        processes = {name: stack.enter_context(commands.started(each)) for name, each in followed.items()}
        threads = [Thread(target=_copy, args=each, daemon=True) for each in processes.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _copy(function: str, process: subprocess.Popen[str]) -> None:
    for line in process.stdout or ():
        sys.stdout.write(f"{function} | {line}")
        sys.stdout.flush()
