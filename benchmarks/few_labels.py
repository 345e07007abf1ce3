"""MNIST with few labels: does the embedding, with all defaults, help a logistic regression?

The embedder is fitted to the 10,000 training images without labels. The recommended classifier then learns from few
labels, in draws that are the same for all features: raw pixels, PCA, and the encoder before and after training.
"""

import time

import numpy as np
from _common import RESULTS, load, parser, write
from matplotlib.figure import Figure
from sklearn.decomposition import PCA

from skclr import ContrastiveEmbedder
from skclr.evaluation import label_efficiency
from skclr.plotting import LabelEfficiencyDisplay

N_DRAWS = 5
LABELS_PER_CLASS = (1, 2, 5, 10, 20, 50)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--seeds", type=int, default=1, help="number of fits, each with its own seed")
    arguments = options.parse_args()
    data = load(arguments.data, "mnist_15k")
    X, y, X_test, y_test = (data[k] for k in ("X_train", "y_train", "X_test", "y_test"))
    pixels, pixels_test = (images.reshape(len(images), -1) / 255 for images in (X, X_test))
    pca = PCA(100, random_state=0).fit(pixels)
    embedders: dict[str, list[ContrastiveEmbedder]] = {"untrained encoder": [], "embedding": []}
    seconds, processor_seconds = [], []
    for seed in range(arguments.seeds):
        embedders["untrained encoder"].append(ContrastiveEmbedder(max_epochs=0, random_state=seed).fit(X))
        start, processor = time.perf_counter(), time.process_time()
        embedders["embedding"].append(ContrastiveEmbedder(random_state=seed, verbose=1).fit(X))
        seconds.append(time.perf_counter() - start)
        processor_seconds.append(time.process_time() - processor)
    features = {
        "raw pixels": (pixels, pixels_test),
        "PCA": (pca.transform(pixels), pca.transform(pixels_test)),
        **{name: [(e.transform(X), e.transform(X_test)) for e in fitted] for name, fitted in embedders.items()},
    }
    records = label_efficiency(features, y, y_test, LABELS_PER_CLASS, n_draws=N_DRAWS)
    for record in records:
        scores = 100 * np.array(record["scores"])
        print(
            f"{record['features']:18} {record['labels_per_class']:4}  {scores.mean():5.1f} ± {scores.std(ddof=1):.1f} %"
        )
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    LabelEfficiencyDisplay(records).plot(ax=axes)
    axes.set_ylabel("accuracy")
    figure.savefig(RESULTS / "few_labels.svg", metadata={"Date": None})
    spent = {"fit_seconds": seconds, "fit_processor_seconds": processor_seconds}
    epochs = embedders["embedding"][0].n_iter_
    write("few_labels", {"n_draws": N_DRAWS, "records": records, **spent, "epochs": epochs})


if __name__ == "__main__":
    main()
