"""What a look through datasets found, as one page of plain text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mmfer.apis.data.dataset_findings import OUTLYING, CheckedSet, DatasetCheck, Pair
from mmfer.datasets.landmarks.posture import NEARLY_ALL, SOME
from mmfer.datasets.landmarks.posture_fault import cure_of, exchange_command, odd_names
from mmfer.structures.printable import printable_name

OK, NOTE, WRONG = 'ok', 'note', 'WRONG'


@dataclass(frozen=True)
class Finding:
    """One line of the page.

    Args:
        mark: Whether it is in order, worth knowing, or wrong.
        text: What was found.
        details: Every case.
    """

    mark: str
    text: str
    details: list[str] = field(default_factory=list)


def findings(check: DatasetCheck) -> list[Finding]:
    """Everything that was looked at, in the order of the page."""
    found: list[Finding] = []
    for checked in check.sets:
        found += [*_published(checked), *_images(checked)]
    found += _duplicates(check)
    for checked in check.sets:
        found += _landmarks(checked)
    return found + list(_people(check))


def page(check: DatasetCheck, title: str, cases: int | None = 3) -> str:
    """The page: faces of each class, then the findings, each with its first cases; all of them where None."""
    lines = [title, '', *_table(check.sets), '']
    for finding in findings(check):
        details = finding.details[:cases]
        more = len(finding.details) - len(details)
        lines += [f'{finding.mark:5}  {finding.text}', *(f'         {printable_name(case)}' for case in details)]
        lines += [f'         ... and {more:,} more'] if more else []
    return '\n'.join(lines)


def describe(check: DatasetCheck, pair: Pair) -> str:
    """Both names with their labels, and how alike the pictures are."""
    one, other = (
        f'{checked.dataset.columns["name"][row]} ({checked.label(row)})'
        for checked, row in zip([check.sets[place] for place in pair.sets], pair.rows, strict=True)
    )
    return f'{other} is {one}: {"the same pixels" if pair.similarity == 1 else f"similarity {pair.similarity:.3f}"}'


def _table(sets: Sequence[CheckedSet]) -> Iterator[str]:
    counts = [checked.by_class() for checked in sets]
    classes = list(dict.fromkeys(name for of in counts for name in of))
    wide = max(map(len, [*classes, 'faces']))
    yield f'{"faces":{wide}}' + ''.join(f'{checked.name:>26}' for checked in sets)
    for name in classes:
        cells = [f'{of[name]:,}{100 * of[name] / sum(of.values()):7.1f} %' if name in of else '-' for of in counts]
        yield f'{name:{wide}}' + ''.join(f'{cell:>26}' for cell in cells)
    yield f'{"all":{wide}}' + ''.join(f'{sum(of.values()):17,}{"":9}' for of in counts).rstrip()


def _published(checked: CheckedSet) -> Iterator[Finding]:
    counts = checked.published()
    if counts is None:
        yield Finding(NOTE, f'{checked.name}: no counts are published to compare with')
        return
    there, published = counts
    names = checked.dataset.source_classes if len(there) > 1 else ('faces',)
    details = [
        f'{name}: {n:,} instead of {wanted:,}'
        for name, n, wanted in zip(names, there, published, strict=True)
        if n != wanted
    ]
    text = f'{checked.name}: {there.sum():,} faces are listed, {published.sum():,} published'
    yield Finding(WRONG if details else OK, text, details)


def _images(checked: CheckedSet) -> Iterator[Finding]:
    size = checked.size[checked.size[:, 0] > 0]
    if len(size):
        least, most = (f'{width} x {height}' for width, height in (size.min(axis=0), size.max(axis=0)))
        sizes = least if least == most else f'{least} to {most}'
        yield Finding(OK, f'{checked.name}: {len(size):,} images of {sizes} pixels were decoded')
    if checked.bad:
        yield Finding(
            WRONG,
            f'{checked.name}, images that cannot be used: {len(checked.bad):,}',
            [f'{image.place}: {image.fault}' for image in checked.bad],
        )


def _duplicates(check: DatasetCheck) -> Iterator[Finding]:
    for a, b in dict.fromkeys(pair.sets for pair in check.pairs):
        pairs = [pair for pair in check.pairs if pair.sets == (a, b)]
        differ = sum(check.sets[a].label(pair.rows[0]) != check.sets[b].label(pair.rows[1]) for pair in pairs)
        where = 'there twice' if a == b else f'in {check.sets[a].name}, too'
        yield Finding(
            NOTE if a == b else WRONG,
            f'{check.sets[b].name}, pictures that are {where}: {len(pairs):,}, {differ:,} of them with another label',
            [describe(check, pair) for pair in pairs],
        )
    if all(pair.sets[0] == pair.sets[1] for pair in check.pairs):
        yield Finding(OK, 'no picture is in two sets' + ('' if check.pairs else ', or twice in one'))


def _landmarks(checked: CheckedSet) -> Iterator[Finding]:
    dataset, name = checked.dataset, checked.name
    if not dataset.has_landmarks:
        yield Finding(NOTE, f'{name}: the config names no landmarks for it')
        return
    columns = dataset.columns
    valid, scored = columns['landmark_valid'], columns['landmark_score'] > 0
    text = f'{name}: {valid.sum():,} of {len(valid):,} faces have landmarks'
    for count, why in (((~scored).sum(), 'not found'), ((scored & ~valid).sum(), 'NaN')):
        text += f', {count:,} {why}' if count else ''
    yield Finding(OK if valid.all() else NOTE, text)
    if checked.off_image.any():
        beside = columns['name'][checked.off_image].tolist()
        yield Finding(WRONG, f'{name}, landmarks that are not on their image: {len(beside):,}', beside)
    corner = int((checked.in_corner & valid).sum())
    if valid.any() and corner >= NEARLY_ALL * valid.sum():
        yield Finding(
            WRONG,
            f'{name}, landmarks in the upper left corner of their image: {corner:,}; do they count in pixels of '
            'smaller images?',
        )
    yield from _posture(checked, columns['name'][valid].tolist())
    worst = checked.unusual()
    yield Finding(
        NOTE if len(worst) else OK,
        f'{name}, landmarks further from the mean shape than {OUTLYING:g} robust standard deviations: {len(worst):,}',
        [f'{columns["name"][row]}: {checked.outlying[row]:.1f}' for row in worst],
    )


def _posture(checked: CheckedSet, names: list[str]) -> Iterator[Finding]:
    found, name = checked.posture, checked.name
    if found is None:
        return
    odd = odd_names(found, names)
    if found.fault or found.odd.mean() >= SOME:
        exchange = exchange_command(checked.dataset.landmarks, checked.dataset.data_root)
        text = f'{name}: landmarks of {len(odd):,} of {len(names):,} faces {found.fault or "do not stand upright"}'
        yield Finding(WRONG, text, [cure_of(found, exchange), *odd])
    else:
        yield Finding(NOTE if odd else OK, f'{name}, landmarks that do not stand upright: {len(odd):,}', odd)


def _people(check: DatasetCheck) -> Iterator[Finding]:
    if not check.people:
        yield Finding(NOTE, 'who the people are is not known: nobody can tell whether somebody is in two sets')
    for (a, b), people in check.people.items():
        names = f'{check.sets[a].name} and {check.sets[b].name}'
        yield Finding(WRONG if people else OK, f'people who are in both {names}: {len(people):,}', people)
