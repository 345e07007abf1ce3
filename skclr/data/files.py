"""Image files, decoded when a batch needs them."""

import math
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from skclr.optional import import_optional

# Decoders release the GIL; more threads than this would wait for the disk.
_MOST_THREADS = 8
# Number of pixels beyond which images are decoded one at a time, since each takes several bytes per pixel until it is
# resized.
_LARGE_PIXELS = 2**24
_LARGE = threading.Lock()
# Largest number of values of all images decoded for one batch.
_MOST_VALUES = 2**30
# Number of files from which it is inferred whether all are greyscale.
_FIRST_FILES = 10
IMAGE_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}
# Greyscale modes of Pillow.
_GREY = ("1", "L", "LA")
# Raster formats that Pillow decodes by itself. For others it starts a program (PostScript), or opens embedded files of
# any format (IPTC). It recognises formats by content, not by name.
_FORMATS = (
    *("AVIF", "BMP", "DDS", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "MPO", "MSP", "PCX", "PNG", "PPM", "PSD", "QOI"),
    *("SGI", "SUN", "TGA", "TIFF", "WEBP", "XBM", "XPM"),
)
# Folders created by archivers, network drives and operating systems. Names that begin with a dot are hidden everywhere.
_SYSTEM_FOLDERS = {"__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found"}


def holds_paths(X: Any) -> bool:
    """Return whether X is a sequence of paths, by its first entry."""
    one_dimensional = len(X.shape) == 1 if hasattr(X, "shape") else isinstance(X, Sequence)
    return one_dimensional and isinstance(next(iter(X), None), str | os.PathLike)


class ImageFiles:
    """Image files; `files[rows]` decodes some in threads, to uint8 (B, H, W) greyscale or (B, H, W, 3) RGB.

    Parameters
    ----------
    paths : (n,) str, paths of files that Pillow can read.
    shape : (H, W) or (H, W, 3) of all images.
    resize : whether images are resized to `shape`; otherwise an image of another size is an error.

    Raises
    ------
    ValueError : if a file cannot be read as such an image; the message names it.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, paths: np.ndarray, shape: tuple[int, ...], *, resize: bool) -> None:
        self.paths = paths
        self.shape = (len(paths), *shape)
        self.resize = resize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        paths = self.paths[rows]
        if math.prod(self.shape[1:]) * len(paths) > _MOST_VALUES:
            size = " × ".join(map(str, self.shape[1:3]))
            raise ValueError(
                f"{len(paths)} images of {size} pixels at once take over {_MOST_VALUES // 2**30} GiB as bytes, and "
                "four times that as floats. Lower batch_size, or resize them with modality_params={'size': (H, W)}."
            )
        images = np.empty((len(paths), *self.shape[1:]), self.dtype)

        def decode_into(row: int) -> None:
            images[row] = self._decode(paths[row])

        # Threads of a single call need not be closed, nor considered when an estimator is pickled.
        with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1)) as pool:
            # Consuming the results raises errors of the threads.
            list(pool.map(decode_into, range(len(paths))))
        return images

    def _decode(self, path: str) -> np.ndarray:
        _, height, width, *colors = self.shape
        pixels = decode(path, "RGB" if colors else "L", (height, width) if self.resize else None)
        if pixels.shape[:2] != (height, width):
            raise ValueError(
                f"X names {path} of {pixels.shape[0]} × {pixels.shape[1]} pixels, but others have {height} × {width}. "
                f"Set modality_params={{'size': ({height}, {width})}} to resize all."
            )
        return pixels


def visible_files(folder: Path, pattern: str) -> list[Path]:
    """Return the files in a folder that match a glob pattern, sorted by path.

    Hidden files, and all files in hidden folders and in folders created by systems, are ignored, since editors,
    archivers and network drives put copies and thumbnails there. Parents of `folder` itself may be hidden.
    """

    def is_visible(path: Path) -> bool:
        parts = path.relative_to(folder).parts
        return not any(part.startswith(".") or part in _SYSTEM_FOLDERS for part in parts)

    return sorted(path for path in folder.glob(pattern) if is_visible(path) and path.is_file())


def file_states(paths: Iterable[str | os.PathLike[str]]) -> list[tuple[str, int, int]]:
    """Return the path, size and modification time of each file, which tell whether its content has changed."""
    return [(os.fspath(path), state.st_size, state.st_mtime_ns) for path in paths for state in [os.stat(path)]]


def images_in(folder: Path) -> list[Path]:
    """Return the visible images in a folder and its subfolders, sorted by path.

    Raises
    ------
    ValueError : if there are none.
    """
    root = folder.resolve()
    # Links may lead anywhere, so only files within the folder itself are used.
    paths = [
        path
        for path in visible_files(folder, "**/*")
        if path.suffix.lower() in IMAGE_SUFFIXES and path.resolve().is_relative_to(root)
    ]
    if not paths:
        raise ValueError(f"{folder} contains no images. Pass a folder with {', '.join(sorted(IMAGE_SUFFIXES))} files.")
    return paths


def to_paths(X: Iterable[Any]) -> np.ndarray:
    """Return paths as an array (n,) of str, after checking that all exist."""
    paths = []
    for row, path in enumerate(X):
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"X holds paths, but row {row} is {path!r}. Pass a str or a pathlib.Path.")
        if not os.path.exists(path):
            raise FileNotFoundError(
                f"Row {row} of X names {os.fspath(path)}, which does not exist. Correct or drop it."
            )
        if not os.path.isfile(path):
            raise ValueError(f"Row {row} of X names {os.fspath(path)}, which is not a file. Pass image files.")
        paths.append(os.fspath(path))
    return np.array(paths, dtype=object)


def shape_of_files(paths: np.ndarray, size: tuple[int, int] | None) -> tuple[int, ...]:
    """Return (H, W) if the first few files are greyscale, else (H, W, 3), with the given size or the first file's."""
    grey = True
    for path in paths[:_FIRST_FILES]:
        with opened_picture(path) as image:
            grey = grey and image.mode in _GREY
    height, width = size or decode(paths[0], "L", None).shape
    return (height, width) if grey else (height, width, 3)


