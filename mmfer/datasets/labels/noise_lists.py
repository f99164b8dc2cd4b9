"""Lists of labels as they circulate: an image and its class a line, and perhaps a number before or a label behind."""

from __future__ import annotations

import os.path as osp
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from mmfer.datasets.labels.noise_manifest import FIRST_LINE
from mmfer.datasets.labels.schema import SYNONYMS, canonical
from mmfer.datasets.reading.files import IMAGE_EXTENSIONS, BadLines, name_a_few
from mmfer.datasets.reading.lines import lines_of
from mmfer.datasets.reading.names import normal_name, normal_names

_LONGEST = 1_000
"""Characters of a line: many. A pattern may take ages to see that it does not match a longer one."""
_BETWEEN = r'(?:\s*[,;]\s*|\s+)'
_EXPECTED = "'train_00001.jpg 5': an image and its class; a number of the row may stand before, a second label behind"


@dataclass(frozen=True)
class ListedLabels:
    """What a list says of every face of a training set.

    Args:
        columns: One or two labels of each face, as texts, [N] each.
        titles: What the first line calls these columns; '' where it does not say.
    """

    columns: list[list[str]]
    titles: list[str]


def read_noise_list(path: str, names: Sequence[str], classes: Collection[str]) -> ListedLabels:
    """Reads what a list says of the faces of a training set, in their order.

    RAF-DB's circulate in two forms. Those of `EAC <https://github.com/zyh-uaiaaaa/Erasing-Attention-Consistency>`_
    (noise01.txt, noise02.txt, noise03.txt) look like the training rows of RAF-DB's own label file, classes counted
    from 1; those of `SCN <https://github.com/kaiwang960112/Self-Cure-Network>`_ (0.1noise_train.txt,
    0.2noise_train.txt) have the authors' absolute paths and classes counted from 0::

        train_00001.jpg 5
        /home/.../RAFDB_DATA/aligned/train_00001_aligned.jpg 4

    A class is a number or a name, a line may have two of them, and the number of the row before the image: what is left
    must be a name of the training set. Names are compared as they are, or else without folder, extension and
    ``_aligned``. The first line may say what the columns are.

    Args:
        path: The list; blanks, tabs, commas or semicolons stand between.
        names: N names of the training set.
        classes: Names of classes that the list may use; synonyms are known.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The list has bad lines, or is not of these faces.
    """
    if not osp.isfile(path):
        raise FileNotFoundError(f'there is no list of noisy labels {path}')
    bad = BadLines(path, _EXPECTED)
    lines = [(number, line.strip()) for number, line in lines_of(path, bad)]
    for number, text in lines:
        if len(text) > _LONGEST:
            bad.add(number, text, f'more than {_LONGEST:,} characters')
    bad.raise_if_any()
    if lines and lines[0][1] == FIRST_LINE:
        raise ValueError(
            f'{path} is a manifest, not a list to make one from: train with it, '
            f"label_noise=dict(kind='manifest', file={path!r})"
        )
    layouts = _layouts(classes, len(names))
    stems = {_stem(name) for name in names}
    face = bool(lines) and any(_stem(_bare(word)) in stems for word in re.split(_BETWEEN, lines[0][1]))
    tried = []
    for layout in layouts:
        rows = [layout.fullmatch(text) for _, text in lines]
        titles = lines[0][1] if not face and len(rows) > 1 and rows[0] is None and rows[1] is not None else ''
        found = [row for row in rows if row is not None]
        listed, wanted = _comparable([_bare(row['name']) for row in found], names)
        if len(found) == len(lines) - bool(titles) and Counter(listed) == Counter(wanted):
            tried = [(0, layout, rows, titles)]
            break
        known = set(wanted)
        tried.append((-sum(name in known for name in listed), layout, rows, titles))
    _, layout, rows, titles = min(tried, key=lambda attempt: attempt[0])
    bad.looked_at -= bool(titles)
    for (number, text), row in zip(lines[bool(titles) :], rows[bool(titles) :], strict=True):
        if row is None:
            bad.add(number, text)
    bad.raise_if_any()
    found = [row for row in rows if row is not None]
    place = _places(path, [_bare(row['name']) for row in found], names)
    groups = [key for key in ('first', 'second') if key in layout.groupindex]
    columns = [[found[row][group] for row in place] for group in groups]
    words = [_bare(word) for word in re.split(_BETWEEN, titles)[-len(columns) :]] if titles else []
    return ListedLabels(
        columns, [*words, '', ''][: len(columns)] if len(words) == len(columns) else [''] * len(columns)
    )


def _layouts(classes: Iterable[str], faces: int) -> list[re.Pattern[str]]:
    """Image and label; then with a second label; then both with the number of the row before."""
    names = {word for name in map(canonical, classes) for word in (name, *SYNONYMS.get(name, ()))}
    words = [r'[\s_-]+'.join(map(re.escape, name.split())) for name in sorted(names, key=len, reverse=True)]
    label = '|'.join([r'[+-]?\d+(?:\.\d*)?', *words])
    first, second = (rf'{_BETWEEN}(?P<q_{key}>"?)(?P<{key}>{label})(?P=q_{key})' for key in ('first', 'second'))
    name = r'(?P<name>.*?\S)'
    return [
        re.compile(before + name + behind, re.IGNORECASE)
        for before in ('', rf'"?\d{{1,{len(str(faces)) + 1}}}"?{_BETWEEN}')
        for behind in (first, first + second)
    ]


def _places(path: str, listed: list[str], names: Sequence[str]) -> list[int]:
    """The row of the list that each face of the training set has."""
    listed, names = _comparable(listed, names)
    for whose, column in ((path, listed), ('the training set', names)):
        twice = [name for name, count in Counter(column).items() if count > 1]
        if twice:
            raise ValueError(
                f'{whose} has several rows of {name_a_few(twice)}, so that it cannot be told which label '
                'belongs to which face; leave one row of each'
            )
    place = {name: row for row, name in enumerate(listed)}
    missing, known = [name for name in names if name not in place], set(names)
    strange = [name for name in listed if name not in known]
    if missing or strange:
        less = f'lacks {len(missing):,} of the {len(names):,} training faces ({name_a_few(missing)})' if missing else ''
        more = f'lists {len(strange):,} images that are none ({name_a_few(strange)})' if strange else ''
        raise ValueError(
            f'{path} {" and ".join(filter(None, (less, more)))}; it must have a row for each training '
            'face and no other, the test split least of all: take the list made of these data'
        )
    return [place[name] for name in names]


def _comparable(listed: list[str], names: Sequence[str]) -> tuple[list[str], list[str]]:
    these, those = list(normal_names(listed)), list(normal_names(names))
    if set(these) == set(those):
        return these, those
    return [_stem(name) for name in these], [_stem(name) for name in those]


def _bare(name: str) -> str:
    return name[1:-1] if len(name) > 1 and name[0] == name[-1] == '"' else name


def _stem(name: str) -> str:
    name = normal_name(name).rsplit('/', 1)[-1]
    stem, extension = osp.splitext(name)
    return (stem if extension.lower() in IMAGE_EXTENSIONS else name).removesuffix('_aligned')
