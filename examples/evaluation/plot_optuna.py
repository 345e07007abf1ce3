"""
Hyperparameter search with Optuna
=================================

A grid tries the values that you list. `OptunaSearchCV` samples values from ranges and concentrates on those that
worked; parameter names are the same, ``part__name`` through the pipeline. A grid of as many fits and the defaults show
whether it was worth it.
"""

# %%
# Temperature and learning rate are searched over ranges. Training is short: enough to rank the settings.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from optuna import logging
from optuna.distributions import FloatDistribution
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline

from skclr import ContrastiveEmbedder

# Both are about experimental features of optuna.
warnings.filterwarnings("ignore", "OptunaSearchCV is experimental|`optuna.terminator`")
from optuna_integration.sklearn import OptunaSearchCV

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.5, stratify=y, random_state=0)

small = {"modality_params": {"image_shape": (8, 8)}, "encoder_params": {"width": 16}, "max_epochs": 5}
classifier = LogisticRegression(max_iter=5000)
pipe = Pipeline([("embed", ContrastiveEmbedder(**small, random_state=0)), ("classify", classifier)])
ranges = {
    "embed__loss__temperature": FloatDistribution(0.05, 1.0, log=True),
    "embed__learning_rate": FloatDistribution(1e-4, 3e-2, log=True),
}
grid = {"embed__loss__temperature": [0.05, 0.14, 0.37, 1.0], "embed__learning_rate": [3e-4, 3e-3, 3e-2]}

# %%
# Both searches try twelve settings with two-fold cross-validation on the training digits. Optuna draws its first ten at
# random. To share the trials among processes or machines, pass each the same `study=`, stored in a database.

logging.set_verbosity(logging.WARNING)
by_optuna = OptunaSearchCV(pipe, ranges, n_trials=12, cv=2, random_state=0).fit(X_train, y_train)
by_grid = GridSearchCV(pipe, grid, cv=2).fit(X_train, y_train)
for name, search in {"optuna": by_optuna, "grid": by_grid}.items():
    best = ", ".join(f"{parameter} {value:.4f}" for parameter, value in search.best_params_.items())
    print(f"{name:7} {100 * search.best_score_:5.1f} % by {best}")

# %%
# The chosen settings on the test digits. Here neither search was worth its fits: within the error, the defaults are as
# good.

rows = {
    "optuna": by_optuna,
    "grid": by_grid,
    "defaults": pipe.fit(X_train, y_train),
    "pixels": clone(classifier).fit(X_train, y_train),
}
for name, model in rows.items():
    accuracy = model.score(X_test, y_test)
    error = 100 * np.sqrt(accuracy * (1 - accuracy) / len(y_test))
    print(f"{name:8} {100 * accuracy:5.1f} ± {error:.1f} %")

# %%
# The settings that each search tried, and their scores.

tried = {
    "optuna": ([trial.params for trial in by_optuna.trials_], [trial.value for trial in by_optuna.trials_]),
    "grid": (by_grid.cv_results_["params"], by_grid.cv_results_["mean_test_score"]),
}
seen = np.concatenate([scores for _, scores in tried.values()])
figure, axis = plt.subplots(layout="constrained")
for (searcher, (params, scores)), marker in zip(tried.items(), "os", strict=True):
    places = np.array([[setting[name] for name in ranges] for setting in params])
    points = axis.scatter(*places.T, c=scores, marker=marker, vmin=seen.min(), vmax=seen.max(), label=searcher)
axis.set(xscale="log", yscale="log", xlabel="temperature", ylabel="learning rate")
figure.colorbar(points, label="cross-validated accuracy")
figure.legend(loc="outside upper center", ncols=2, frameon=False)
