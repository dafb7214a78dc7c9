"""What ``promptable deploy`` does: deploy, status, logs, rollback, remove."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from promptable.deploy import commands
from promptable.deploy.commands import CommandError
from promptable.deploy.console import Console, StoppedError
from promptable.deploy.errors import DeployError
from promptable.deploy.image.build import Images
from promptable.deploy.nuclio import Nuclio
from promptable.deploy.options import Action, Options, all_functions
from promptable.deploy.platforms import tools
from promptable.deploy.platforms.base import Platform
from promptable.deploy.platforms.context import pinned
from promptable.deploy.platforms.docker import Docker
from promptable.deploy.platforms.kubernetes import Kubernetes
from promptable.deploy.preparation import Preparation
from promptable.deploy.rendering.rendered import Rendered
from promptable.deploy.rendering.reported import Reported
from promptable.deploy.rendering.target import PlatformName
from promptable.deploy.rollout.outcome import COLUMNS, Outcome
from promptable.deploy.rollout.past import past
from promptable.deploy.rollout.rollout import Rollout
from promptable.deploy.rollout.state import LockedError, State, state_of
from promptable.deploy.rollout.way_back import WayBack

_REDIS_REMEDY = "check --redis and its password; CVAT's own is cvat_redis_ondisk:6666"
_CERTIFICATE_REMEDY = "--redis-ca FILE names the authority that signed its certificate, as a PEM file"


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
        with pinned(self.work) if self.options.platform is PlatformName.KUBE else nullcontext():
            if self.options.action in (Action.STATUS, Action.LOGS) or self.options.dry_run:
                actions[self.options.action]()
            else:
                self._alone(actions[self.options.action])

    # Actions.

    def deploy(self) -> None:
        """Check, build, deploy, call; the functions that fail do not keep the others from coming up."""
        self.console.step("checks")
        found = self.preparation.check(self.functions)
        reported = self._reported(self.functions)
        last = {function: past(self.state, function, reported[function]).last for function in self.functions}
        rendered = self.preparation.prepare(found, last)
        redis = self._ask_redis(rendered)
        self.console.stop_on_problems()
        self.console.step("deployment")
        self._make_project()
        self._roll_out(rendered, redis)

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
        commands.follow({function: command for function, command in followed.items() if command})
        if not all(followed.values()):
            raise StoppedError

    def rollback(self) -> None:
        """Back to what was deployed before, or has been removed; of functions that were not named, those that run and
        have a version before."""
        self._check_nuctl()
        self._reach()
        reported = self._reported(self.functions)
        self.console.stop_on_problems()
        chosen = WayBack(self.console, self.platform, self.images, self.state).choose(
            reported, named=bool(self.options.functions)
        )
        self.console.stop_on_problems()
        self._roll_out(chosen, {})

    def remove(self) -> None:
        """Out of CVAT's model list; the images stay."""
        self._check_nuctl()
        self._reach()
        stay = []
        for function in self.functions:
            if not self._change(self.nuclio.delete_command(function)):
                stay.append(function)
            elif not self.options.dry_run:
                self.state.end(function)
        if stay:
            raise StoppedError

    def _alone(self, action: Callable[[], None]) -> None:
        """Do it while no other run of this user changes anything there."""
        try:
            with self.state.locked():
                action()
        except LockedError:
            where = f"{self.options.platform}, namespace {self.options.namespace}"
            self.console.problem(f"another deploy.sh is at work on {where}", "wait until it has ended")
            raise StoppedError from None

    # What the run works with.

    @property
    def functions(self) -> Sequence[str]:
        return self.options.functions or all_functions(self.repository)

    @cached_property
    def images(self) -> Images:
        return Images(self.options, self.console, self.repository, self.work, self.state.folder / "build.log")

    @cached_property
    def platform(self) -> Platform:
        make = Docker if self.options.platform is PlatformName.LOCAL else Kubernetes
        return make(self.options, self.console, self.images)

    @cached_property
    def nuclio(self) -> Nuclio:
        return Nuclio(self.options.platform, self.options.namespace)

    @cached_property
    def state(self) -> State:
        try:
            return state_of(self.options.platform, self.options.namespace)
        except RuntimeError:  # pathlib's for a user whom the system does not know
            self.console.problem("this user has no home folder to remember deployments in", "export XDG_STATE_HOME=DIR")
            raise StoppedError from None

    @cached_property
    def preparation(self) -> Preparation:
        return Preparation(self.options, self.console, self.repository, self.platform, self.images)

    @cached_property
    def rollout(self) -> Rollout:
        return Rollout(self.platform, self.nuclio, self.images, self.state, self.console, self.work)

    def _reach(self) -> None:
        self.platform.reach()
        self.console.stop_on_problems()

    def _check_nuctl(self) -> None:
        tools.check(self.console, "nuctl")

    def _reported(self, functions: Iterable[str]) -> Mapping[str, Reported | None]:
        """What Nuclio runs. Somebody else, or another machine, may have deployed it."""
        found: dict[str, Reported | None] = dict.fromkeys(functions)
        if not commands.installed("nuctl"):  # a dry run has said so
            return found
        for function in found:
            try:
                found[function] = self.nuclio.get(function)
            except DeployError as error:
                self.console.problem(str(error), f"nuctl get function {function} --platform {self.options.platform}")
        return found

    # The rollout.

    def _ask_redis(self, rendered: Mapping[str, Rendered]) -> Mapping[str, str]:
        """What Redis says to each function that uses it, before anything is touched."""
        redis = self.options.shared_redis
        if redis is None or self.options.dry_run:
            return {}
        told = {function: file for function, file in rendered.items() if file.redis_host}
        said = {function: self.platform.ask_redis(file) for function, file in told.items()}
        for answer in sorted(set(said.values()) - {"ok", ""}):
            self.console.problem(
                f"Redis at {redis.host}:{redis.port} does not answer on CVAT's network: {answer}",
                _REDIS_REMEDY if "certificate" not in answer else _CERTIFICATE_REMEDY,
            )
        return said

    def _make_project(self) -> None:
        """Nuclio's project in which CVAT looks for functions."""
        missing = self.options.dry_run or not self.nuclio.has_project()
        if missing and not self._change(self.nuclio.create_project_command()):
            raise StoppedError

    def _roll_out(self, versions: Mapping[str, Rendered], redis: Mapping[str, str]) -> None:
        """Deploy them one by one, to the table; in a dry run say what would be deployed."""
        outcomes = {}
        for function, version in versions.items():
            if self.options.dry_run:
                self.console.command(self.nuclio.deploy_command(function, Path(f"{function}.yaml"), version.image))
            else:
                self.console.step(f"{function}: {version.image}")
                outcomes[function] = self.rollout.deploy(function, version)
        if not self.options.dry_run:
            self._conclude(outcomes, redis)

    def _conclude(self, outcomes: Mapping[str, Outcome], redis: Mapping[str, str]) -> None:
        """The table, CVAT's own view, and what failed. Raises StoppedError if something did."""
        outcomes = {function: self.rollout.confirmed(function, outcome) for function, outcome in outcomes.items()}
        rows = [outcome.row(function, redis.get(function, "")) for function, outcome in outcomes.items()]
        self.console.table("deployed", COLUMNS, rows)
        self.platform.verify({name: each.runs for name, each in outcomes.items() if each.runs is not None})
        failed = [outcome for outcome in outcomes.values() if outcome.failure]
        for outcome in failed:
            self.console.problem(outcome.failure, outcome.remedy)
        if failed:
            raise StoppedError

    def _status(self, function: str) -> Sequence[str]:
        reported = self.nuclio.look(function)
        said = ("-", "-") if reported is None else (reported.state, str(reported.port or "-"))
        return function, *self.platform.status(function), *said

    def _change(self, command: Sequence[str]) -> bool:
        """Show the command, and run it unless this is a dry run. Whether it succeeded; a failure has been said."""
        self.console.command(command)
        if self.options.dry_run:
            return True
        try:
            commands.run(command)
        except CommandError as error:
            self.console.problem(f"{' '.join(command[:4])} failed: {error}", "run the command above by hand")
            return False
        return True
