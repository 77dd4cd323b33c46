"""Downloads, against a server on this machine that speaks the hub's protocol. Nothing else is ever contacted."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from harmbench.errors import UsageError
from harmbench_builtin.harmonizers.ssl_kernel.kernels import load_kernels
from harmbench_builtin.kernels.hub import fetch

pytest.importorskip("huggingface_hub", reason="the extra 'hub' is not installed")

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "lab/convnextv2_atto.fcmae"


class Hub:
    """A hub with one repository."""

    def __init__(self, files: dict[str, bytes], licence: str) -> None:
        self.asked: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(with_body=True)

            def do_HEAD(self) -> None:
                self._answer(with_body=False)

            def _answer(self, with_body: bool) -> None:
                path = self.path.partition("?")[0]
                hub.asked.append(f"{self.command} {path}")
                name = path.removeprefix(f"/{REPOSITORY}/resolve/{COMMIT}/")
                if path.startswith(f"/api/models/{REPOSITORY}"):
                    info = {
                        "id": REPOSITORY, "modelId": REPOSITORY, "sha": COMMIT, "private": False, "tags": [],
                        "siblings": [{"rfilename": file} for file in files], "cardData": {"license": licence},
                    }  # fmt: skip
                    self._send(200, json.dumps(info).encode(), "application/json", with_body)
                elif name in files:
                    self._send(200, files[name], "application/octet-stream", with_body)
                else:
                    self._send(404, b"{}", "application/json", with_body, error="RepoNotFound")

            def _send(self, code: int, body: bytes, kind: str, with_body: bool, error: str = "") -> None:
                self.send_response(code)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("ETag", f'"{hashlib.sha1(body).hexdigest()}"')
                self.send_header("X-Repo-Commit", COMMIT)
                if error:
                    self.send_header("X-Error-Code", error)
                self.end_headers()
                if with_body:
                    self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


WEIGHTS = {
    "stem.0.weight": torch.randn(4, 3, 4, 4, generator=torch.Generator().manual_seed(0)),
    "stem.0.bias": torch.zeros(4),
    "stages.0.blocks.0.mlp.grn.weight": torch.zeros(16),
}


@pytest.fixture
def hub() -> Iterator[Hub]:
    config = {"pretrained_cfg": {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}}
    files = {"model.safetensors": save(WEIGHTS), "other.safetensors": save(WEIGHTS), "README.md": b"# A model"}
    server = Hub({**files, "config.json": json.dumps(config).encode()}, "cc-by-nc-4.0")
    yield server
    server.close()


def harmbench(hub: Hub | str, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A process of its own: the hub's library reads its settings when it is imported."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "http", "HTTP", "all_proxy", "ALL_PROXY"))}
    endpoint = hub if isinstance(hub, str) else hub.endpoint
    environment = {
        **kept, "HF_ENDPOINT": endpoint, "HF_HOME": str(home / "hf"), "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1", "NO_PROXY": "127.0.0.1",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }  # fmt: skip
    program = "import sys; from harmbench.cli import run_command; sys.exit(run_command(sys.argv[1:]))"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], env=environment, capture_output=True, text=True, timeout=120
    )


def test_a_repository_is_fetched_with_its_normalisation_licence_and_commit(hub: Hub, tmp_path: Path) -> None:
    out = tmp_path / "k.safetensors"
    ended = harmbench(hub, tmp_path, "kernels", "import", REPOSITORY, "--from-hub", "--out", str(out))
    assert ended.returncode == 0, ended.stderr
    kernels = load_kernels(out)
    source = kernels.provenance["source"]
    assert (source["hub"], source["hub_file"], source["revision"]) == (REPOSITORY, "model.safetensors", COMMIT)
    assert source["sha256"] == hashlib.sha256(save(WEIGHTS)).hexdigest()
    assert source["mean"] == [0.1, 0.2, 0.3] and "config.json" in source["normalisation"]
    assert kernels.licence == "cc-by-nc-4.0" and "NOT FOR COMMERCIAL USE" in ended.stderr
    expected = (WEIGHTS["stem.0.weight"].double().numpy() / np.array([0.4, 0.5, 0.6])[:, None, None]).sum(1)
    assert np.allclose(kernels.weight, expected, rtol=1e-12)


def test_a_named_file_is_the_one_that_is_fetched(hub: Hub, tmp_path: Path) -> None:
    out = tmp_path / "k.safetensors"
    named = f"{REPOSITORY}:other.safetensors"
    assert harmbench(hub, tmp_path, "kernels", "import", named, "--from-hub", "-o", str(out)).returncode == 0
    fetched = [path for path in hub.asked if path.startswith("GET") and path.endswith(".safetensors")]
    assert fetched and all(path.endswith("/other.safetensors") for path in fetched)


def test_nothing_is_fetched_without_being_asked_for(hub: Hub, tmp_path: Path) -> None:
    ended = harmbench(hub, tmp_path, "kernels", "import", REPOSITORY, "-o", str(tmp_path / "k.safetensors"))
    assert ended.returncode == 3 and "--from-hub" in ended.stderr and hub.asked == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (f"{REPOSITORY}:modle.safetensors", "Did you mean 'model.safetensors'"),
        ("lab/other", "no 'lab/other' for you to read"),
    ],
)
def test_what_the_hub_does_not_have_is_said(hub: Hub, tmp_path: Path, source: str, message: str) -> None:
    out = tmp_path / "k.safetensors"
    ended = harmbench(hub, tmp_path, "kernels", "import", source, "--from-hub", "--out", str(out))
    assert ended.returncode == 1 and message in ended.stderr and not out.exists()


def test_a_hub_that_does_not_answer_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    out = str(tmp_path / "k.safetensors")
    ended = harmbench("http://127.0.0.1:9", tmp_path, "kernels", "import", REPOSITORY, "--from-hub", "-o", out)
    assert ended.returncode == 3 and "could not be fetched" in ended.stderr and "download the file" in ended.stderr


@pytest.mark.parametrize("source", ["timm", "a/b/c", "/etc/passwd", "a/..", "../x:model.bin", ""])
def test_a_name_that_is_no_repository_is_refused_before_anything_is_asked(source: str) -> None:
    with pytest.raises(UsageError, match="--from-hub takes ORG/NAME"):
        fetch(source)
