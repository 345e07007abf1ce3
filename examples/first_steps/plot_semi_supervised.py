"""
Semi-supervised: few labels, many unlabelled rows
=================================================

scikit-learn marks rows without a label by -1. `SemiSupervisedClassifier` learns an embedding from all rows and a
logistic regression from the labelled ones. The baselines are a logistic regression on the pixels of the labelled rows
alone and scikit-learn's self-training.
"""

# %%
# Each digit has five labels; all other labels are -1. The result depends on which rows have labels, so there are five
# draws.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.semi_supervised import SelfTrainingClassifier

from skclr import ContrastiveEmbedder, SemiSupervisedClassifier
from skclr.evaluation import draw_labels

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
regression = LogisticRegression(max_iter=5000)
digits = {"modality_params": {"image_shape": (8, 8)}, "random_state": 0}

# %%
# The embedder uses no labels, so it is trained once for all draws: `encoder=` accepts the encoder of a fitted embedder.

trained = ContrastiveEmbedder(**digits, encoder_params={"width": 16}, max_epochs=40).fit(X_train)
embedder = ContrastiveEmbedder(**digits, encoder=trained.encoder_, max_epochs=0)
scores = {"labelled rows alone": [], "self-training": [], "SemiSupervisedClassifier": []}
for rows in draw_labels(y_train, 5, n_draws=5):
    partly = np.full(len(y_train), -1)
    partly[rows] = y_train[rows]
    alone = regression.fit(X_train[rows], y_train[rows])
    scores["labelled rows alone"].append(alone.score(X_test, y_test))
    scores["self-training"].append(SelfTrainingClassifier(regression).fit(X_train, partly).score(X_test, y_test))
    classifier = SemiSupervisedClassifier(embedder).fit(X_train, partly)
    scores["SemiSupervisedClassifier"].append(classifier.score(X_test, y_test))
for name, values in scores.items():
    print(f"{name:26}{100 * np.mean(values):5.1f} ± {100 * np.std(values, ddof=1):.1f} %")
gain = 100 * (np.array(scores["SemiSupervisedClassifier"]) - np.array(scores["self-training"]))
print(f"minus self-training: {gain.mean():+.1f} ± {gain.std(ddof=1):.1f} points, paired by draw")

# %%
# Each point is one draw of labels.

figure, axis = plt.subplots(figsize=(7, 2.5), layout="constrained")
for name, values in scores.items():
    axis.plot(values, [name] * len(values), "o", color="C0", alpha=0.5)
axis.set(xlabel="accuracy")
axis.invert_yaxis()
