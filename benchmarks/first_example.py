"""The example of the README: accuracy of its pipeline, and of the same classifier on raw pixels."""

from _common import write
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from skclr import ContrastiveEmbedder


def main() -> None:
    digits = load_digits()
    X, y = digits.images.astype("uint8"), digits.target
    classifier = LogisticRegression(max_iter=5000)
    pipe = Pipeline([("embed", ContrastiveEmbedder(random_state=0)), ("clf", classifier)])
    ours = pipe.fit(X[:100], y[:100], embed__unlabeled=X[100:1000]).score(X[1000:], y[1000:])
    pixels = X.reshape(len(X), -1)
    raw = classifier.fit(pixels[:100], y[:100]).score(pixels[1000:], y[1000:])
    write("first_example", {"pipeline": ours, "raw pixels": raw})


if __name__ == "__main__":
    main()