def decode(path: str, mode: str, size: tuple[int, int] | None) -> np.ndarray:
    """Read an image file, applying its orientation.

    Parameters
    ----------
    path : path of the file.
    mode : "RGB" or "L".
    size : (H, W) to which it is resized, or None.

    Returns
    -------
    (H, W, 3) or (H, W) uint8.
    """
    pillow = import_pillow()
    with opened_picture(path) as image:
        if size is not None:
            # JPEG can be decoded faster at a half, quarter or eighth of its size; no side becomes too short.
            image.draft(mode, (max(size), max(size)))
        with _LARGE if image.width * image.height > _LARGE_PIXELS else nullcontext():
            pillow.ImageOps.exif_transpose(image, in_place=True)
            pixels = image.convert(mode)
            if size is not None:
                pixels = pixels.resize(size[::-1], pillow.Image.Resampling.BILINEAR)
            return np.asarray(pixels)


def is_picture(X: Any) -> bool:
    """Return whether X is a Pillow image, without importing Pillow."""
    pillow = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(X, pillow.Image)


def to_pixels(picture: Any, row: int) -> np.ndarray:
    """Return a Pillow image as an upright (H, W) greyscale or (H, W, 3) RGB uint8 array, as if read from a file.

    Raises
    ------
    ValueError : if it has more than 8 bits per channel, or cannot be decoded.
    """
    pillow = import_pillow()
    try:
        _check_depth(picture)
        return np.asarray(pillow.ImageOps.exif_transpose(picture).convert("L" if picture.mode in _GREY else "RGB"))
    except Exception as error:  # Decoding is lazy, and every format raises its own errors.
        raise ValueError(
            f"X holds a PIL image in row {row} that cannot be read ({error}). Leave it out, or pass an array of its "
            "pixels with modality='image'."
        ) from error


def _check_depth(image: Any) -> None:
    if image.mode[0] in "IF":
        raise ValueError(f"more than 8 bits per channel, mode {image.mode!r}")


@contextmanager
def opened_picture(path: str) -> Iterator[Any]:
    """Open an image file with Pillow; raise any error as a ValueError that names the file."""
    pillow = import_pillow()
    try:
        with pillow.Image.open(path, formats=_formats(pillow)) as image:
            most = pillow.Image.MAX_IMAGE_PIXELS
            if most is not None and image.width * image.height > most:
                raise ValueError(f"{image.width} × {image.height} pixels, more than PIL.Image.MAX_IMAGE_PIXELS")
            _check_depth(image)
            yield image
    except Exception as error:  # Every format raises its own errors.
        raise ValueError(f"X names {path}, which cannot be read ({error}). Remove or repair it.") from error


def _formats(pillow: ModuleType) -> list[str]:
    """Return those of `_FORMATS` that the installed version of Pillow supports; it raises a KeyError for others."""
    pillow.Image.init()
    return [name for name in _FORMATS if name in pillow.Image.OPEN]


def import_pillow() -> ModuleType:
    """Return Pillow, with the modules that read images imported."""
    for module in ("PIL.Image", "PIL.ImageOps"):
        import_optional(module, "vision", "reading image files")
    return import_optional("PIL", "vision", "reading image files")
