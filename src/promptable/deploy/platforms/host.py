"""This machine under Docker: its disks, memory and ports."""

import errno
import json
import shutil
import socket
import tomllib
from pathlib import Path

from promptable.deploy.commands import ask
from promptable.deploy.console import Console

GIB = 1 << 30


def check_disk(console: Console, folder: Path, needs_gib: int, what: str) -> None:
    """Has this folder's disk ``needs_gib`` free for ``what``?"""
    if folder.is_dir() and (free := shutil.disk_usage(folder).free) < needs_gib * GIB:
        console.problem(
            f"{folder} has {free // GIB} GB free, and {what} needs {needs_gib}",
            "docker builder prune and docker image prune free what old builds left",
        )


def free() -> dict[str, str]:
    """Free memory and disk, in words."""
    folder = image_folder()
    left = {"memory": f"{_available_memory() / GIB:.0f} GB"}
    if folder.is_dir():
        left["disk"] = f"{shutil.disk_usage(folder).free / GIB:.0f} GB in {folder}"
    return left


def image_folder() -> Path:
    """Where Docker's images lie: with containerd's image store that is containerd's folder."""
    said = ask("docker", "info", "--format", "{{json .}}")
    info = json.loads(said.out) if said.ok and said.out.startswith("{") else {}
    root = Path(info.get("DockerRootDir") or "/nowhere")
    if "io.containerd.snapshotter.v1" not in str(info.get("DriverStatus")):
        return root
    own = root / "containerd"  # a containerd that dockerd started itself
    return own if own.is_dir() else _containerd_root()


def _containerd_root() -> Path:
    try:
        config = tomllib.loads(Path("/etc/containerd/config.toml").read_text())
    except (OSError, ValueError):
        config = {}
    return Path(config.get("root", "/var/lib/containerd"))


def taken(port: int) -> bool:
    """Does a program listen on this port, on whatever address of this machine?"""
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):  # noqa: S104 - what Docker binds
        try:
            with socket.socket(family) as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family is socket.AF_INET6:
                    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                listener.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return True
    return False


def _available_memory() -> int:
    lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) * 1024
