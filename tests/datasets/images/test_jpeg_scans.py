"""JPEGs without some of their inner data, their end mark in place: decoders make the rest grey."""

import io
import itertools

import cv2
import numpy as np
import pytest
from PIL import Image

from mmfer.datasets.images import pictures
from mmfer.datasets.images.image_check import check_images
from mmfer.datasets.images.jpeg_scans import decoder_warnings, open_ended
from mmfer.datasets.images.pictures import look_at, read_picture

END = b'\xff\xd9'
FACE = np.clip(
    np.add.outer(2 * np.arange(90), np.arange(70))[..., None] + np.random.default_rng(0).normal(0, 20, (90, 70, 3)),
    0,
    255,
).astype(np.uint8)


def jpeg(mode: str = 'RGB', **options) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(FACE).convert(mode).save(stream, 'JPEG', **{'quality': 90, **options})
    return stream.getvalue()


def data_start(data: bytes) -> int:
    """Where the first scan's data begin."""
    start = data.index(b'\xff\xda')
    return start + 2 + int.from_bytes(data[start + 2 : start + 4], 'big')


def halved(data: bytes) -> bytes:
    return data[: (data_start(data) + len(data)) // 2] + END


def half_the_first_scan(data: bytes) -> bytes:
    start = data_start(data)
    end = data.index(b'\xff\xc4', start)
    return data[: (start + end) // 2] + data[end:]


def without(data: bytes, count: int, share: float = 0.5) -> bytes:
    at = int(data_start(data) + share * (len(data) - data_start(data)))
    return data[:at] + data[at + count :]


def write(folder, data: bytes) -> str:
    (folder / 'face.jpg').write_bytes(data)
    return str(folder / 'face.jpg')


FORMS = {
    f'{mode} {list(options)} {list(options.values())}': jpeg(mode, **options)
    for mode, options in itertools.product(
        ('RGB', 'L', 'CMYK'),
        (
            dict(),
            dict(quality=20),
            dict(subsampling=0),
            dict(optimize=True),
            dict(progressive=True),
            dict(restart_marker_rows=1),
            dict(restart_marker_blocks=3),
        ),
    )
}


@pytest.mark.parametrize('form', FORMS)
def test_whole_ones_are_read_to_the_pixel_as_without_the_look(form, tmp_path):
    data = FORMS[form]
    assert open_ended(data)[1] == ''
    assert (open_ended(data)[0] != data) == ('progressive' not in form)
    whole = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(read_picture(write(tmp_path, data)), whole)


@pytest.mark.parametrize('form', [form for form in FORMS if 'progressive' not in form])
@pytest.mark.parametrize('damage', [halved, lambda data: data[:-42] + END], ids=['half', '40 bytes'])
def test_the_end_of_the_scan_is_missing(form, damage, tmp_path):
    path = write(tmp_path, damage(FORMS[form]))
    assert look_at(path).fault == ''  # header and end are in order
    assert cv2.imread(path) is not None  # grey from the middle on
    with pytest.raises(ValueError, match=r'face\.jpg is cut off or damaged; restore it from its source'):
        read_picture(path)


def test_it_is_found_with_an_opencv_that_makes_it_grey(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, '_CV2_GIVES_UP', False)
    assert read_picture(write(tmp_path, jpeg())).shape == FACE.shape
    with pytest.raises(ValueError, match='cut off or damaged'):
        read_picture(write(tmp_path, halved(jpeg())))


def test_a_view_behind_the_first_does_not_stand_for_it(tmp_path):
    stream = io.BytesIO()
    view = Image.fromarray(FACE)
    view.save(stream, 'MPO', save_all=True, append_images=[view])
    data = stream.getvalue()
    second = data.index(b'\xff\xd8', 2)
    np.testing.assert_array_equal(read_picture(write(tmp_path, data)), cv2.imread(write(tmp_path, data)))
    at = second - 200
    with pytest.raises(ValueError, match='cut off or damaged'):
        read_picture(write(tmp_path, data[:at] + END + data[at + 2 :]))


def test_a_thumbnail_in_the_header_does_not_stand_for_the_picture(tmp_path):
    exif = b'Exif\0\0' + jpeg()
    data = jpeg(exif=exif)
    np.testing.assert_array_equal(read_picture(write(tmp_path, data)), cv2.imread(write(tmp_path, jpeg())))
    cut = data[: len(data) - 900] + END
    with pytest.raises(ValueError, match='cut off or damaged'):
        read_picture(write(tmp_path, cut))


def test_a_restart_interval_is_missing(tmp_path):
    data = jpeg(restart_marker_rows=1)
    with pytest.raises(ValueError, match=r'face\.jpg is damaged \(a piece in the middle is missing\); restore it'):
        read_picture(write(tmp_path, data[: data.index(b'\xff\xd1')] + data[data.index(b'\xff\xd2') :]))


def test_scans_of_a_progressive_one_are_missing(tmp_path):
    data, places = jpeg(progressive=True), []
    while (at := data.find(b'\xff\xda', places[-1] + 1 if places else 0)) > 0:
        places.append(at)
    assert len(places) > 5
    for at in places[1:]:
        path = write(tmp_path, data[:at] + END)
        assert look_at(path).fault == ''
        with pytest.raises(ValueError, match=r'face\.jpg is damaged \(its last scans are missing\); restore it'):
            read_picture(path)


@pytest.mark.parametrize('damage', [half_the_first_scan, lambda data: data[:-42] + END])
def test_inner_data_of_a_progressive_one_are_found_before_training(damage, tmp_path):
    """Of these the decoder's own warnings alone tell."""
    path = write(tmp_path, damage(jpeg(progressive=True)))
    assert read_picture(path).shape == FACE.shape
    (tmp_path / 'good.jpg').write_bytes(jpeg(progressive=True))
    found = check_images(str(tmp_path), ['good.jpg', 'face.jpg'])
    assert found.rows.tolist() == [1]
    assert found.faults.tolist() == ['damaged (premature end of data segment)']


def test_the_decoders_warnings_belong_to_their_files(tmp_path):
    broken = [halved(jpeg()), without(jpeg('L'), 200, 0.2), half_the_first_scan(jpeg(progressive=True))]
    datas = [jpeg(), broken[0], b'GIF', jpeg('L'), broken[1], broken[2], jpeg(progressive=True)]
    paths = [str(tmp_path / f'ü {i} b.jpg') for i in range(len(datas))]
    for path, data in zip(paths, datas, strict=True):
        with open(path, 'wb') as stream:
            stream.write(data)
    found = decoder_warnings(paths)
    assert list(found) == [1, 4, 5]
    assert found[1] == 'premature end of data segment'
    assert decoder_warnings([]) == {}
    for place, data in enumerate(FORMS.values()):
        (tmp_path / str(place)).write_bytes(data)
    assert decoder_warnings([str(tmp_path / str(place)) for place in range(len(FORMS))]) == {}


def test_what_is_no_jpeg_or_ends_in_its_header_is_left_to_the_decoder():
    for data in (
        b'',
        b'\xff\xd8',
        b'GIF89a',
        jpeg()[:30],
        jpeg()[: data_start(jpeg()) - 3],
        b'\xff\xd8\xff\xda\0\2\xff\xff\xff',
    ):
        assert open_ended(data) == (data, '')


def test_nothing_is_imported_from_the_current_folder(tmp_path, monkeypatch):
    """Which may be one of data, with files of anybody's."""
    for name in ('cv2', 'numpy', 'mmfer'):
        (tmp_path / f'{name}.py').write_text("open('evil', 'w')\nraise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'x.jpg').write_bytes(b'no picture')
    assert decoder_warnings([str(tmp_path / 'x.jpg')]) == {}
    assert not (tmp_path / 'evil').exists()
