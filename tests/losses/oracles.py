"""Each pairwise loss as the loop its paper writes, for one batch in float64.

An oracle takes the loss for its parameters, and per anchor a list of (s of each positive, s of each negative).
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def log_sum_exp(values: list[float]) -> float:
    top = max(values)
    return top + math.log(sum(math.exp(value - top) for value in values))


def softplus(value: float) -> float:
    return max(value, 0.0) + math.log1p(math.exp(-abs(value)))


def nt_xent(loss, anchors):
    return mean([log_sum_exp(pos + neg) - s for pos, neg in anchors for s in pos])


def sup_con(loss, anchors):
    return mean([mean([log_sum_exp(pos + neg) - s for s in pos]) for pos, neg in anchors])


def soft_nearest_neighbors(loss, anchors):
    return mean([log_sum_exp(pos + neg) - log_sum_exp(pos) for pos, neg in anchors])


def info_nce(loss, anchors):
    return mean([log_sum_exp([s, *neg]) - s for pos, neg in anchors for s in pos])


def dcl(loss, anchors):
    return mean([log_sum_exp(neg) - s for pos, neg in anchors if neg for s in pos])


def logistic(loss, anchors):
    costs = []
    for pos, neg in anchors:
        if loss.mining == "semi_hard":
            neg = [max(n for n in neg if n <= p) for p in pos if neg and min(neg) <= p]
        costs.append(sum(softplus(-s - loss.bias) for s in pos) + sum(softplus(s + loss.bias) for s in neg))
    return mean(costs)


def contrastive(loss, anchors):
    def push(d):
        return max(0.0, loss.margin - d) ** 2 / 2

    return mean([mean([d**2 / 2 for d in pos]) + mean([push(d) for d in neg]) for pos, neg in anchors])


def triplet(loss, anchors):
    costs = []
    for pos, neg in anchors:
        if loss.mining == "all":
            costs += [p - n + loss.margin for p in pos for n in neg]
        if loss.mining == "semi_hard":
            costs += [p - min(n for n in neg if n >= p) + loss.margin for p in pos if neg and max(neg) >= p]
        if loss.mining == "hard" and neg:
            costs += [(max(pos) - min(neg)) / mean(neg) + loss.margin]
    return mean([cost for cost in costs if cost > 0])


ORACLES = {
    "contrastive": contrastive,
    "triplet": triplet,
    "n_pair": info_nce,
    "info_nce": info_nce,
    "nt_xent": nt_xent,
    "sup_con": sup_con,
    "logistic": logistic,
    "dcl": dcl,
    "soft_nearest_neighbors": soft_nearest_neighbors,
}


def oracle(name, loss, embeddings: Tensor, groups: Tensor, candidates=None, candidate_groups=None) -> float:
    """Give what `loss`, an instance of LOSSES[name], must give."""
    others, other_groups = (embeddings, groups) if candidates is None else (candidates, candidate_groups)
    anchors = []
    for i, (x, group) in enumerate(zip(embeddings, groups, strict=True)):
        pos, neg = [], []
        for j, (other, other_group) in enumerate(zip(others, other_groups, strict=True)):
            if candidates is not None or i != j:
                (pos if group == other_group else neg).append(compare(name, loss, x, other))
        if pos:
            anchors.append((pos, neg))
    regularizer = loss.norm_weight * mean([x.dot(x).item() for x in embeddings]) if name == "n_pair" else 0.0
    return ORACLES[name](loss, anchors) + regularizer


def compare(name, loss, x: Tensor, y: Tensor) -> float:
    if name == "n_pair":
        return x.dot(y).item() / math.sqrt(len(x))
    if name in ("contrastive", "triplet") and loss.distance == "euclidean":
        return torch.dist(x, y).item()
    cosine = cosine_similarity(x, y, dim=0).item()
    return 1 - cosine if name in ("contrastive", "triplet") else cosine / loss.temperature
