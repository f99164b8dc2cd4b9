"""One vocabulary for the expressions, and the orders in which datasets list them."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Sequence

import numpy as np

SYNONYMS = {
    'surprise': ('surprised', 'surprising', 'su', 'suprise'),
    'fear': ('fearful', 'afraid', 'scared', 'fe'),
    'disgust': ('disgusted', 'disgusting', 'di'),
    'happiness': ('happy', 'joy', 'smile', 'ha'),
    'sadness': ('sad', 'sa'),
    'anger': ('angry', 'an'),
    'neutral': ('neutrality', 'natural', 'ne'),
    'contempt': ('contemptuous', 'co'),
}
"""The names used throughout mmfer, each with what else it is called."""

_NAME_OF = {word: name for name, words in SYNONYMS.items() for word in (name, *words)}

ORDERS = {
    'rafdb': ('surprise', 'fear', 'disgust', 'happiness', 'sadness', 'anger', 'neutral'),
    'affectnet7': ('neutral', 'happiness', 'sadness', 'surprise', 'fear', 'disgust', 'anger'),
    'affectnet8': ('neutral', 'happiness', 'sadness', 'surprise', 'fear', 'disgust', 'anger', 'contempt'),
    'fer2013': ('anger', 'disgust', 'fear', 'happiness', 'sadness', 'surprise', 'neutral'),
    'ferplus': ('neutral', 'happiness', 'surprise', 'sadness', 'anger', 'disgust', 'fear', 'contempt'),
    'sfew': ('anger', 'disgust', 'fear', 'happiness', 'neutral', 'sadness', 'surprise'),
    'expw': ('anger', 'disgust', 'fear', 'happiness', 'sadness', 'surprise', 'neutral'),
    'caers': ('anger', 'disgust', 'fear', 'happiness', 'neutral', 'sadness', 'surprise'),
    'rafdb_compound': (
        'happily surprised',
        'happily disgusted',
        'sadly fearful',
        'sadly angry',
        'sadly surprised',
        'sadly disgusted',
        'fearfully angry',
        'fearfully surprised',
        'angrily surprised',
        'angrily disgusted',
        'disgustedly surprised',
    ),
}
"""Class names in the order of each dataset's own ids, counted from 0."""


def canonical(name: str) -> str:
    """The name mmfer uses: ``canonical('Happy') == 'happiness'``. Unknown names pass in lower case.

    Underscores and hyphens count as blanks, and a number before the name is left out: folders are also called
    ``3_happy`` and ``Happily_Surprised``.
    """
    name = unicodedata.normalize('NFC', name)  # folders of an archive made on a Mac
    word = ' '.join(re.sub(r'^\d+[\s._-]+(?=\D)|[\s_-]+', ' ', name).split()).lower()
    return _NAME_OF.get(word, word)


def class_names(order: str) -> tuple[str, ...]:
    """The class names of an order: ``class_names('rafdb')``.

    Raises:
        ValueError: There is no such order.
    """
    if order not in ORDERS:
        raise ValueError(
            f'classes={order!r} is no known order; take one of {", ".join(ORDERS)}, or list the names: '
            "classes=['happiness', 'neutral', ...]"
        )
    return ORDERS[order]


def stored_classes(text: str, where: str) -> list[str]:
    """Names of classes, as a file holds them in JSON.

    Args:
        text: The JSON.
        where: What it is, for the message.

    Raises:
        ValueError: It is no list of names that differ.
    """
    try:
        classes = json.loads(text)
    except (ValueError, RecursionError):  # the latter of a thousand brackets, and no ValueError
        classes = None
    if not isinstance(classes, list) or not classes or not all(isinstance(name, str) for name in classes):
        raise ValueError(f'{where} are no list of names: {text[:80]!r}; take the file as it was published')
    if len(set(classes)) < len(classes):
        raise ValueError(f'{where} have a name twice: {text[:80]!r}; take the file as it was published')
    return classes


def label_map(source: Sequence[str], target: Sequence[str], drop: Collection[str] = ()) -> np.ndarray:
    """What each class id of ``source`` is in ``target``, int64 [len(source)]; -1 for classes that are dropped.

    Args:
        source: Class names in the order of the ids that are there. Synonyms and capitals do not matter.
        target: Class names in the order of the ids that are wanted.
        drop: Classes of ``source`` whose faces are left out on purpose.

    Raises:
        ValueError: A class of ``source`` is neither in ``target`` nor in ``drop``, so its faces would vanish silently;
            or a name appears twice, or ``drop`` names a class that does not exist or that ``target`` wants.
    """
    here, there, dropped = ([canonical(name) for name in names] for names in (source, target, drop))
    for role, names in (('source', here), ('target', there)):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f'the {role} classes {tuple(names)} name {", ".join(twice)} twice; give each class once')
    unknown = [name for name in dropped if name not in here or name in there]
    if unknown:
        raise ValueError(
            f'cannot drop {", ".join(unknown)}: only classes of {tuple(here)} that are not wanted in '
            f'{tuple(there)} can be dropped'
        )
    lost = [name for name in here if name not in there and name not in dropped]
    if lost:
        raise ValueError(
            f'{", ".join(lost)} of {tuple(here)} would be dropped silently by {tuple(there)}; add to the '
            f'classes, or say drop_classes={lost!r}'
        )
    return np.array([there.index(name) if name in there else -1 for name in here], dtype=np.int64)


def is_same_order(trained: Sequence[str], classes: Sequence[str]) -> bool:
    """Whether class ids mean the same in both; synonyms and capitals do not matter."""
    return [canonical(name) for name in trained] == [canonical(name) for name in classes]


def order_name(classes: Sequence[str]) -> str:
    """An order of :data:`ORDERS` by its name, or the names of the classes, as ``metainfo.classes=`` takes them."""
    known = next((name for name, order in ORDERS.items() if is_same_order(order, classes)), None)
    # A blank would not survive --cfg-options; `canonical` takes an underscore for one.
    return known or ','.join(name.replace(' ', '_') for name in classes)


def differs_from(trained: Sequence[str], classes: Sequence[str], key: str) -> tuple[str, str]:
    """What to say where two lists of classes meet that differ.

    Args:
        trained: The names in the order that counts, such as that of a network's scores.
        classes: Those of the dataset.
        key: Where the dataset stands in the config, such as 'val_dataloader.dataset'.

    Returns:
        What differs, and the cure: the options that map the dataset's classes by name, and leave out those that
        training does not know.
    """
    known = [canonical(name) for name in trained]
    unknown = [name.replace(' ', '_') for name in classes if canonical(name) not in known]
    options = f'{key}.metainfo.classes={order_name(trained)}'
    if unknown and len(unknown) < len(classes):
        options += f" '{key}.drop_classes=[{','.join(unknown)}]'"
    return (
        f'{key} counts the classes {", ".join(classes)}, training {", ".join(trained)}',
        f'let it map classes by name: --cfg-options {options}',
    )


def check_same_order(trained: Sequence[str], classes: Sequence[str], key: str) -> None:
    """Class ids mean the same in both.

    Raises:
        ValueError: They do not; `differs_from` says how.
    """
    if not is_same_order(trained, classes):
        raise ValueError(': '.join(differs_from(trained, classes, key)))
