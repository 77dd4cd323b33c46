"""Images for a training from a manifest without labels, a folder with masks beside them, and a data set plugin."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from joblib.externals.loky.process_executor import TerminatedWorkerError
from PIL import Image as Picture

from harmbench.cli import run_command
from harmbench.components import DatasetContext
from harmbench.errors import DataError, HarmbenchError, UsageError
from harmbench.progress import no_progress
from harmbench.seen import content_id, patient_id
from harmbench_builtin.datasets.image_folder import ImageFolder
from harmbench_builtin.harmonizers.ssl_kernel.kernels import load_kernels
from harmbench_builtin.pretrain import model
from harmbench_builtin.pretrain.images import PretrainingImages
from harmbench_builtin.pretrain.settings import Settings
from harmbench_builtin.pretrain.sources import Source, read, split_settings
from harmbench_builtin.pretrain.train import KERNELS
from pretraining_toy import TOY


def grey(number: int, side: int = 48) -> np.ndarray:
    return np.random.default_rng(number).integers(1, 255, (side, side)).astype(np.uint8)


@pytest.fixture
def clinic(tmp_path: Path) -> Path:
    """Four images in a folder, a mask of each in another, and manifests with and without labels."""
    folder = tmp_path / "clinic"
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    mask = np.zeros((48, 48), np.uint8)
    mask[10:30, 10:30] = 255
    for number in range(4):
        Picture.fromarray(grey(number)).save(folder / "images" / f"{number}.png")
        Picture.fromarray(mask).save(folder / "masks" / f"{number}.png")
    rows = [f"images/{n}.png,masks/{n}.png,{'AB'[n % 2]},q{n},{'xy'[n // 2]}" for n in range(4)]
    (folder / "full.csv").write_text("\n".join(["image,mask,manufacturer,patient,label", *rows]))
    (folder / "bare.csv").write_text("\n".join(["image,patient", *(f"images/{n}.png,q{n}" for n in range(4))]))
    return folder


def images_of(data: Path | str, **more: object) -> PretrainingImages:
    return read(Source(str(data), **more), Settings(), Path("unused"), no_progress)  # type: ignore[arg-type]


def test_a_manifest_needs_images_only_and_gives_what_a_labelled_one_gives(clinic: Path) -> None:
    bare, full = images_of(clinic / "bare.csv"), images_of(clinic / "full.csv")
    assert bare.ids == full.ids == tuple(f"images/{n}" for n in range(4))
    assert bare.digest() == full.digest()
    run = ImageFolder().load(DatasetContext(data=str(clinic / "full.csv")))
    assert bare.patient_ids == tuple(patient_id("image-folder", s.patient) for s in run.samples)
    # A run finds the images by their grey levels, as its own reader gives them.
    assert bare.content_ids == full.content_ids == tuple(content_id(image.pixels) for image in run)


def test_a_row_without_a_patient_lists_its_image_only(clinic: Path) -> None:
    (clinic / "some.csv").write_text("image,patient\nimages/0.png,q0\nimages/1.png,\nimages/2.png,NA\n")
    images = images_of(clinic / "some.csv")
    assert images.patient_ids == (patient_id("image-folder", "q0"), b"", b"")
    assert len(images.seen().patients) == 1 and len(images.seen().images) == 3


def test_a_missing_and_a_damaged_file_of_a_manifest_are_left_out_and_named(clinic: Path) -> None:
    (clinic / "images" / "2.png").write_bytes(b"\x89PNG and no more")
    (clinic / "images" / "3.png").unlink()
    images = images_of(clinic / "bare.csv")
    assert images.ids == ("images/0", "images/1")
    assert [name for name, _ in images.skipped] == ["images/2", "images/3"]
    assert "does not exist" in images.skipped[1][1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,patient\na.png,1\n", r"row 1: the column 'image' is missing"),
        ("image\nimages/0.png\n\nimages/0.png\n", r"row 4, column 'image': .* already in row 2"),
        ("image,patient\n,7\nimages/0.png,7\n", r"row 2, column 'image': the cell is empty"),
        ("image,patient\n,7\n,8\n", r"And 1 more: in m\.csv"),
        ("image\n../secret.png\n", r"no usable image .*secret\.png"),
    ],
)
def test_a_wrong_manifest_is_an_error_with_its_row(clinic: Path, text: str, message: str) -> None:
    (clinic / "m.csv").write_text(text)
    with pytest.raises(DataError, match=f"(?s){message}"):
        images_of(clinic / "m.csv")


def test_a_folder_with_a_manifest_is_read_by_it_and_its_masks_are_no_images(clinic: Path) -> None:
    assert len(images_of(clinic)) == 8
    (clinic / "bare.csv").rename(clinic / "manifest.csv")
    assert images_of(clinic).ids == tuple(f"images/{n}" for n in range(4))


def test_images_are_stored_as_large_as_the_crops(clinic: Path) -> None:
    images = read(Source(str(clinic / "bare.csv")), Settings(image_size=320), Path("unused"), no_progress)
    assert images.pixels.shape == (4, 320, 320)
    assert images_of(clinic / "bare.csv").pixels.shape == (4, 224, 224)


def test_a_data_set_by_name_is_trained_on_with_its_patients(
    tmp_path: Path, clinic: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(model.ARCHITECTURES, "toy", TOY)
    small = [f"--set={n}={v}" for n, v in (("size", "toy"), ("image_size", 32), ("batch", 2), ("steps", 1),
             ("decoder_width", 8), ("threads", 1), ("reconstruct_every", 0))]  # fmt: skip
    out = tmp_path / "out"
    arguments = ["--dataset", "image-folder", "--data", str(clinic / "full.csv"), "--set", "image-folder.exclude=A"]
    assert run_command(["pretrain", "--quiet", "--out", str(out), *arguments, *small]) == 0
    kernels = load_kernels(out / KERNELS)
    assert kernels.provenance["data"]["name"] == "image-folder" and kernels.provenance["data"]["images"] == 2
    assert len(kernels.seen.patients) == 2


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"data": "x", "count": 4}, "--images is about generated phantom images; it does not go with --data"),
        ({"dataset": "bus-bra", "count": 4}, "it does not go with --dataset"),
        ({"data": "x", "scanners": "GE-like"}, "--scanners is about"),
        ({"dataset": "bus-bar"}, "Did you mean 'bus-bra'"),
        ({"dataset": "bus-bra"}, "'bus-bra' needs --data"),
        ({"dataset": "plax-phantom", "data": "x"}, "makes its own data"),
    ],
)
def test_images_that_do_not_go_together_are_refused(source: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read(Source(**source), Settings(), Path("unused"), no_progress)  # type: ignore[arg-type]


def test_a_file_that_is_no_manifest_is_named(clinic: Path) -> None:
    with pytest.raises(DataError, match=r"0\.png: this is neither a folder nor a manifest"):
        images_of(clinic / "images" / "0.png")


def test_settings_of_the_data_set_are_told_from_those_of_the_training() -> None:
    texts = ["steps=3", "bus-bra.exclude=GE", "lr=1"]
    assert split_settings(texts, "bus-bra") == (["steps=3", "lr=1"], ("exclude=GE",))
    assert split_settings(texts, "") == (texts, ())


def test_what_does_not_fit_the_machine_is_found_before_images_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data", "nowhere", "--set", "batch=7", "--set", "accumulate=2"]
    assert run_command(["pretrain", "--out", str(tmp_path), *arguments]) == 1
    assert "A batch of 7 cannot be divided" in capsys.readouterr().err


def test_a_killed_worker_is_said_as_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object, **__: object) -> PretrainingImages:
        raise TerminatedWorkerError("A worker process was unexpectedly terminated.")

    monkeypatch.setattr("harmbench_builtin.pretrain.data.from_phantom", killed)
    with pytest.raises(HarmbenchError, match=r"was killed .* run the same command again"):
        read(Source(count=4), Settings(), Path("unused"), no_progress)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are counted in /proc")
def test_sigterm_while_images_are_made_leaves_no_worker_behind(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "import harmbench.run.run\n"
        "harmbench.run.run.default_jobs = lambda: 2\n"
        "from harmbench.cli import run_command\n"
        "sys.exit(run_command(['pretrain', '--out', sys.argv[1], '--images', '400']))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "out")],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as running:
        try:
            deadline = time.monotonic() + 60
            while len(_session(running.pid)) < 3 and time.monotonic() < deadline:  # the workers are there
                time.sleep(0.1)
            assert len(_session(running.pid)) >= 3
            running.send_signal(signal.SIGTERM)
            # Workers share the pipe: it ends when the last one has.
            _, said = running.communicate(timeout=30)
        finally:
            if running.poll() is None or _session(running.pid):
                os.killpg(running.pid, signal.SIGKILL)
    assert running.returncode == 128 + signal.SIGTERM
    assert "Ended by SIGTERM" in said and "Run the same command again" in said


def _session(leader: int) -> list[int]:
    """The processes of a session, by /proc."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            found.append(int(entry.name))
    return found
