import pytest
from matplotlib.figure import Figure

from mmfer.visualization import draw_label_histogram


def test_bars_are_shares_and_the_numbers_at_them_faces(tmp_path, monkeypatch):
    drawn = []
    savefig = Figure.savefig
    monkeypatch.setattr(
        Figure, 'savefig', lambda self, *args, **kwargs: drawn.append(self) or savefig(self, *args, **kwargs)
    )
    counts = {'A train': dict(happy=1500, sad=500), 'B test': dict(sad=30, anger=10, happy=0)}
    path = draw_label_histogram(counts, tmp_path / 'new' / 'labels.png', 'two sets')
    assert path.stat().st_size > 5000
    (axes,) = drawn[0].axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ['happy', 'sad', 'anger']
    heights = [[bar.get_height() for bar in bars] for bars in axes.containers]
    assert heights == [pytest.approx([75, 25, 0]), pytest.approx([0, 75, 25])]
    assert [text.get_text() for text in axes.texts] == ['1,500', '500', '0', '0', '30', '10']
    middles = [[bar.get_x() + bar.get_width() / 2 for bar in bars] for bars in axes.containers]
    assert all(one < other for one, other in zip(*middles, strict=True))  # side by side
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ['A train (2,000)', 'B test (40)']
