"""What a table's column of labels says: names of classes, or their numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from mmfer.datasets.labels.numbers import is_number, stands_for_nothing, whole_number
from mmfer.datasets.labels.schema import canonical

_MISSING = 'stands for no class (take the row out; if it is a class, name it in metainfo=dict(classes=[...]))'
_NO_NUMBER = 'is no number, as the other labels are'
_NO_NAME = 'is a number, and the other labels are names'
_NOT_WHOLE = 'is no whole number'


class LabelTexts(NamedTuple):
    """The classes, the id of each text that stands for one, why the others stand for none, and whether they count."""

    classes: tuple[str, ...]
    ids: dict[str, int]
    faults: dict[str, str]
    numbered: bool


def read_label_texts(
    rows: Mapping[str, int], path: str, wanted: Sequence[str] = (), dropped: Collection[str] = ()
) -> LabelTexts:
    """Tells names from numbers, and says what is neither.

    Args:
        rows: The different texts, and how many rows have each as their label.
        path: The file, for the message.
        wanted: Names of the classes that were asked for, if any: what numbers count in.
        dropped: Classes whose faces are left out on purpose.

    Raises:
        ValueError: They are numbers, and nobody has said of what.
    """
    known = {canonical(name) for name in (*wanted, *dropped)}
    faults = {text: _MISSING for text in rows if stands_for_nothing(text) and canonical(text) not in known}
    numbers = [text for text in rows if text not in faults and is_number(text)]
    words = [text for text in rows if text not in faults and not is_number(text)]
    numbered = bool(numbers) and sum(rows[text] for text in numbers) > sum(rows[text] for text in words)
    if numbers and words:
        faults |= dict.fromkeys(words, _NO_NUMBER) if numbered else dict.fromkeys(numbers, _NO_NAME)
    if not numbered and words:
        classes = tuple(sorted({canonical(text) for text in words}))
        return LabelTexts(classes, {text: classes.index(canonical(text)) for text in words}, faults, False)
    if numbers and not wanted:
        raise ValueError(
            f"{path} numbers its classes; say what the numbers mean: metainfo=dict(classes='rafdb'), or list the "
            'names, the one of 0 first'
        )
    names = [whole_number(name) for name in wanted]
    counted = range(len(wanted)) if None in names else names  # classes may be called 1, 2, 3
    among = f'is not among {f"0-{len(wanted) - 1}" if None in names else ", ".join(wanted)}'
    ids = {}
    for text in numbers:
        value = whole_number(text)
        if value is not None and value in counted:
            ids[text] = counted.index(value)
        else:
            faults[text] = _NOT_WHOLE if value is None else among
    return LabelTexts(tuple(wanted), ids, faults, None in names)
