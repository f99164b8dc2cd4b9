"""Rules of the house that no linter knows."""

import ast
import inspect
import re
import sys
from pathlib import Path

import pytest

from mmfer.registry import DATA_SAMPLERS, MODELS

ROOT = Path(__file__).parents[1]


def code(folder: str) -> dict[str, str]:
    return {str(path.relative_to(ROOT)): path.read_text() for path in sorted((ROOT / folder).rglob('*.py'))}


def test_no_model_reads_the_clean_label():
    """Clean labels are for diagnostics; a method that saw them would be measured on its own answers."""
    models = code('mmfer/models')
    assert len(models) > 10
    assert [name for name, text in models.items() if 'clean_label' in text] == []


def test_a_supervision_calls_its_parts_and_never_asks_what_they_have():
    asked = re.compile(r'\bhasattr\(|getattr\((part|branch|refiner|loss|b),')
    assert [name for name, text in code('mmfer/models/supervision').items() if asked.search(text)] == []


@pytest.mark.parametrize('folder', ['mmfer', 'tools', 'benchmarks'])
def test_files_from_others_are_never_unpickled(folder):
    forbidden = re.compile(r'weights_only\s*=\s*False|allow_pickle\s*=\s*True|pickle\.loads?\(')
    without_comments = {name: re.sub(r'#.*', '', text) for name, text in code(folder).items()}
    assert without_comments
    assert [name for name, text in without_comments.items() if forbidden.search(text)] == []


CACHE = 'mmfer/datasets/synthetic_faces/cache.py'  # which has its own names for unfinished files
LOG = 'mmfer/apis/benchmarking/training.py'  # what a process says is added to, line by line


@pytest.mark.parametrize(
    ('forbidden', 'but'),
    [
        (r'Image\.open\((?!.*formats=)', []),  # Pillow hands EPS, whatever its file is called, to Ghostscript
        (r'csv\.writer\(', ['mmfer/datasets/reading/csv_cells.py']),  # cells that spreadsheets would compute
        (
            r"""open\([^)]*['"][wax]b?['"]|\.write_(text|bytes)\(|savefig\((?!stream)""",
            [CACHE, LOG],
        ),  # half a file after a kill
        (r'torch\.load\(', ['mmfer/structures/tensor_file.py']),  # flipped bits
    ],
    ids=['pictures', 'tables', 'files', 'tensors'],
)
def test_what_is_done_in_one_safe_way_is_done_in_no_other(forbidden, but):
    code_of = {name: re.sub(r'#.*', '', text) for name, text in code('mmfer').items()}
    assert [name for name, text in code_of.items() if re.search(forbidden, text) and name not in but] == []


PAGES = [
    ROOT / 'README.md',
    ROOT / 'CONTRIBUTING.md',
    *sorted(ROOT.glob('docs/**/*.md')),
    *sorted(ROOT.glob('examples/*/README.md')),
]


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page):
    links = re.findall(r'\]\(([^)#\s]+)[^)]*\)', page.read_text())
    inside = [link for link in links if not link.startswith(('http://', 'https://', 'mailto:'))]
    assert [link for link in inside if not (page.parent / link).exists()] == []


TYPED = [ROOT / 'README.md', ROOT / 'docs/benchmarks.md', *sorted(ROOT.glob('docs/methods/*.md'))]


@pytest.mark.parametrize('page', TYPED, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_tells_to_run_is_there(page):
    path = re.compile(r'(?<![\w./$])(?:configs|tools|benchmarks|docs)/[\w./-]+\.(?:py|sh)')
    named = path.findall(page.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize('page', sorted(ROOT.glob('docs/methods/*.md')), ids=lambda page: page.stem)
def test_a_methods_page_says_in_one_table_where_paper_code_and_mmfer_differ(page):
    """Every row is whole, and each of the items that all methods share is there."""
    lines = page.read_text().splitlines()
    (start,) = [i for i, line in enumerate(lines) if line.startswith('| item |')]
    head = [cell.strip() for cell in lines[start].strip('|').split('|')]
    assert [cell.split()[0].strip(',') for cell in head] == ['item', 'paper', 'public', 'mmfer', 'why']
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith('|'):
            break
        rows.append([cell.strip() for cell in line.strip('|').split('|')])
    assert len(rows) > 6
    assert {len(row) for row in rows} == {5}
    assert all(row[0] and row[3] for row in rows)  # what it is, and what mmfer does
    assert 'last batch of an epoch' in [row[0] for row in rows]


@pytest.mark.parametrize('page', sorted(ROOT.glob('docs/methods/*.md')), ids=lambda page: page.stem)
def test_a_methods_page_links_the_files_of_all_its_parts_and_formulas(page):
    text = page.read_text()
    parts = {MODELS.get(name) or DATA_SAMPLERS.get(name) for name in re.findall(r'`(mmfer\.\w+)`', text)} - {None}
    assert parts
    formulas = {
        thing
        for part in parts
        for thing in vars(sys.modules[part.__module__]).values()
        if inspect.isfunction(thing) and thing.__module__.startswith('mmfer.functional.')
    }
    files = {Path(sys.modules[thing.__module__].__file__).relative_to(ROOT) for thing in parts | formulas}
    files -= {Path('mmfer/functional/distributed.py'), Path('mmfer/models/losses/cross_entropy.py')}  # everybody's
    section = text.split('## Its files, in reading order')[1].split('\n## ')[0]
    linked = {Path(link) for link in re.findall(r'\]\(\.\./\.\./([^)]+)\)', section)}
    assert files - linked == set()


def too_long(text: str) -> bool:
    """Whether a file has more than 200 lines and its docstring does not say why."""
    reason = re.search(r'^Longer than 200 lines: \S', ast.get_docstring(ast.parse(text)) or '', re.MULTILINE)
    return len(text.splitlines()) > 200 and not reason


def test_a_file_that_is_longer_than_200_lines_says_why():
    files = code('mmfer')
    assert len(files) > 100
    assert [name for name, text in files.items() if too_long(text)] == []


@pytest.mark.parametrize(
    ('docstring', 'lines', 'expected'),
    [
        ('What it is.', 200, False),
        ('What it is.', 201, True),
        ('What it is.\n\nLonger than 200 lines: one table.\n', 201, False),
        ('What it is.\n\nLonger than 200 lines:\n', 201, True),
    ],
)
def test_the_reason_for_a_long_file_stands_in_its_docstring(docstring, lines, expected):
    text = f'"""{docstring}"""\n'
    assert too_long(text + 'x = 0\n' * (lines - len(text.splitlines()))) is expected
