import pytest

from mmfer.datasets.reading.inside import place_inside


def test_names_of_files_in_the_folder(tmp_path):
    for name in ('a.jpg', 'b/c/a.jpg', './a.jpg', 'a..b.jpg', '...', '-rf', 'ä' * 120, '\udcff.jpg'):
        assert place_inside(tmp_path / 'new', name) == tmp_path / 'new' / name


@pytest.mark.parametrize(
    ('name', 'why'),
    [
        ('../a.jpg', 'leaves the data folder'),
        ('b/../../a.jpg', 'leaves the data folder'),
        ('..', 'leaves the data folder'),
        ('/etc/a.jpg', 'leaves the data folder'),
        ('\\\\host\\a.jpg', 'leaves the data folder'),
        ('b\\..\\..\\a.jpg', 'leaves the data folder'),
        ('C:\\a.jpg', 'leaves the data folder'),
        ('', 'the name is empty'),
        ('.', 'the name is empty'),
        ('a\0.jpg', 'the name has a zero byte'),
        ('b/' + 'a' * 241, 'aaa... is longer than 240 bytes'),
        ('ä' * 121, 'ää... is longer than 240 bytes'),
        ('b/' * 3 + 'a' * 300 + '/c.jpg', 'aaa... is longer than 240 bytes'),
    ],
)
def test_other_names(tmp_path, name, why):
    with pytest.raises(ValueError, match=f'cannot be written as a file of {tmp_path}: .*{why}'):
        place_inside(tmp_path, name)


def test_links_that_lead_out(tmp_path):
    inside, elsewhere = tmp_path / 'inside', tmp_path / 'elsewhere'
    for folder in (inside / 'own', elsewhere):
        folder.mkdir(parents=True)
    (inside / 'out').symlink_to(elsewhere)
    (inside / 'in').symlink_to(inside / 'own')
    (tmp_path / 'link').symlink_to(inside)
    assert place_inside(inside, 'in/a.jpg') == inside / 'in/a.jpg'
    assert place_inside(tmp_path / 'link', 'own/a.jpg') == tmp_path / 'link/own/a.jpg'
    for name in ('out/a.jpg', 'out/new/a.jpg'):
        with pytest.raises(ValueError, match=r'is a link that leads out of .*inside: delete the link'):
            place_inside(inside, name)
