"""Wording of numbers in messages."""


def counted(n: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun, in the singular for 1.

    Parameters
    ----------
    n : the number, written with thousands separators.
    noun : the singular.
    plural : the plural, if it is not formed by adding an s.

    Examples
    --------
    >>> from skclr.wording import counted
    >>> counted(1, "epoch"), counted(2000, "sample"), counted(2, "class", "classes")
    ('1 epoch', '2,000 samples', '2 classes')
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"
