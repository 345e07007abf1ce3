"""
Grid search over frameworks and losses
======================================

Framework, loss, temperature and the classifier's penalty are parameters of one pipeline, and `GridSearchCV` searches
them like any others. The same classifier on raw pixels shows whether the search was worth it.
"""

# %%
# The grid has two parts: frameworks with their own objective, and losses for SimCLR. Training is short: enough to rank
# the settings.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit, train_test_split
from sklearn.pipeline import Pipeline

from skclr import ContrastiveEmbedder

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.5, stratify=y, random_state=0)

small = {"modality_params": {"image_shape": (8, 8)}, "encoder_params": {"width": 16}, "max_epochs": 10}
classifier = LogisticRegression(max_iter=5000)
pipe = Pipeline([("embed", ContrastiveEmbedder(**small, random_state=0)), ("classify", classifier)])
grid = [
    {"embed__framework": ["simclr", "moco", "barlow_twins"]},
    {"embed__loss": ["triplet", "nt_xent"], "embed__loss_params": [None]},
    {"embed__loss": ["nt_xent"], "embed__loss__temperature": [0.1, 0.5]},
]

# %%
# Half of the training digits are held out to choose the setting. The classifier gets all labels of the other half.

folds = StratifiedShuffleSplit(n_splits=1, test_size=0.5, random_state=0)
search = GridSearchCV(pipe, grid, cv=folds).fit(X_train, y_train)
results = zip(search.cv_results_["mean_test_score"], search.cv_results_["params"], strict=True)
for score, params in sorted(results, key=lambda row: -row[0]):
    print(f"{100 * score:5.1f} %  {params}")

# %%
# The chosen setting, fitted on all training digits, compared with raw pixels.

pixels = classifier.fit(X_train, y_train).score(X_test, y_test)
chosen = search.score(X_test, y_test)
error = 100 * np.sqrt(chosen * (1 - chosen) / len(y_test))
print(f"chosen: {100 * chosen:.1f} ± {error:.1f} %, raw pixels: {100 * pixels:.1f} %")
print(f"embedding minus raw pixels: {100 * (chosen - pixels):+.1f} points with all labels")

# %%
# The scores of all settings, and the test scores of the chosen one and of raw pixels.

names = [", ".join(map(str, params.values())).replace(", None", "") for params in search.cv_results_["params"]]
figure, axis = plt.subplots(layout="constrained")
axis.plot(search.cv_results_["mean_test_score"], names, "o", label="held-out digits")
axis.plot(chosen, names[search.best_index_], "D", label="chosen, test digits")
axis.axvline(pixels, color="C7", label="raw pixels, test digits")
axis.set(xlabel="accuracy")
figure.legend(loc="outside upper center", ncols=3, frameon=False)
