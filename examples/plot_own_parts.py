"""
An encoder, a loss and a view of one's own
==========================================

Each part may be a plain torch module or function: no base class, no registration. Together they still are a
scikit-learn transformer, and are held against the defaults here.
"""

# %%
# An encoder is a module from samples to (B, d); a view takes a batch to one random view of it; a loss takes
# embeddings, with the ids of their groups, to a number.

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from skclr import ContrastiveEmbedder
from skclr.evaluation import linear_probe
from skclr.plotting import ViewsDisplay

encoder = nn.Sequential(
    nn.Conv2d(1, 32, 3, padding=1),
    nn.ReLU(),
    nn.Conv2d(32, 64, 3, stride=2),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(576, 64),
)


def shifted(x):
    """Move each image by up to one pixel, and add noise."""
    across, down = torch.randint(-1, 2, (2,)).tolist()
    return x.roll((across, down), (2, 3)) + 0.5 * torch.randn_like(x)


def alignment_and_uniformity(embeddings, groups):
    """Bring rows of one group together and spread all over the sphere (Wang and Isola 2020, sec. 4)."""
    z = nn.functional.normalize(embeddings)
    squares = 2 - 2 * z @ z.T
    same = (groups[:, None] == groups) & ~torch.eye(len(z), dtype=torch.bool, device=z.device)
    return squares[same].mean() + squares[~same].mul(-2).exp().mean().log()


# %%
# ``random_state`` holds for them too: what they draw follows from it.

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.5, stratify=y, random_state=0)
digits = {"modality_params": {"image_shape": (8, 8)}, "max_epochs": 20, "random_state": 0}
embedders = {
    "own parts": ContrastiveEmbedder(encoder=encoder, views=shifted, loss=alignment_and_uniformity, **digits),
    "own encoder, untrained": ContrastiveEmbedder(encoder=encoder, **{**digits, "max_epochs": 0}),
    "defaults": ContrastiveEmbedder(encoder_params={"width": 16}, **digits),
}
print(f"{'raw pixels':26}{100 * linear_probe(X_train, y_train, X_test, y_test):5.1f} %")
for name, embedder in embedders.items():
    train, test = embedder.fit(X_train).transform(X_train), embedder.transform(X_test)
    print(f"{name:26}{100 * linear_probe(train, y_train, test, y_test):5.1f} %")

# %%
# What the function shows the network:
ViewsDisplay.from_estimator(embedders["own parts"], X)
