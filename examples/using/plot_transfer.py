"""
Transfer from one data set to another
=====================================

Is an encoder that was trained on many images of one kind a good start for few images of another kind? Here it is
trained on the digits 0 to 4 and then on one hundred of the digits 5 to 9. The result is much better than without
training, but no better than training on the hundred digits alone, or than raw pixels: compare before you transfer.
"""

# %%
# ``encoder=`` accepts the fitted embedder; ``freeze`` is the number of its first layers that stay as they are.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skclr import ContrastiveEmbedder
from skclr.evaluation import draw_labels, linear_probe

X, y = load_digits(return_X_y=True)
other, y_other = X[y > 4], y[y > 4]
X_few, X_test, y_few, y_test = train_test_split(other, y_other, train_size=100, stratify=y_other, random_state=0)
digits = {"modality_params": {"image_shape": (8, 8)}, "random_state": 0}
small = {**digits, "encoder_params": {"width": 16}}

learned = ContrastiveEmbedder(**small, max_epochs=60).fit(X[y < 5])
starts = {
    "untrained": ContrastiveEmbedder(**small, max_epochs=0),
    "trained on the hundred": ContrastiveEmbedder(**small, max_epochs=60),
    "transferred": ContrastiveEmbedder(**digits, encoder=learned, max_epochs=0),
    "transferred, tuned": ContrastiveEmbedder(**digits, encoder=learned, freeze=4, max_epochs=20),
}

# %%
# Three labels of each digit, in ten draws.

draws = draw_labels(y_few, 3, n_draws=10)
scores = {"raw pixels": [linear_probe(X_few[rows], y_few[rows], X_test, y_test) for rows in draws]}
for name, embedder in starts.items():
    few, test = embedder.fit(X_few).transform(X_few), embedder.transform(X_test)
    scores[name] = [linear_probe(few[rows], y_few[rows], test, y_test) for rows in draws]
for name, values in scores.items():
    print(f"{name:24}{100 * np.mean(values):5.1f} ± {100 * np.std(values, ddof=1):.1f} %")
for other in ("untrained", "raw pixels", "trained on the hundred"):
    gain = 100 * (np.array(scores["transferred, tuned"]) - np.array(scores[other]))
    print(f"transferred, tuned minus {other}: {gain.mean():+.1f} ± {gain.std(ddof=1):.1f} points, paired by draw")

# %%
# Each draw of labels is a point.

figure, axis = plt.subplots(figsize=(7, 2.5), layout="constrained")
for name, values in scores.items():
    axis.plot(values, [name] * len(values), "o", color="C0", alpha=0.5)
axis.set(xlabel="accuracy")
axis.invert_yaxis()
