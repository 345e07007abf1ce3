"""Words for numbers."""


def counted(n: int, noun: str, plural: str | None = None) -> str:
    """Return a number and its noun, which is singular for 1.

    Parameters
    ----------
    n : the number; thousands are separated by commas.
    noun : its singular.
    plural : its plural where an s does not make it.

    Examples
    --------
    >>> from skclr.wording import counted
    >>> counted(1, "epoch"), counted(2000, "sample"), counted(2, "class", "classes")
    ('1 epoch', '2,000 samples', '2 classes')
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"
