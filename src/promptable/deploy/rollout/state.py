"""What this user deployed last, what was before, and what was being tried: on disk, a rendered function.yaml each."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from promptable.deploy.platforms.identity import identity
from promptable.deploy.rendering.rendered import Rendered
from promptable.deploy.rendering.reported import Reported
from promptable.deploy.rendering.target import PlatformName


class LockedError(RuntimeError):
    """Another run is at work."""


@dataclass(frozen=True)
class Attempt:
    """A deployment that has begun, and has neither been found to work nor been taken back: it was interrupted."""

    tried: Rendered
    before: Rendered | None
    """What ran when it began; None if nothing did."""


@dataclass(frozen=True)
class State:
    """The versions that are known of one namespace of one engine or cluster."""

    folder: Path
    answers: bool = True
    """Does the engine or cluster answer? Nothing is changed, and so nothing remembered, of one that does not."""

    def current(self, function: str) -> Rendered | None:
        """What was deployed last."""
        return _read(self._file(function, "current"))

    def previous(self, function: str) -> Rendered | None:
        """What was deployed before that."""
        return _read(self._file(function, "previous"))

    def unchanged(self, function: str, reported: Reported | None) -> bool:
        """Is what Nuclio has the current version, and nothing of it changed since it was found to work?"""
        now = self.current(function)
        if now is None or reported is None or not reported.holds(now):
            return False
        return reported.deployable() == _read(self._file(function, "reported"))

    def remember(self, function: str, now: Rendered, last: Rendered | None, reported: Reported | None) -> None:
        """``now`` runs; ``last`` is what worked before it, None if nothing. The same again keeps what was previous.

        ``reported`` is what Nuclio has made of it; None if it did not say.
        """
        made = None if reported is None else reported.deployable()
        if last == made:  # somebody else had deployed the same already
            last = self.current(function)
        if last is not None and last != now:
            self._write(function, "previous", last)
        self._write(function, "current", now)
        self._write(function, "reported", made)
        self.end(function)

    def images(self, function: str) -> set[str]:
        """The images of these versions, and of the one that is being tried."""
        attempt = self.attempt(function)
        tried = None if attempt is None else attempt.tried
        known = (self.current(function), self.previous(function), tried)
        return {each.image for each in known if each is not None}

    def attempt(self, function: str) -> Attempt | None:
        """The deployment that was interrupted."""
        tried = _read(self._file(function, "tried"))
        return None if tried is None else Attempt(tried, _read(self._file(function, "before")))

    def begin(self, function: str, tried: Rendered, before: Rendered | None) -> None:
        """``tried`` is about to be deployed in place of ``before``."""
        self._write(function, "before", before)
        self._write(function, "tried", tried)  # last: without it there is no attempt

    def end(self, function: str) -> None:
        """Whatever was tried works, or what ran before it does, or nothing is to run."""
        for which in ("tried", "before"):
            self._write(function, which, None)

    def keep_log(self, function: str, log: str) -> Path:
        """Keep the log of a version that did not work; its container goes."""
        file = self.folder / f"{function}.failed.log"
        _write(file, log)
        return file

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Two runs at once would take each other's functions for their own. Raises LockedError.

        The folder is for this user only: what somebody else has deployed may hold a password.
        """
        if not self.answers:
            yield
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise LockedError from None
            yield

    def _write(self, function: str, which: str, version: Rendered | None) -> None:
        """Keep this version as current, previous or another one; None forgets it."""
        file = self._file(function, which)
        if version is None:
            file.unlink(missing_ok=True)
        else:
            _write(file, version.text)

    def _file(self, function: str, which: str) -> Path:
        return self.folder / f"{function}.{which}.yaml"


def state_of(platform: PlatformName, namespace: str) -> State:
    """The state of this user's deployments, in the folder that XDG names for such things."""
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    known = identity(platform, namespace)
    place = "-".join(filter(None, (platform, namespace, known)))
    return State(Path(home) / "promptable" / place, answers=bool(known))


def _read(file: Path) -> Rendered | None:
    return Rendered(file.read_text(encoding="utf-8")) if file.is_file() else None


def _write(file: Path, text: str) -> None:
    """Write all of the file or nothing."""
    new = file.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(file)
