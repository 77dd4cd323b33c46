"""Images and masks are read as stored, from every format, and what cannot be read is said clearly."""

from __future__ import annotations

import gzip
import pickle
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image as Pillow

from harmbench.data import Sample
from harmbench.errors import DataError
from harmbench_builtin.datasets.files import FileReader, binary_mask

PIXELS = np.arange(12 * 10, dtype=np.uint8).reshape(12, 10) * 2
MASK = np.zeros((12, 10), dtype=bool)
MASK[3:8, 2:6] = True


def sample(image: str = "a.png", mask: str = "m.png", spacing: tuple[float, float] | None = None) -> Sample:
    return Sample(id="a", image=image, mask=mask, manufacturer="GE", patient="p", label="HCM", spacing=spacing)


def save_png(path: Path, values: np.ndarray) -> None:
    Pillow.fromarray(values).save(path)


def save_itk(path: Path, values: np.ndarray, spacing: tuple[float, ...] | None = None, vector: bool = False) -> None:
    image = sitk.GetImageFromArray(values, isVector=vector)
    if spacing is not None:
        image.SetSpacing(spacing)
    sitk.WriteImage(image, str(path))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_png(tmp_path / "a.png", PIXELS)
    save_png(tmp_path / "m.png", MASK)  # 1 bit
    return tmp_path


def read(folder: Path, image: str = "a.png", mask: str = "m.png", **more: object) -> np.ndarray:
    return FileReader(str(folder)).read(sample(image, mask, **more)).pixels  # type: ignore[arg-type]


def refused(folder: Path, match: str, image: str = "a.png", mask: str = "m.png") -> DataError:
    with pytest.raises(DataError, match=match) as caught:
        FileReader(str(folder)).read(sample(image, mask))
    assert caught.value.remedy
    assert str(folder) not in str(caught.value)  # no absolute path reaches a result file
    return caught.value


def test_pixels_are_float32_as_stored_and_the_mask_is_boolean(folder: Path) -> None:
    image = FileReader(str(folder)).read(sample())
    assert (image.pixels.dtype, image.mask.dtype, image.spacing) == (np.float32, np.bool_, None)
    assert np.array_equal(image.pixels, PIXELS)
    assert np.array_equal(image.mask, MASK)


