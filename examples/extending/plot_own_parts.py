"""
Your own encoder, loss and views
================================

Each part may be a plain torch module or function, without base class or registration. The result is still a
scikit-learn transformer. This example compares such parts with the defaults.
"""

# %%
# An encoder is a module that maps samples to (B, d). A view function returns one random view of a batch. A loss maps
# embeddings and their group ids to a number.

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
    """Shift all images by up to one pixel and add noise."""
    across, down = torch.randint(-1, 2, (2,)).tolist()
    return x.roll((across, down), (2, 3)) + 0.5 * torch.randn_like(x)


def alignment_and_uniformity(embeddings, groups):
    """Return alignment plus uniformity (Wang and Isola 2020, sec. 4): rows of a group close, all rows spread out."""
    z = nn.functional.normalize(embeddings)
    squares = 2 - 2 * z @ z.T
    same = (groups[:, None] == groups) & ~torch.eye(len(z), dtype=torch.bool, device=z.device)
    return squares[same].mean() + squares[~same].mul(-2).exp().mean().log()


# %%
# ``random_state`` also determines what your own parts draw.

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
# The views that the function makes:
ViewsDisplay.from_estimator(embedders["own parts"], X)
