"""Model files that are changed at random where it matters: at a node of their document or at a tensor.

Every change keeps the file well formed, with a valid checksum, as an attacker could write it.
"""

import copy
import json
import random

import torch
from safetensors.torch import save

from skclr.encoders import ENCODERS
from skclr.files.format import VERSION, checksummed, from_bytes
from skclr.frameworks import FRAMEWORKS
from skclr.losses import LOSSES
from skclr.modalities import MODALITIES
from skclr.saving import CLASSES
from skclr.views import VIEWS

SETTINGS = ["auto", "words", "wordllama", "sgd", "lars", "none", "all"]
NAMES = [*FRAMEWORKS, *LOSSES, *ENCODERS, *VIEWS, *MODALITIES, *SETTINGS]
PLACES = [
    "/etc/passwd",
    "../weights.bin",
    "https://example.org/x",
    "hf-hub:a/b",
    "evil-org/evil",
    "",
    "a" * 1000,
    "\x1b]0;x",
    "\ud800",
]
DEVICES = ["meta", "hpu", "cuda:99", "mps", "xla", "cpu", "cuda"]
SIZES = [0, -1, 1, 2, 3, 255, 2**16, 2**20, 10**7, 2**31, 2**63, 10**30, -(2**40)]
NUMBERS = [0.0, -0.5, 1e-300, 1e300, 0.5, {"float": "nan"}, {"float": "inf"}, {"float": "-inf"}]
ENTRIES = [
    "checkpoint_path",
    "pretrained",
    "model",
    "tokenizer",
    "width",
    "n_layers",
    "n_views",
    "on_top",
    "features",
    "loss",
    "rate",
    "queue_size",
    "size",
    "hop",
    "callbacks",
]
DTYPES = [torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool]


def mutated(raw: bytes, seed: int) -> bytes:
    """Return a file with one to three changes, which follow from the seed."""
    rng = random.Random(seed)
    tree, tensors = copy.deepcopy(from_bytes(raw))
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        kind = rng.random()
        if tensors and kind < 0.15:
            _change_tensor(rng, tensors)
        elif kind < 0.5:
            _change_parameter(rng, tree)
        else:
            holder = [tree]
            places = [*_places(holder)]
            # As many at the top, where the roles are, as in long lists of values below.
            depth = rng.choice(sorted({depth for depth, *_ in places}))
            _, node, key = rng.choice([place for place in places if place[0] == depth])
            _change(rng, node, key)
            tree = holder[0] if holder else None
    document = {"sha256": "0" * 64, "version": VERSION, "tree": tree}
    return checksummed(save(tensors, {"skclr": json.dumps(document, separators=(",", ":"))}))


def _change_parameter(rng, tree):
    """Change the value of a parameter, at the fit or after it."""
    try:
        content = dict(tree["dict"])
        entries = content[rng.choice(["fitted_with", "changed"])]["dict"]
        name = rng.choice([name for name, _ in content["fitted_with"]["dict"]])
        value = _value(rng)
        if str(name).endswith("_params") and rng.random() < 0.8:
            value = {"dict": [[rng.choice(ENTRIES), _value(rng)] for _ in range(rng.choice([1, 2]))]}
        entries[:] = [entry for entry in entries if entry[0] != name] + [[name, value]]
    except (TypeError, KeyError, ValueError, IndexError):
        # After an earlier change the document no longer has this form.
        return


def _places(node, depth=0):
    """Yield the depth, the container and the key of every value below a node."""
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        yield depth, node, key
        if isinstance(value, dict | list):
            yield from _places(value, depth + 1)


def _change(rng, node, key):
    value = node[key]
    kind = rng.random()
    if kind < 0.08 and isinstance(node, list) and len(node) > 1:
        del node[key]
    elif kind < 0.16 and isinstance(node, list):
        node.insert(key, copy.deepcopy(value))
    elif kind < 0.3 and isinstance(value, int | float) and not isinstance(value, bool):
        node[key] = value * rng.choice([-1, 0.5, 2, 10**3, 10**6, 10**9])
    elif kind < 0.4 and isinstance(value, dict) and "dict" in value and isinstance(value["dict"], list):
        value["dict"].append([rng.choice(ENTRIES), _value(rng)])
    else:
        node[key] = _value(rng)


def _value(rng, depth=0):
    """Return a value of any kind, as a document holds it."""
    kind = rng.choice(["name", "place", "device", "size", "size", "number", "plain", "class", "class", "part", "many"])
    match kind:
        case "name":
            return rng.choice(NAMES)
        case "place":
            return rng.choice(PLACES)
        case "device":
            return rng.choice(DEVICES)
        case "size":
            return rng.choice(SIZES)
        case "number":
            return copy.deepcopy(rng.choice(NUMBERS))
        case "plain":
            return rng.choice([None, True, False, {"missing": "function"}])
        case "class":
            return {"class": rng.choice([*CLASSES])}
        case "part":
            entries = [[rng.choice(ENTRIES), _value(rng, depth + 1)] for _ in range(rng.choice([0, 1, 2]))]
            return {"part": [rng.choice([*CLASSES]), {"dict": entries if depth < 3 else []}]}
    values = [_value(rng, depth + 1) for _ in range(rng.choice([0, 1, 2, 3]))] if depth < 3 else []
    one = {"dict": [["a", value] for value in values[:1]]}
    return rng.choice([values, {"tuple": values}, one, {"objects": values}])


def _change_tensor(rng, tensors):
    name = rng.choice([*tensors])
    tensor = tensors[name]
    kind = rng.choice(["drop", "rename", "dtype", "shape", "values", "values"])
    if kind == "drop":
        del tensors[name]
    elif kind == "rename":
        tensors[rng.choice(ENTRIES)] = tensors.pop(name)
    elif kind == "dtype":
        tensors[name] = tensor.to(rng.choice(DTYPES))
    elif kind == "shape":
        shapes = [tensor.flatten(), tensor[None], tensor.new_zeros(0), torch.stack([tensor] * 2)]
        tensors[name] = rng.choice(shapes).clone()
    elif tensor.is_floating_point():
        tensors[name] = torch.full_like(tensor, rng.choice([torch.nan, torch.inf, -1.0, 0.0, 1e30]))
    else:
        tensors[name] = torch.full_like(tensor, rng.choice([0, 1, 100]))
