"""What becomes of odd pictures: right ones as Pillow, an independent decoder, reads them; wrong ones named."""

import io
import os
import re
import socket
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from mmfer.datasets import LoadFace
from mmfer.datasets.images.pictures import KINDS, look_at, read_picture

SMOOTH = np.stack(
    [
        np.add.outer(3 * np.arange(40), 2 * np.arange(50)),
        np.add.outer(250 - 5 * np.arange(40), np.zeros(50)),
        np.add.outer(np.zeros(40), 4 * np.arange(50)),
    ],
    axis=2,
).astype(np.uint8)
"""RGB, 50 x 40 pixels."""


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def of_mode(mode: str, kind: str, **options) -> bytes:
    return encoded(Image.fromarray(SMOOTH).convert(mode), kind, **options)


def frames(kind: str) -> bytes:
    image = Image.fromarray(SMOOTH)
    return encoded(image, kind, save_all=True, append_images=[image.transpose(Image.Transpose.ROTATE_180)])


def held_sideways(kind: str) -> bytes:
    exif = Image.Exif()
    exif[0x112] = 6
    return encoded(Image.fromarray(SMOOTH), kind, exif=exif, **(dict(lossless=True) if kind == 'WEBP' else {}))


def png(width: int, height: int, channels: int = 3, rows: bytes = b'', bits: int = 8) -> bytes:
    """Written by hand, after the specification."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

    header = struct.pack('>IIBBBBB', width, height, bits, {1: 0, 3: 2}[channels], 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b'')


RIGHT = {
    'RGB.jpg': of_mode('RGB', 'JPEG'),
    'grey.jpg': of_mode('L', 'JPEG'),
    'CMYK.jpg': of_mode('CMYK', 'JPEG'),
    'CMYK.tif': of_mode('CMYK', 'TIFF'),
    'RGB.png': of_mode('RGB', 'PNG'),
    'transparent.png': of_mode('RGBA', 'PNG'),
    'grey.png': of_mode('L', 'PNG'),
    'grey transparent.png': of_mode('LA', 'PNG'),
    'palette.png': of_mode('P', 'PNG'),
    'black and white.png': of_mode('1', 'PNG'),
    'still.gif': of_mode('RGB', 'GIF'),
    'RGB.bmp': of_mode('RGB', 'BMP'),
    'still.webp': of_mode('RGB', 'WEBP', lossless=True),
    'RGB.ppm': of_mode('RGB', 'PPM'),
    'a png.jpg': of_mode('RGB', 'PNG'),
    'bytes behind the end.jpg': of_mode('RGB', 'JPEG') + b'\0' * 5000,
    'two views.jpg': frames('MPO'),
    'held sideways.jpg': held_sideways('JPEG'),
    'held sideways.png': held_sideways('PNG'),
    'held sideways.webp': held_sideways('WEBP'),
}


@pytest.mark.parametrize('name', RIGHT)
def test_it_is_read_as_pillow_reads_it(name, tmp_path):
    (tmp_path / name).write_bytes(RIGHT[name])
    assert look_at(str(tmp_path / name)).fault == ''
    ours = LoadFace()(dict(img_path=str(tmp_path / name)))['img'][..., ::-1].astype(int)
    with Image.open(tmp_path / name) as image:
        theirs = np.asarray(ImageOps.exif_transpose(image).convert('RGB')).astype(int)
    assert ours.shape == theirs.shape == ((50, 40, 3) if 'sideways' in name else (40, 50, 3))
    # Two ways of rounding: of the ink in CMYK, and of the cosines in JPEG.
    assert np.abs(ours - theirs).max() <= (1 if name.endswith('.jpg') else 0)
    assert np.ptp(ours) > 100


def test_of_16_bits_the_upper_8_stay(tmp_path):
    values = np.array([[0, 255, 256, 0x1234], [0x7FFF, 0x8000, 0xFEFF, 0xFFFF]])
    kept = [[0, 0, 1, 0x12], [0x7F, 0x80, 0xFE, 0xFF]]
    grey = b''.join(b'\0' + row.astype('>u2').tobytes() for row in values)
    (tmp_path / 'grey.png').write_bytes(png(4, 2, 1, grey, bits=16))
    rgb = b''.join(b'\0' + np.stack([row, row // 2, row * 0], axis=1).astype('>u2').tobytes() for row in values)
    (tmp_path / 'rgb.png').write_bytes(png(4, 2, 3, rgb, bits=16))
    assert look_at(str(tmp_path / 'grey.png')).fault == look_at(str(tmp_path / 'rgb.png')).fault == ''
    for channel in range(3):
        assert read_picture(str(tmp_path / 'grey.png'))[..., channel].tolist() == kept
    blue, green, red = np.moveaxis(read_picture(str(tmp_path / 'rgb.png')), 2, 0)
    assert red.tolist() == kept
    assert green.tolist() == (values // 2 >> 8).tolist()
    assert not blue.any()


JPEG, PNG = RIGHT['RGB.jpg'], RIGHT['RGB.png']
WRONG = {
    'empty.jpg': (b'', 'empty (0 bytes)'),
    'a web page.jpg': (b'<!DOCTYPE html><p>404', "no picture (it begins with b'<!DOCTYPE html><p>40')"),
    'cut off.jpg': (JPEG[: len(JPEG) * 2 // 3], 'cut off or damaged'),
    'cut off by a byte.jpg': (JPEG[:-1], 'cut off or damaged'),
    'cut off.png': (PNG[: len(PNG) * 2 // 3], 'cut off or damaged'),
    'cut off.webp': (RIGHT['still.webp'][:-20], 'cut off or damaged'),
    'cut off.bmp': (RIGHT['RGB.bmp'][:-20], 'cut off or damaged'),
    'cut off.gif': (RIGHT['still.gif'][:-20], 'cut off or damaged'),
    'animated.gif': (frames('GIF'), 'animated (several frames of GIF; keep one)'),
    'animated.png': (frames('PNG'), 'animated (several frames of PNG; keep one)'),
    'animated.webp': (frames('WEBP'), 'animated (several frames of WEBP; keep one)'),
    'pages.tif': (frames('TIFF'), 'animated (several frames of TIFF; keep one)'),
    'a bomb.png': (png(60_000, 50_000), 'too large (3,000,000,000 pixels, more than 89,478,485; shrink it)'),
    'large.png': (png(10_000, 10_000), 'too large (100,000,000 pixels, more than 89,478,485; shrink it)'),
    'depth.tif': (
        encoded(Image.fromarray(np.ones((4, 4), np.float32)), 'TIFF'),
        'of 32 bits a channel (save it with 8 or 16)',
    ),
}


@pytest.mark.filterwarnings('default::PIL.Image.DecompressionBombWarning')
@pytest.mark.parametrize('name', WRONG)
def test_it_is_refused_and_named(name, tmp_path, monkeypatch):
    data, fault = WRONG[name]
    (tmp_path / name).write_bytes(data)
    monkeypatch.setattr(cv2, 'imdecode', lambda *_: pytest.fail('it is decoded'))
    assert look_at(str(tmp_path / name)).fault == fault
    with pytest.raises(ValueError, match='restore it') as refused:
        LoadFace()(dict(img_path=str(tmp_path / name)))
    assert str(refused.value).startswith(f'{tmp_path / name} is {fault}; restore it from its source')


def test_what_only_decoding_shows_is_refused_when_it_is_read(tmp_path):
    middle = PNG.index(b'IDAT') + 30
    (tmp_path / 'damaged.png').write_bytes(PNG[:middle] + bytes(40) + PNG[middle + 40 :])
    with pytest.raises(ValueError, match=r'damaged\.png is cut off or damaged; restore it'):
        read_picture(str(tmp_path / 'damaged.png'))


def test_a_look_tells_the_stored_size_and_what_is_not_there(tmp_path):
    (tmp_path / 'a.jpg').write_bytes(JPEG)
    assert look_at(str(tmp_path / 'a.jpg')).size == (50, 40)
    assert look_at(str(tmp_path / 'b.jpg')).fault == 'missing'
    (tmp_path / 'folder.jpg').mkdir()
    assert look_at(str(tmp_path / 'folder.jpg')).fault == 'a folder'


def test_what_is_no_file_or_huge_is_refused_before_it_is_opened(tmp_path):
    os.mkfifo(tmp_path / 'pipe.jpg')  # to open it would wait for ever
    (tmp_path / 'zero.jpg').symlink_to('/dev/zero')  # to read it never ends
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(tmp_path / 'socket.jpg'))
    with open(tmp_path / 'sparse.jpg', 'wb') as stream:
        stream.write(of_mode('RGB', 'JPEG'))
        stream.truncate(12_000_000_000)
    for name, fault in (
        ('pipe', 'a pipe'),
        ('zero', 'a device (a link to /dev/zero)'),
        ('socket', 'a socket'),
        ('sparse', 'too large (12,000,000,000 bytes, more than 1,073,741,824; shrink it)'),
    ):
        path = str(tmp_path / f'{name}.jpg')
        assert look_at(path).fault == fault
        sentence = f'{path} is {fault}; restore it from its source, or take its row out of the label file'
        with pytest.raises(ValueError, match=f'^{re.escape(sentence)}$'):
            read_picture(path)


def test_no_picture_runs_a_program(tmp_path, monkeypatch):
    """Pillow hands EPS to Ghostscript, whatever its file is called."""
    path = tmp_path / 'x.jpg'
    path.write_bytes(b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n')
    monkeypatch.setattr('PIL.EpsImagePlugin.Ghostscript', lambda *args, **kwargs: pytest.fail('Ghostscript was asked'))
    assert look_at(str(path)).fault == "no picture (it begins with b'%!PS-Adobe-3.0 EPSF-')"
    with pytest.raises(ValueError, match='no picture'):
        read_picture(str(path))


def test_kinds_are_known_to_pillow_and_none_runs_a_program():
    assert {'JPEG', 'PNG', 'BMP', 'TIFF', 'WEBP', 'PPM', 'GIF'} <= set(KINDS)
    assert not {'EPS', 'WMF', 'FPX', 'MIC'} & set(KINDS)