@pytest.mark.parametrize("suffix", ["png", "tif", "tiff"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_of_8_and_16_bits(folder: Path, suffix: str, dtype: type) -> None:
    values = PIXELS.astype(dtype) * (200 if dtype is np.uint16 else 1)
    save_png(folder / f"b.{suffix}", values)
    assert np.array_equal(read(folder, f"b.{suffix}"), values)


def test_float_tiff(folder: Path) -> None:
    values = (PIXELS / 7 - 9).astype(np.float32)
    save_png(folder / "b.tif", values)
    assert np.array_equal(read(folder, "b.tif"), values)


def test_grey_jpeg_is_read_as_decoded(folder: Path) -> None:
    flat = np.full((12, 10), 77, dtype=np.uint8)  # a constant block survives JPEG exactly
    Pillow.fromarray(flat).save(folder / "b.jpg", quality=95)
    assert np.array_equal(read(folder, "b.jpg"), flat)


def test_grey_valued_rgb_is_its_grey_value(folder: Path) -> None:
    save_png(folder / "b.png", np.repeat(PIXELS[..., None], 3, axis=2))
    assert np.array_equal(read(folder, "b.png"), PIXELS)


def test_colour_becomes_bt601_luma(folder: Path) -> None:
    colour = np.zeros((12, 10, 3), dtype=np.uint8)
    colour[:] = (200, 100, 50)
    save_png(folder / "b.png", colour)
    assert np.allclose(read(folder, "b.png"), 0.299 * 200 + 0.587 * 100 + 0.114 * 50)


def test_palette_images_are_looked_up(folder: Path) -> None:
    image = Pillow.fromarray(MASK.astype(np.uint8), mode="P")
    image.putpalette([10, 10, 10, 90, 90, 90])
    image.save(folder / "b.png")
    assert np.array_equal(read(folder, "b.png"), np.where(MASK, 90, 10))


def test_opaque_alpha_is_ignored_and_transparency_refused(folder: Path) -> None:
    rgba = np.dstack([PIXELS, PIXELS, PIXELS, np.full_like(PIXELS, 255)])
    save_png(folder / "b.png", rgba)
    assert np.array_equal(read(folder, "b.png"), PIXELS)
    rgba[0, 0, 3] = 254
    save_png(folder / "b.png", rgba)
    assert "alpha" in refused(folder, "transparent", "b.png").remedy


def test_sixteen_bit_colour_is_refused_rather_than_cut_to_eight_bits(folder: Path) -> None:
    # Pillow cannot write it: width 2, height 2, 16 bits, colour type 2 (RGB).
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes(12) for _ in range(2))
    (folder / "b.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    refused(folder, "lower 8 bits", "b.png")


def test_a_picture_to_be_shown_turned_is_refused(folder: Path) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6
    Pillow.fromarray(PIXELS).save(folder / "b.jpg", exif=exif)
    refused(folder, "EXIF orientation 6", "b.jpg")


def test_a_tiff_of_several_pages_is_refused(folder: Path) -> None:
    page = Pillow.fromarray(PIXELS)
    page.save(folder / "b.tif", save_all=True, append_images=[page, page])
    refused(folder, "3 pages", "b.tif")


@pytest.mark.parametrize("suffix", ["nii", "nii.gz", "mha", "mhd", "nrrd", "nhdr"])
@pytest.mark.parametrize("depth", [0, 1])
def test_itk_formats_in_two_dimensions_and_as_one_slice(folder: Path, suffix: str, depth: int) -> None:
    values = PIXELS.astype(np.int16) - 100
    save_itk(folder / f"b.{suffix}", values[None] if depth else values, (0.5, 0.25, 2.0)[: 2 + depth])
    image = FileReader(str(folder)).read(sample(f"b.{suffix}"))
    assert np.array_equal(image.pixels, values)
    assert image.spacing == pytest.approx((0.25, 0.5))  # ITK names x, the columns, first


def test_a_slice_along_another_axis_keeps_its_rows_columns_and_spacing(folder: Path) -> None:
    save_itk(folder / "b.nii", PIXELS[:, None, :], (0.5, 9.0, 0.25))
    image = FileReader(str(folder)).read(sample("b.nii"))
    assert np.array_equal(image.pixels, PIXELS)
    assert image.spacing == pytest.approx((0.25, 0.5))


def test_rgb_in_an_itk_format(folder: Path) -> None:
    save_itk(folder / "b.mha", np.repeat(PIXELS[..., None], 3, axis=2), vector=True)
    assert np.array_equal(read(folder, "b.mha"), PIXELS)


def test_several_slices_are_refused_with_the_shape(folder: Path) -> None:
    save_itk(folder / "b.nrrd", np.zeros((3, 12, 10), dtype=np.uint8))
    refused(folder, "3 x 12 x 10", "b.nrrd")


def test_the_spacing_of_the_manifest_wins(folder: Path) -> None:
    save_itk(folder / "b.mha", PIXELS, (0.5, 0.25))
    assert FileReader(str(folder)).read(sample("b.mha", spacing=(0.1, 0.2))).spacing == (0.1, 0.2)


def test_mask_in_another_format_than_the_image(folder: Path) -> None:
    save_itk(folder / "m.nii.gz", MASK.astype(np.uint8))
    assert np.array_equal(FileReader(str(folder)).read(sample(mask="m.nii.gz")).mask, MASK)


@pytest.mark.parametrize("what", ["image", "mask"])
def test_a_missing_file_is_named(folder: Path, what: str) -> None:
    error = refused(folder, f"the {what} file does not exist", **{what: "gone/x.png"})
    assert error.file == "gone/x.png"


def test_backslashes_are_explained(folder: Path) -> None:
    assert "'/'" in refused(folder, "does not exist", "images\\a.png").remedy


def test_a_folder_an_empty_file_and_an_unknown_format_are_named(folder: Path) -> None:
    (folder / "d.png").mkdir()
    (folder / "e.png").touch()
    (folder / "f.bmp").touch()
    refused(folder, "not a file", "d.png")
    refused(folder, "0 bytes", "e.png")
    refused(folder, "no known format", "f.bmp")


# ITK itself reads a truncated NIfTI file without a word and fills it up with zeros.
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "nii", "nii.gz", "mha", "nrrd"])
def test_a_truncated_file_is_refused(folder: Path, suffix: str) -> None:
    values = np.random.default_rng(0).integers(0, 255, (60, 50)).astype(np.uint8)
    path = folder / f"b.{suffix}"
    if suffix in ("png", "jpg", "tif"):
        save_png(path, values)
    else:
        save_itk(path, values)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    refused(folder, "cannot be decoded", f"b.{suffix}")


def test_a_nifti_file_that_lacks_its_last_row_inside_an_intact_gzip_is_refused(folder: Path) -> None:
    save_itk(folder / "b.nii", PIXELS)
    whole = (folder / "b.nii").read_bytes()
    (folder / "b.nii.gz").write_bytes(gzip.compress(whole[:-10]))
    refused(folder, f"{len(whole) - 10} of {len(whole)} bytes", "b.nii.gz")


@pytest.mark.parametrize("name", ["b.png", "b.nii", "b.mha", "b.nrrd"])
def test_a_file_that_is_no_image_is_refused(folder: Path, name: str) -> None:
    (folder / name).write_text("<html>404</html>")
    refused(folder, r"not a PNG, JPEG or TIFF|cannot be decoded", name)


def test_a_mask_of_another_size_gives_both_sizes(folder: Path) -> None:
    save_png(folder / "n.png", np.pad(MASK, ((0, 0), (0, 1))))
    refused(folder, r"mask is 12 x 11 pixels.*'a.png' 12 x 10", mask="n.png")


