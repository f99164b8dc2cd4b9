import pytest
from matplotlib.figure import Figure
from PIL import Image

from mmfer.visualization.picture_file import write_figure


@pytest.mark.parametrize(('name', 'kind'), [('x.png', 'PNG'), ('x.jpg', 'JPEG'), ('x', 'PNG'), ('a.b/x', 'PNG')])
def test_the_name_says_of_what_kind_a_picture_is(name, kind, tmp_path):
    path = write_figure(Figure(figsize=(1, 1)), tmp_path / 'new' / name)
    assert path == tmp_path / 'new' / name
    with Image.open(path) as image:
        assert (image.format, image.size) == (kind, (110, 110))
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_kind_that_there_is_not(tmp_path):
    with pytest.raises(ValueError, match="Format 'abc' is not supported"):
        write_figure(Figure(), tmp_path / 'x.abc')


def test_what_was_there_stays_when_drawing_fails(tmp_path):
    (tmp_path / 'x.png').write_bytes(b'before')
    figure = Figure()
    figure.text(0.5, 0.5, 'a$\\nothing$')  # a formula that there is not
    with pytest.raises(ValueError, match='nothing'):
        write_figure(figure, tmp_path / 'x.png')
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b'before']
