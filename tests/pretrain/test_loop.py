"""Parts of the loop that must not change what is learnt: accumulation, averages, layouts, stores, compilation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Picture

from harmbench.errors import UsageError
from harmbench_builtin.pretrain import distributed, hardware, model, train
from harmbench_builtin.pretrain.average import Average
from harmbench_builtin.pretrain.distributed import World
from harmbench_builtin.pretrain.logs import require_tensorboard
from harmbench_builtin.pretrain.model import Architecture, Encoder, MaskedAutoencoder
from harmbench_builtin.pretrain.monitor import Window, Work
from harmbench_builtin.pretrain.residence import FetchedImages, ImagesInMemory, ImagesOnGpu, find_residence
from harmbench_builtin.pretrain.settings import Settings
from harmbench_builtin.pretrain.throughput import measured_peak, peak_memory_mb, training_flops
from harmbench_builtin.pretrain.train import pretrain
from pretraining_toy import TOY, log_of, same_weights, state_of, toy_images, toy_settings

CPU = torch.device("cpu")


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setitem(model.ARCHITECTURES, "toy", TOY)
    return toy_settings()


def close_weights(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.allclose(a[name], b[name], rtol=1e-4, atol=1e-6) for name in a)


@pytest.mark.parametrize("parts", [2, 4])
def test_a_batch_in_parts_gives_the_gradient_of_the_whole_batch(tmp_path: Path, toy: Settings, parts: int) -> None:
    # The wedge makes the parts' counts of scored cells differ, so a mean of means would be another number.
    pretrain(toy_images(), tmp_path / "whole", toy)
    pretrain(toy_images(), tmp_path / "parts", replace(toy, accumulate=parts))
    for whole, part in zip(log_of(tmp_path / "whole"), log_of(tmp_path / "parts"), strict=True):
        for name in ("loss", "trivial_loss", "gradient_norm", "masked_cells"):
            assert part[name] == pytest.approx(whole[name], rel=1e-4), name
    a, b = (state_of(tmp_path / name)["average"] for name in ("whole", "parts"))
    assert close_weights(a, b)


def test_a_batch_that_cannot_be_divided_is_refused(
    tmp_path: Path, toy: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=r"batch of 4 .* 1 process\(es\) with accumulate 3.* multiple of 3"):
        pretrain(toy_images(), tmp_path, replace(toy, accumulate=3))

    class Two:
        def __enter__(self) -> World:
            return World(rank=0, size=2)

        def __exit__(self, *error: object) -> None:
            pass

    monkeypatch.setattr(train, "connected", lambda device: Two())
    with pytest.raises(UsageError, match=r"batch of 5 .* 2 process\(es\).* multiple of 2"):
        pretrain(toy_images(), tmp_path, replace(toy, batch=5))
    assert not list(tmp_path.iterdir())


def test_without_the_variables_of_torchrun_there_is_one_process_and_no_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    with distributed.connected("cpu") as world:
        assert world == World() and not torch.distributed.is_initialized()
    for name, value in (("RANK", "3"), ("WORLD_SIZE", "8"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    assert distributed.launched() == World(rank=3, size=8, local_rank=1)


def test_the_average_follows_the_formula_of_its_warm_up() -> None:
    network = MaskedAutoencoder(TOY, decoder_width=4)
    average = Average(network, decay=0.2)
    expected = 0.0
    for update, value in enumerate([1.0, 3.0, -2.0, 5.0]):
        torch.nn.init.constant_(network.mask_token, value)
        average.update(network)
        # The first takes the weights over; then min(0.2, (1 + n) / (10 + n)): 2/11, 0.2, 0.2.
        decay = [0.0, 2 / 11, 0.2, 0.2][update]
        expected = decay * expected + (1 - decay) * value
    assert average.network.mask_token.mean().item() == pytest.approx(expected, rel=1e-6)
    assert network.mask_token.mean().item() == 5.0


def test_an_average_goes_on_from_its_checkpoint_with_the_decay_it_had() -> None:
    network = MaskedAutoencoder(TOY, decoder_width=4)
    one = Average(network, 0.99)
    for _ in range(3):
        one.update(network)
    other = Average(MaskedAutoencoder(TOY, decoder_width=4), 0.99)
    other.load_state_dict(one.state_dict())
    torch.nn.init.ones_(network.mask_token)
    for average in (one, other):
        average.update(network)
    assert torch.equal(one.network.mask_token, other.network.mask_token)


def test_without_an_average_none_is_kept_or_exported(tmp_path: Path, toy: Settings) -> None:
    pretrain(toy_images(), tmp_path / "with", toy)
    pretrain(toy_images(), tmp_path / "without", replace(toy, ema=0.0))
    assert (tmp_path / "with" / train.EMA_KERNELS).exists() and state_of(tmp_path / "with")["average"]
    assert not (tmp_path / "without" / train.EMA_KERNELS).exists()
    assert state_of(tmp_path / "without")["average"] is None


def test_kernel_files_say_whether_they_are_averaged(tmp_path: Path, toy: Settings) -> None:
    from harmbench_builtin.harmonizers.ssl_kernel.kernels import load_kernels

    pretrain(toy_images(), tmp_path, toy)
    raw, averaged = (load_kernels(tmp_path / name) for name in (train.KERNELS, train.EMA_KERNELS))
    assert raw.provenance["weights"] == "raw" and averaged.provenance["weights"] == "ema"
    assert raw.digest() != averaged.digest()
    assert np.array_equal(
        averaged.weight, state_of(tmp_path)["average"]["module.encoder.stem.0.weight"][:, 0].double().numpy()
    )


@pytest.mark.parametrize("size", [TOY, Architecture((1, 1, 1, 1), (4, 8, 8, 16), conv_mlp=False)])
def test_both_memory_layouts_compute_the_same(size: Architecture) -> None:
    torch.manual_seed(0)  # no output may come out so near 0 that rounding is all there is of it
    network = MaskedAutoencoder(size, decoder_width=8, init_sd=0.2).double()
    images = torch.randn(2, 1, 64, 64, dtype=torch.float64)
    visible = torch.tensor([[[[True, False], [False, True]]], [[[True, True], [False, False]]]])
    results = []
    for channels_last in (True, False):
        network.arrange(channels_last)
        network.zero_grad()
        out = network(images, visible)
        out.square().sum().backward()
        results.append((out.detach(), [p.grad.clone() for p in network.parameters() if p.grad is not None]))
        assert network.encoder.stages[1].downsample[1].weight.is_contiguous() is not channels_last
    (a, grad_a), (b, grad_b) = results
    assert torch.allclose(a, b, rtol=1e-10, atol=0)
    assert all(torch.allclose(x, y, rtol=1e-8, atol=1e-10) for x, y in zip(grad_a, grad_b, strict=True))


def test_images_from_files_or_memory_give_the_same_training_to_the_bit(tmp_path: Path, toy: Settings) -> None:
    for residence in ("device", "memory-map"):
        pretrain(toy_images(), tmp_path / residence, replace(toy, residence=residence))
    assert same_weights(state_of(tmp_path / "device"), state_of(tmp_path / "memory-map"))


def test_every_store_gives_the_chosen_images() -> None:
    images = toy_images()
    images = replace(images, pixels=images.pixels[:, :, :93].copy(), sector=images.sector[:, :, :93].copy())
    chosen, coming = torch.tensor([4, 0, 4]), torch.tensor([1, 2, 3])
    # The store for GPUs packs eight pixels of a sector into a byte; it asks nothing of the device.
    for store in (ImagesInMemory(images), ImagesOnGpu(images, CPU), FetchedImages(images, CPU)):
        # Asked for as announced, then for something else.
        for rows, following in ((chosen, coming), (coming, chosen), (torch.tensor([5]), chosen)):
            pixels, sector = store.take(rows, following)
            assert np.array_equal(pixels.numpy(), images.pixels[rows.numpy()])
            assert np.array_equal(sector.numpy(), images.sector[rows.numpy()])
        store.close()


def test_a_mapped_file_stays_where_it_is_on_a_cpu(tmp_path: Path) -> None:
    images = toy_images()
    mapped = np.memmap(tmp_path / "pixels", dtype=np.uint8, mode="w+", shape=images.pixels.shape)
    mapped[:] = images.pixels
    assert find_residence(images, CPU, "auto") == "device"
    assert find_residence(replace(images, pixels=mapped), CPU, "auto") == "memory-map"
    assert find_residence(images, CPU, "memory-map") == "memory-map"


def test_ten_steps_on_eight_images_overfit(tmp_path: Path, toy: Settings) -> None:
    settings = replace(toy, size="atto", image_size=64, steps=10, batch=8, lr=5e-3, warmup=0.0, crop=(1.0, 1.0),
                       flip=False, decoder_width=64, log_every=1, reconstruct_every=0)  # fmt: skip
    pretrain(toy_images(8), tmp_path, settings)
    records = log_of(tmp_path)
    losses = [record["loss"] / record["trivial_loss"] for record in records]
    assert losses[0] == pytest.approx(1.0, abs=0.05)
    assert losses[-1] < 0.9 and losses[-1] < min(losses[:5])


def test_compiling_that_fails_is_a_warning_and_training_goes_on(
    tmp_path: Path, toy: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_compiler(self: torch.nn.Module, **options: object) -> None:
        def call(*args: object, **more: object) -> None:
            raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found\nand a second line")

        self._compiled_call_impl = call

    pretrain(toy_images(), tmp_path / "eager", toy)
    monkeypatch.setattr(MaskedAutoencoder, "compile", no_compiler)
    with pytest.warns(UserWarning, match=r"torch.compile did not work, so training goes on without it \(RuntimeError"):
        pretrain(toy_images(), tmp_path / "failed", replace(toy, compile="true"))
    assert same_weights(state_of(tmp_path / "eager"), state_of(tmp_path / "failed"))


def test_the_network_compiles_as_one_graph_and_computes_the_same() -> None:
    network = MaskedAutoencoder(TOY, decoder_width=8, init_sd=0.2)
    images, visible = torch.randn(2, 1, 64, 64), torch.tensor([[[[True, False], [False, True]]]]).expand(2, 1, 2, 2)
    # This backend runs the traced forward and backward graphs as they are: it needs no C++ compiler.
    compiled = torch.compile(network, fullgraph=True, backend="aot_eager", dynamic=False)
    results = []
    for run in (network, compiled):
        network.zero_grad()
        out = run(images, visible)
        out.square().sum().backward()
        results.append((out.detach(), [p.grad.clone() for p in network.parameters() if p.grad is not None]))
    (a, grad_a), (b, grad_b) = results
    assert torch.allclose(a, b, rtol=1e-4, atol=1e-5)
    assert all(torch.allclose(x, y, rtol=1e-3, atol=1e-5) for x, y in zip(grad_a, grad_b, strict=True))
    torch.compiler.reset()


def test_a_layout_is_measured_on_gpus_only(monkeypatch: pytest.MonkeyPatch) -> None:
    network = MaskedAutoencoder(TOY, decoder_width=8)

    def never() -> None:
        raise AssertionError("nothing is measured on a CPU: two runs of one command would differ")

    assert hardware.choose_layout(network, "auto", CPU, World(), never) is True
    assert hardware.choose_layout(network, "false", CPU, World(), never) is False
    assert not network.encoder.channels_last


def test_float32_products_and_threads_are_put_back() -> None:
    before = torch.get_float32_matmul_precision(), torch.get_num_threads()
    with hardware.torch_set_up(1, "tf32"):
        assert torch.get_float32_matmul_precision() == "high" and torch.get_num_threads() == 1
    with hardware.torch_set_up(0, "fp32"):
        assert torch.get_float32_matmul_precision() == "highest"
    assert (torch.get_float32_matmul_precision(), torch.get_num_threads()) == before


def test_the_operations_of_a_step_are_those_worked_out_by_hand() -> None:
    def block(width: int, sites: int) -> int:
        return sites * width * (49 + 4 * width + 4 * width)  # depthwise 7 x 7, two linear layers

    sites, widths, decoder = [256, 64, 16, 4], TOY.dims, 16  # of 64 x 64 pixels
    forward = sum(block(width, count) for width, count in zip(widths, sites, strict=True))
    stem = 256 * 16 * widths[0]
    forward += stem + sum(sites[i] * 4 * widths[i - 1] * widths[i] for i in (1, 2, 3))
    forward += 4 * widths[3] * decoder + block(decoder, 4) + 4 * decoder * 1024
    # Two for a multiplication and an addition; the gradients by input and by weight cost as much as the forward pass
    # each, but nobody asks for that by the image.
    assert training_flops(TOY, 64, decoder) == 2 * (3 * forward - stem)
    assert Encoder(TOY)(torch.zeros(1, 1, 64, 64)).shape == (1, 16, 2, 2)


def test_figures_of_speed_follow_from_steps_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, 1.5, 2.0, 2.5, 4.0, 9.0])
    monkeypatch.setattr("harmbench_builtin.pretrain.monitor.time.perf_counter", lambda: next(clock))
    window = Window(CPU, Work(images=8, flops=100.0, peak=1000.0))
    for loss in (3.0, float("nan")):
        with window.waiting():
            pass
        window.add({"loss": loss})
    facts = window.close()
    # Two steps in four seconds, of which two times half a second were spent waiting.
    assert facts["loss"] == 3.0 and facts["step_ms"] == 2000.0 and facts["images_per_second"] == 4.0
    assert facts["data_wait_share"] == 0.25 and facts["mfu"] == pytest.approx(0.05)
    assert facts["peak_memory_mb"] == peak_memory_mb(CPU) > 10


def test_the_measured_peak_is_that_of_a_processor() -> None:
    assert 1e8 < measured_peak(CPU, "fp32") < 1e14


def test_pictures_show_original_masked_and_reconstruction(tmp_path: Path, toy: Settings) -> None:
    images = toy_images(3)
    pretrain(images, tmp_path, replace(toy, reconstruct_every=4))
    files = sorted((tmp_path / "reconstructions").iterdir())
    assert [file.name for file in files] == ["step-000000004.png", "step-000000006.png"]
    first, second = (np.asarray(Picture.open(file)).astype(int) for file in files)
    assert first.shape == (3 * 64, 3 * 64)
    original, masked, made = first[:, :64], first[:, 64:128], first[:, 128:]
    cells = masked.reshape(6, 32, 2, 32)
    hidden = (cells == 96).all(axis=(1, 3), keepdims=True).repeat(32, 1).repeat(32, 3).reshape(masked.shape)
    assert np.array_equal(masked[~hidden], original[~hidden])
    # Cells are hidden as a whole, the rest is shown as it is, and pictures of two steps show the same cells.
    assert 0.2 < hidden.mean() < 0.8
    assert np.array_equal(made[~hidden], original[~hidden]) and not np.array_equal(made[hidden], original[hidden])
    assert np.array_equal(first[:, :128], second[:, :128]) and not np.array_equal(first, second)


def test_a_trace_is_written_where_it_is_asked_for(tmp_path: Path, toy: Settings) -> None:
    pretrain(toy_images(), tmp_path, replace(toy, steps=11, profile=True, reconstruct_every=0))
    (trace,) = (tmp_path / "profile").iterdir()
    assert trace.name.startswith("rank-0-step-") and "convolution" in trace.read_text()


def test_tensorboard_that_is_not_installed_is_named_with_its_extra(
    tmp_path: Path, toy: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harmbench_builtin.pretrain.logs.importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'harmbench\[tensorboard\]'"):
        pretrain(toy_images(), tmp_path, replace(toy, tensorboard=True))
    assert not list(tmp_path.iterdir())


def test_tensorboard_gets_the_numbers_of_the_log(tmp_path: Path, toy: Settings) -> None:
    try:
        require_tensorboard()
    except UsageError:
        pytest.skip("TensorBoard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    pretrain(toy_images(), tmp_path, replace(toy, tensorboard=True))
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    values = [(event.step, event.value) for event in events.Scalars("pretrain/loss")]
    assert values == [(record["step"], pytest.approx(record["loss"], rel=1e-5)) for record in log_of(tmp_path)]
