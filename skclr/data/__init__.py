"""Data in the forms that users have: rows, labels and groups."""

from skclr.data.columns import check_length
from skclr.data.groups import encode_groups
from skclr.data.labels import Labels, check_splittable, encode_labels, encode_together
from skclr.data.rows import Rows

__all__ = [
    "Labels",
    "Rows",
    "check_length",
    "check_splittable",
    "encode_groups",
    "encode_labels",
    "encode_together",
]
