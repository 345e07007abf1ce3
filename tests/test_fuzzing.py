"""What nobody would give to readers, parameters, files and commands: documented exceptions answer, and nothing else."""

import contextlib
import os
import string
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from skclr import ContrastiveEmbedder, ModelFileError, load
from skclr.command_line import main
from skclr.files import format as storage
from skclr.frameworks import FRAMEWORKS
from skclr.modalities import MODALITIES
from skclr.modalities.inferred import infer_modality
from skclr.model import InputFeatures
from skclr.saving import CLASSES
from skclr.training import ContrastiveNet
from skclr.views import VIEWS

quickly = settings(max_examples=60, deadline=5_000, derandomize=True, suppress_health_check=list(HealthCheck))

KNOWN = {"audio": {"sampling_rate": 1000, "n_mels": 3}, "text": {"tokenizer": "words"}}

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=3)
dtypes = hnp.scalar_dtypes() | hnp.unicode_string_dtypes(max_len=3)
arrays = hnp.arrays(dtypes, hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=5))
samples = st.recursive(
    scalars | arrays,
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=8,
)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODALITIES)
def test_readers(name):
    @quickly
    @given(samples, samples)
    def read(X, more):
        modality, estimator = MODALITIES[name](**KNOWN.get(name, {})), InputFeatures()
        try:
            infer_modality(X, {})
            rows = modality.read(X, estimator, reset=True)
            x = modality.to_tensor(rows[np.arange(min(2, rows.shape[0]))])
            assert x.shape[1:] == modality.shape_
            modality.read(more, estimator, reset=False)
        except (ValueError, TypeError, FileNotFoundError):
            pass

    read()


@pytest.fixture
def one_epoch(monkeypatch):
    """Train valid parameters briefly."""
    fit_loop = ContrastiveNet.fit_loop
    monkeypatch.setattr(ContrastiveNet, "fit_loop", lambda net, X, epochs: fit_loop(net, X, epochs=min(epochs, 1)))


@pytest.mark.filterwarnings("ignore")
def test_parameters(one_epoch, capsys):
    # A folder for checkpoints may be anywhere, and "compile" takes minutes where it is right.
    names = sorted(set(ContrastiveEmbedder().get_params()) - {"checkpoint_dir", "compile"})
    entries = st.dictionaries(st.sampled_from(["temperature", "width", "hidden_dim", "n_views"]), scalars, max_size=2)
    values = scalars | st.lists(scalars, max_size=2) | entries | st.sampled_from([*FRAMEWORKS, *VIEWS, "auto", 2])

    @quickly
    @given(st.dictionaries(st.sampled_from(names), values, min_size=1, max_size=3))
    def fit(parameters):
        embedder = ContrastiveEmbedder(**{"max_epochs": 0, **parameters})
        try:
            embedder.fit(np.arange(12.0).reshape(4, 3) % 5)
        except (ValueError, TypeError, FloatingPointError, MemoryError):
            assert not hasattr(embedder, "net_")

    fit()


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(string.printable, max_size=4)
    | st.sampled_from(sorted(CLASSES)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["float", "tuple", "dict", "tensor", "array", "objects", "missing", "class", "part", "code"]
            ),
            inner,
            min_size=1,
            max_size=1,
        )
    ),
    max_leaves=8,
)


@quickly
@given(json_values)
def test_values_of_a_file(tree):
    with contextlib.suppress(ModelFileError):
        storage.Reader(CLASSES, {}).read(tree)


def test_files_with_a_checksum_that_fits(tmp_path, table):
    path = tmp_path / "model.skclr"
    small = {"encoder_params": {"width": 2, "out_features": 2}, "framework_params": {"hidden_dim": 2}}
    ContrastiveEmbedder(max_epochs=0, random_state=0, projection_dim=2, **small).fit(table[0]).save(path)
    raw = path.read_bytes()
    start = raw.index(b"version")

    @quickly
    @given(st.integers(start, len(raw)), st.integers(0, 9), st.binary(max_size=9))
    def read(place, length, content):
        path.write_bytes(storage.checksummed(raw[:place] + content + raw[place + length :]))
        with contextlib.suppress(ValueError):
            load(path)

    read()


