import argparse
import json
import os
from pathlib import Path

import httpx
import pytest
import yaml

from promptable.cli import weights
from promptable.config.function_yaml import load
from promptable.local.options import Options, environment, with_labels
from promptable.models.cores import openmp

from .conftest import Serve, write_function

_ENVIRONMENT = """
import os
def handler(context, event):
    return {name: value for name, value in os.environ.items() if name.startswith(("PROMPTABLE_", "TEST_"))}
"""


def test_the_environment_of_a_function(
    tmp_path: Path, serve_all: Serve, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TEST_SERVER", "TEST_FILE", "TEST_CALLER"):
        monkeypatch.setenv(name, "server")
    env = [{"name": name, "value": "file"} for name in ("TEST_FILE", "TEST_CALLER")]
    write_function(tmp_path, "cats", _ENVIRONMENT, env=env)
    with serve_all(env={"TEST_CALLER": "caller"}) as running:
        seen = client.post(running.url("cats"), json={}).json()
        deployed = yaml.safe_load(Path(seen["PROMPTABLE_FUNCTION_CONFIG"]).read_text())
    assert (seen["TEST_SERVER"], seen["TEST_FILE"], seen["TEST_CALLER"]) == ("server", "file", "caller")
    assert deployed == yaml.safe_load((tmp_path / "cats" / "function.yaml").read_text())
    assert not Path(seen["PROMPTABLE_FUNCTION_CONFIG"]).exists()
    assert os.environ["TEST_CALLER"] == "server"


@pytest.mark.parametrize(
    ("function", "folder"), [("grounding-dino", "grounding-dino"), ("sam-interactor", "sam"), ("sam2-tracker", "sam2")]
)
def test_a_folder_of_models_gives_each_function_its_own(tmp_path: Path, function: str, folder: str) -> None:
    config = load(write_function(tmp_path, function) / "function.yaml")
    seen = environment(config, Options(models=tmp_path / "toy"), tmp_path)
    assert seen["PROMPTABLE_MODEL"] == str(tmp_path / "toy" / folder)
    assert seen["PROMPTABLE_MASK_MODEL"] == str(tmp_path / "toy" / "sam")


def test_what_the_caller_sets_wins_over_the_folder_of_models(tmp_path: Path) -> None:
    config = load(write_function(tmp_path, "sam-interactor") / "function.yaml")
    options = Options(models=tmp_path, env={"PROMPTABLE_MODEL": "vit_b"})
    assert environment(config, options, tmp_path)["PROMPTABLE_MODEL"] == "vit_b"


def test_what_was_downloaded_is_where_functions_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROMPTABLE_WEIGHTS", raising=False)
    config = load(write_function(tmp_path, "sam-interactor") / "function.yaml")
    download = argparse.ArgumentParser()
    weights.add_arguments(download)
    folder = str(download.parse_args(["vit_b"]).weights)
    assert environment(config, Options(), tmp_path)["PROMPTABLE_WEIGHTS"] == folder
    monkeypatch.setenv("PROMPTABLE_WEIGHTS", "elsewhere")
    assert environment(config, Options(), tmp_path)["PROMPTABLE_WEIGHTS"] == "elsewhere"


def test_a_labels_file_replaces_the_labels_of_detectors_only(
    tmp_path: Path, serve_all: Serve, client: httpx.Client
) -> None:
    write_function(tmp_path, "cats", _ENVIRONMENT)
    labels = tmp_path / "labels.yaml"
    labels.write_text("- rivet\n")
    with serve_all(labels=labels) as running:
        annotations = client.get(f"{running.dashboard_url}/api/functions/cats").json()["metadata"]["annotations"]
        seen = client.post(running.url("cats"), json={}).json()
        deployed = yaml.safe_load(Path(seen["PROMPTABLE_FUNCTION_CONFIG"]).read_text())
    assert [label["name"] for label in json.loads(annotations["spec"])] == ["rivet"]
    assert deployed["metadata"]["annotations"] == annotations


def test_a_labels_file_leaves_other_kinds_of_functions_alone(tmp_path: Path) -> None:
    folder = write_function(tmp_path, "sam-interactor")
    text = (folder / "function.yaml").read_text().replace("type: detector", "type: interactor")
    (folder / "function.yaml").write_text(text)
    config = load(folder / "function.yaml")
    assert with_labels(config, Options(labels=tmp_path / "absent.yaml")) == config


def test_the_ports(tmp_path: Path) -> None:
    config = load(write_function(tmp_path, "cats", trigger={"attributes": {"port": 32001}}) / "function.yaml")
    assert Options().port(config, 2) == 32001
    assert Options(port_base=9000).port(config, 2) == 9002
    assert Options(port_base=0).port(config, 2) == 0


def test_the_log_goes_to_a_file(tmp_path: Path, serve_all: Serve, client: httpx.Client) -> None:
    main = "print('importing')\ndef handler(context, event): context.logger.info_with('hello', number=3)"
    write_function(tmp_path, "cats", main)
    with serve_all(log=tmp_path / "log") as running:
        client.post(running.url("cats"), json={})
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines[0] == "importing"
    assert lines[1].endswith("info cats: hello number=3")


def test_openmps_threads_give_way_to_other_functions_unless_the_user_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load(write_function(tmp_path, "cats") / "function.yaml")
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    assert environment(config, Options(), tmp_path)["GOMP_SPINCOUNT"] == openmp.ENVIRONMENT["GOMP_SPINCOUNT"]
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    assert environment(config, Options(), tmp_path)["GOMP_SPINCOUNT"] == "7"


def test_the_images_tell_openmp_the_same() -> None:
    dockerfile = (Path(__file__).parents[2] / "docker" / "Dockerfile").read_text()
    assert all(f"\nENV {name}={value}\n" in dockerfile for name, value in openmp.ENVIRONMENT.items())
