"""
Choosing a model without labels
===============================

Without labels no score says for certain which embedding is best. Scores computed from views come closest: they measure
how well one view of a sample identifies its other view. Here they choose among settings, and held-out labels show how
good the choice was.
"""

# %%
# The scorers of `skclr.evaluation.SCORERS` work in any search of scikit-learn, without y.

import matplotlib.pyplot as plt
from scipy.stats import spearmanr
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, ShuffleSplit, train_test_split

from skclr import ContrastiveEmbedder
from skclr.evaluation import SCORERS, linear_probe

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
embedder = ContrastiveEmbedder(modality_params={"image_shape": (8, 8)}, encoder_params={"width": 16}, random_state=0)
grid = {"framework": ["simclr", "byol"], "max_epochs": [1, 4, 12]}
measures = {name: SCORERS[name] for name in ("view_auc", "neighbor_overlap", "effective_rank")}
search = GridSearchCV(
    embedder, grid, scoring=measures, refit="view_auc", cv=ShuffleSplit(1, test_size=0.3, random_state=0)
).fit(X_train)
print(f"chosen without labels: {search.best_params_}")

# %%
# Evaluation with labels: a linear probe of each setting on the test digits, and the rank correlation of each measure
# with these scores.

probes = []
for params in search.cv_results_["params"]:
    fitted = embedder.set_params(**params).fit(X_train)
    probes.append(linear_probe(fitted.transform(X_train), y_train, fitted.transform(X_test), y_test))
    print(f"{100 * probes[-1]:5.1f} %  {params}")
for name in measures:
    rank = spearmanr(search.cv_results_[f"mean_test_{name}"], probes).statistic
    print(f"{name:20} Spearman correlation with the probe {rank:+.2f}")
best, chosen = max(probes), probes[search.best_index_]
print(f"the choice is {100 * (best - chosen):.1f} points below the best; raw pixels have", end=" ")
print(f"{100 * linear_probe(X_train, y_train, X_test, y_test):.1f} %")

# %%
# Each measure and the score that it should predict.

figure, axes = plt.subplots(1, len(measures), figsize=(10, 3.2), layout="constrained", sharey=True)
for axis, name in zip(axes, measures, strict=True):
    values = search.cv_results_[f"mean_test_{name}"]
    for x, y, params in zip(values, probes, search.cv_results_["params"], strict=True):
        axis.plot(x, y, "o" if params["framework"] == "simclr" else "s", color="C0")
        axis.annotate("{framework}, {max_epochs}".format(**params), (x, y), fontsize=7)
    axis.set(xlabel=f"{name}, without labels", xmargin=0.25)
axes[0].set_ylabel("linear probe, with labels")