def test_an_empty_and_a_full_mask_are_refused(folder: Path) -> None:
    save_png(folder / "n.png", np.zeros_like(MASK))
    refused(folder, "mask is empty", mask="n.png")
    save_png(folder / "n.png", np.ones_like(MASK))
    refused(folder, "covers the whole image", mask="n.png")
    save_png(folder / "n.png", MASK.astype(np.uint8) + 1)  # 1 and 2, no 0: everything would be inside
    refused(folder, "covers the whole image", mask="n.png")


@pytest.mark.parametrize("inside", [1, 7, 255])
def test_any_value_but_0_is_inside(inside: int) -> None:
    assert np.array_equal(binary_mask((MASK * inside).astype(np.uint8), "m"), MASK)


def test_more_than_two_mask_values_are_listed(folder: Path) -> None:
    values = MASK.astype(np.uint8)
    values[4, 4] = 3
    save_png(folder / "n.png", values)
    refused(folder, r"3 different values \(0, 1, 3\)", mask="n.png")


def test_a_jpeg_mask_is_refused_with_the_reason(folder: Path) -> None:
    Pillow.fromarray(MASK.astype(np.uint8) * 255).save(folder / "n.jpg", quality=60)
    assert "JPEG" in refused(folder, "different values", mask="n.jpg").remedy


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_non_finite_pixels_count_only_inside_the_mask(folder: Path, value: float) -> None:
    values = PIXELS.astype(np.float64)
    values[0, 0] = value
    save_itk(folder / "b.mha", values)
    assert read(folder, "b.mha").shape == (12, 10)
    values[4, 4] = value
    save_itk(folder / "b.mha", values)
    refused(folder, "1 of 20 pixels inside the mask are NaN or infinite", "b.mha")


@pytest.mark.parametrize("way", ["dots", "absolute", "link"])
def test_a_path_that_leaves_the_root_is_refused_unless_allowed(folder: Path, way: str) -> None:
    inner = folder / "inner"
    inner.mkdir()
    save_png(inner / "m.png", MASK)
    (inner / "link.png").symlink_to(folder / "a.png")
    image = {"dots": "../a.png", "absolute": str(folder / "a.png"), "link": "link.png"}[way]
    with pytest.raises(DataError, match="outside the data folder"):
        FileReader(str(inner)).read(sample(image))
    assert FileReader(str(inner), allow_outside=True).read(sample(image)).pixels.shape == (12, 10)


def test_a_link_inside_the_root_and_a_root_that_is_a_link_are_fine(folder: Path, tmp_path: Path) -> None:
    (folder / "link.png").symlink_to("a.png")
    assert np.array_equal(read(folder, "link.png"), PIXELS)
    root = tmp_path / "root"
    root.symlink_to(folder, target_is_directory=True)
    assert np.array_equal(read(root), PIXELS)


@pytest.mark.parametrize(("name", "key"), [("b.mhd", b"b.raw"), ("b.nhdr", b"b.raw")])
def test_a_header_must_not_lead_out_of_the_root_either(folder: Path, name: str, key: bytes) -> None:
    inner = folder / "inner"
    inner.mkdir()
    save_png(inner / "m.png", MASK)
    save_itk(inner / name, PIXELS)
    raw = next(p for p in inner.iterdir() if ".raw" in p.name)
    (folder / raw.name).write_bytes(raw.read_bytes())
    header = (inner / name).read_bytes().replace(raw.name.encode(), b"../" + raw.name.encode())
    (inner / name).write_bytes(header)
    with pytest.raises(DataError, match="outside the data folder"):
        FileReader(str(inner)).read(sample(name))
    raw.unlink()
    (inner / name).write_bytes(header.replace(b"../", b""))
    with pytest.raises(DataError, match="which does not exist"):
        FileReader(str(inner)).read(sample(name))


def test_the_digest_follows_contents_and_spacing_not_names_or_dates(folder: Path) -> None:
    reader = FileReader(str(folder))
    first = reader.digest(sample())
    (folder / "copy.png").write_bytes((folder / "a.png").read_bytes())
    assert reader.digest(sample("copy.png")) == first
    assert reader.digest(sample(spacing=(1.0, 1.0))) != first
    save_png(folder / "copy.png", PIXELS + 1)
    assert reader.digest(sample("copy.png")) != first
    save_png(folder / "m.png", ~MASK)
    assert reader.digest(sample()) != first


def test_the_digest_covers_the_pixels_behind_a_header(folder: Path) -> None:
    save_itk(folder / "b.mhd", PIXELS)
    reader = FileReader(str(folder))
    first = reader.digest(sample("b.mhd"))
    raw = folder / "b.raw"
    raw.write_bytes(bytes(reversed(raw.read_bytes())))
    assert reader.digest(sample("b.mhd")) != first


def test_the_reader_survives_pickling(folder: Path) -> None:
    reader = pickle.loads(pickle.dumps(FileReader(str(folder))))
    assert np.array_equal(reader.read(sample()).pixels, PIXELS)
