"""Rules of the house that no linter knows."""

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
