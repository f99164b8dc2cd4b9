"""Rules of the house that no linter knows."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def code(folder: str) -> dict[str, str]:
    return {str(path.relative_to(ROOT)): path.read_text() for path in sorted((ROOT / folder).rglob('*.py'))}


def test_no_model_reads_the_clean_label():
    """Clean labels are for diagnostics; a method that saw them would be measured on its own answers."""
    models = code('mmfer/models')
    assert len(models) > 10
    assert [name for name, text in models.items() if 'clean_label' in text] == []


@pytest.mark.parametrize('folder', ['mmfer', 'tools', 'benchmarks'])
def test_files_from_others_are_never_unpickled(folder):
    forbidden = re.compile(r'weights_only\s*=\s*False|allow_pickle\s*=\s*True|pickle\.loads?\(')
    without_comments = {name: re.sub(r'#.*', '', text) for name, text in code(folder).items()}
    assert without_comments
    assert [name for name, text in without_comments.items() if forbidden.search(text)] == []
