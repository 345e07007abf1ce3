"""Untrusted image files: no program is started, memory is bounded, and hidden files are not samples."""

import os
import stat
import time
from contextlib import suppress

import numpy as np
import pytest
from torch import nn

from skclr import ContrastiveEmbedder
from skclr.command_line.files import read
from skclr.data.files import ImageFiles, images_in
from skclr.data.sources import open_source

pillow = pytest.importorskip("PIL.Image")

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"


def save(folder, images=PIXELS, suffix="png"):
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{i}.{suffix}" for i in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        pillow.fromarray(image).save(path)
    return paths


# -- what is hidden -----------------------------------------------------------------------------------

HIDDEN = [
    ".ipynb_checkpoints/0-checkpoint.png",
    "cat/.ipynb_checkpoints/0-checkpoint.png",
    "cat/._0.png",
    ".cache/deep/er/0.png",
    ".0.jpg",
    "__MACOSX/cat/._0.png",
    "__MACOSX/cat/0.png",
    "cat/@eaDir/0.png",
    "$RECYCLE.BIN/0.png",
    "cat/Thumbs.db",
    "cat/.DS_Store",
    "desktop.ini",
]


@pytest.fixture
def classes(tmp_path):
    """A folder of two classes, itself inside a hidden one."""
    folder = tmp_path / ".data" / "animals"
    save(folder / "cat")
    save(folder / "dog")
    return folder


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("readable", [True, False])
def test_hidden_files_are_neither_samples_nor_classes(classes, hidden, readable):
    expected = images_in(classes)
    (classes / hidden).parent.mkdir(parents=True, exist_ok=True)
    (classes / hidden).write_bytes(expected[0].read_bytes() if readable else b"\x00\x05\x16\x07")
    assert images_in(classes) == expected
    assert open_source(classes) == expected
    data = read(classes)
    assert list(data.X) == expected
    assert sorted(set(data.y)) == ["cat", "dog"]


def test_a_hidden_file_that_is_named_is_read(tmp_path):
    paths = [path.rename(path.with_name(f".{path.name}")) for path in save(tmp_path)]
    assert ContrastiveEmbedder(max_epochs=0).fit(paths).transform(paths).shape[0] == len(paths)


def test_hidden_parquet_files_are_not_rows(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    frame.to_parquet(tmp_path / "0.parquet")
    (tmp_path / "._0.parquet").write_bytes(b"\x00\x05\x16\x07")
    assert len(open_source(tmp_path)) == 2


# -- what is decoded ----------------------------------------------------------------------------------


@pytest.fixture
def programs_started(tmp_path, monkeypatch):
    """Stand-ins for programs that decoders may start; each writes its name to a file, whose lines are given back."""
    folder, log = tmp_path / "bin", tmp_path / "started"
    folder.mkdir()
    log.touch()
    for name in ("gs", "gswin32c", "gswin64c", "djpeg", "xv", "display", "magick", "convert"):
        (folder / name).write_text(f"#!/bin/sh\necho {name} >> {log}\n")
        (folder / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    eps = pytest.importorskip("PIL.EpsImagePlugin")
    monkeypatch.setattr(eps, "gs_binary", None)
    return lambda: log.read_text().split()


def test_the_stand_in_is_what_pillow_would_start(programs_started, tmp_path):
    (tmp_path / "0.png").write_bytes(EPS)
    with suppress(OSError), pillow.open(tmp_path / "0.png") as image:
        image.load()
    assert programs_started() != []


@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff", "eps", "gif"])
@pytest.mark.parametrize("place", [0, 5])
def test_postscript_under_another_name_starts_no_program(programs_started, tmp_path, suffix, place):
    paths = save(tmp_path / "images")
    paths[place] = tmp_path / f"other.{suffix}"
    paths[place].write_bytes(EPS)
    for size in (None, (7, 5)):
        with pytest.raises(ValueError, match=f"other.{suffix}, which cannot be read"):
            ContrastiveEmbedder(modality="image", modality_params={"size": size}, max_epochs=1).fit(paths)
    assert programs_started() == []


@pytest.mark.parametrize("suffix", ["bmp", "gif", "jpg", "png", "ppm", "tif", "webp", "ico", "jp2", "tga", "pcx"])
def test_common_formats_are_read(tmp_path, suffix):
    kind = pillow.registered_extensions().get(f".{suffix}")
    if kind not in pillow.SAVE:
        pytest.skip(f"this Pillow writes no {suffix}")
    images = [np.broadcast_to(np.uint8(value), (16, 16, 3)) for value in (50, 200)]
    rows = ImageFiles(np.array(save(tmp_path, images, suffix), dtype=object), (16, 16, 3), resize=False)
    assert np.abs(rows[np.arange(2)].astype(int) - images).max() < 6


# -- memory -------------------------------------------------------------------------------------------


def blank(path, side):
    """Save a white image of one bit a pixel, of which a file of some kB holds millions."""
    pillow.new("1", (side, side), 1).save(path)
    return path


def test_a_folder_of_images_just_below_the_limit(tmp_path):
    # A convolution would take gigabytes for one image of this size.
    pooled = {"encoder": nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten()), "max_epochs": 1}
    paths = [blank(tmp_path / "0.png", 8_000)] * 40
    assert os.path.getsize(paths[0]) < 30_000
    with pytest.raises(ValueError, match=r"40 images of 8000 × 8000 pixels at once .* Lower batch_size, or resize"):
        ContrastiveEmbedder(**pooled).fit(paths)
    too_large = [blank(tmp_path / "1.png", 8_300)] * 2
    with pytest.raises(ValueError, match=r"shape \(8300, 8300\), more than 67,108,864 values each. Resize"):
        ContrastiveEmbedder(**pooled).fit(too_large)


def test_images_beyond_the_limit_of_pillow(tmp_path):
    for side in (9_500, 14_000):
        with pytest.raises(ValueError, match=r"MAX_IMAGE_PIXELS|decompression bomb"):
            ContrastiveEmbedder(modality_params={"size": (8, 8)}, max_epochs=0).fit(
                [blank(tmp_path / "0.png", side)] * 2
            )


@pytest.mark.parametrize(("side", "alone"), [(40, False), (4_200, True)])
def test_large_images_are_decoded_one_at_a_time(tmp_path, monkeypatch, side, alone):
    files = ImageFiles(np.array([blank(tmp_path / "0.png", side)] * 6, dtype=object), (8, 8), resize=True)
    now, most, convert = [], [], pillow.Image.convert

    def converted(image, mode):
        now.append(1)
        most.append(len(now))
        time.sleep(0.02)
        now.pop()
        return convert(image, mode)

    monkeypatch.setattr("skclr.data.files.os.cpu_count", lambda: 4)
    monkeypatch.setattr(pillow.Image, "convert", converted)
    assert (files[np.arange(6)] == 255).all()
    assert (max(most) == 1) is alone


def test_the_order_of_threads_does_not_matter(tmp_path):
    paths = np.array(save(tmp_path), dtype=object)
    files = ImageFiles(paths, (8, 8, 3), resize=False)
    assert (files[np.array([5, 0, 3])] == PIXELS[[5, 0, 3]]).all()