# -- the command line ---------------------------------------------------------------------------------

cells = st.sampled_from(["", "1", "-2.5", "nan", "a", '"', "a,b", "é", "\0", "<b>"]) | st.text(max_size=3)
tables = st.lists(st.lists(cells, min_size=1, max_size=3).map(",".join), max_size=6).map("\n".join)
contents = tables.map(lambda text: text.encode(errors="replace")) | st.binary(max_size=60)
names = st.sampled_from(
    ["a", "b", "X", "y", "", "../x", "out.npy", "max_epochs=0", "batch_size=x", "data.csv", "1", "-1"]
)
options = st.sampled_from(
    ["--target", "--text", "--set", "--seed", "--quiet", "--framework", "--model", "--folds", "-x"]
)
# A report would take a second where all is well.
calls = {
    "compare": [],
    "fit": ["--output", "out.skclr"],
    "transform": ["--model", "model.skclr", "--output", "out.csv"],
    "report": ["--output", "none/out.html"],
}


@pytest.mark.filterwarnings("ignore")
def test_command_line(one_epoch, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ContrastiveEmbedder(max_epochs=0).fit(np.arange(12.0).reshape(4, 3) % 5).save("model.skclr")

    @quickly
    @given(
        st.sampled_from(sorted(calls)),
        st.sampled_from(["csv", "tsv", "npy", "npz", "parquet"]),
        contents,
        st.lists(options | names, max_size=4),
    )
    def run(command, suffix, content, arguments):
        Path(f"data.{suffix}").write_bytes(content)
        try:
            code = main([command, f"data.{suffix}", *calls[command], *arguments])
        except SystemExit as end:
            code = end.code
        said = capsys.readouterr().err
        assert code in (0, 2) or (code == 1 and said.startswith("skclr: "))

    run()


# -- image files --------------------------------------------------------------------------------------


def images(paths):
    return MODALITIES["image"]().read(paths, InputFeatures(), reset=True)


def test_an_image_that_grows_beyond_pillows_limit(tmp_path, monkeypatch):
    pillow = pytest.importorskip("PIL.Image")
    monkeypatch.setattr(pillow, "MAX_IMAGE_PIXELS", None)
    pillow.new("1", (2_000, 2_000)).save(tmp_path / "bomb.png")
    assert (tmp_path / "bomb.png").stat().st_size < 2_000
    # Pillow itself warns beyond its limit, and refuses beyond twice that.
    monkeypatch.setattr(pillow, "MAX_IMAGE_PIXELS", 3_000_000)
    with pytest.raises(ValueError, match=r"bomb\.png, which cannot be read"):
        images([tmp_path / "bomb.png"] * 2)


def test_a_path_that_is_not_a_file(tmp_path):
    pytest.importorskip("PIL.Image")
    with pytest.raises(ValueError, match="is not a file"):
        images([tmp_path] * 2)
    if hasattr(os, "mkfifo"):
        # Reading it would never end.
        os.mkfifo(tmp_path / "pipe.png")
        with pytest.raises(ValueError, match="is not a file"):
            images([tmp_path / "pipe.png"] * 2)


def test_links_lead_where_they_lead(tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    pillow.new("L", (4, 4)).save(tmp_path / "one.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "one.png")
    (tmp_path / "broken.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "folder").mkdir()
    assert images([tmp_path / "link.png", tmp_path / "folder" / ".." / "one.png"]).shape == (2, 4, 4)
    with pytest.raises(FileNotFoundError, match="broken"):
        images([tmp_path / "one.png", tmp_path / "broken.png"])
