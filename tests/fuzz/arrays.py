"""Readers of arrays: landmarks, AffectNet's annotations, packs, dlib's weights; and what is kept of what was read."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
from dlib_nets import face_net
from fuzz.reader import Reader
from fuzz.texts import CLASSES, LABELS, NAMES, POINTS

from mmfer.apis.audit.evidence import read_found
from mmfer.apis.data.landmark_chunks import kept_chunk, write_chunk
from mmfer.apis.data.landmark_import import import_landmarks
from mmfer.datasets.annotations.affectnet_files import read_annotations
from mmfer.datasets.images.image_check import check_images
from mmfer.datasets.landmarks.landmark_file import add_landmarks, read_lnd_npy
from mmfer.datasets.packing.checksums import COLUMNS_SUM, columns_sum
from mmfer.datasets.packing.pack_file import join_names, read_pack, write_pack
from mmfer.datasets.packing.packed import add_packed, content_hash, file_stamps
from mmfer.datasets.reading.column_cache import cached_columns
from mmfer.datasets.reading.files import names_array
from mmfer.datasets.synthetic_faces.cache import cached
from mmfer.models.backbones import DlibFaceNet
from mmfer.models.dlib_weights import read_face_net

BETWEEN = b'<another part>'


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def npz(write: Callable[..., None], **arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    write(stream, **arrays)
    return stream.getvalue()


def landmark_npz(folder: Path) -> Reader:
    path = folder / 'landmarks.npz'
    keys = ('names', 'points', 'score')
    odd = [
        dict(score=np.ones((4, 1))),
        dict(score=np.ones((4, 68))),
        dict(names=np.array(NAMES, dtype=np.bytes_)),
        dict(names=np.array(NAMES, dtype=object)),
        dict(names=np.arange(4)),
        dict(points=POINTS.astype(np.complex64)),
        dict(points=POINTS.astype('U')),
        dict(points=np.zeros(4, dtype=[('x', 'f4')])),
        dict(score=np.array(['1', '0', 'x', ''])),
        dict(score=np.full(4, np.datetime64('2020-01-01'))),
        dict(points=POINTS.astype(np.float64) * 1e300),
        dict(points=POINTS[:, :51]),
        dict(points=np.zeros((0, 68, 2)), names=np.zeros(0, 'U1'), score=np.zeros(0)),
    ]
    arrays = dict(names=np.array(NAMES), points=POINTS, score=np.array([1, 0.5, 1, 0], np.float32))
    members = [{**arrays, **change} for change in ({}, *odd)]

    def read() -> None:
        faces = import_landmarks(str(path), str(folder / 'out.npz'))
        add_landmarks(dict(name=np.array(faces.names)), str(path))

    def wrap(data: bytes) -> bytes:
        """An archive with right checksums."""
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, 'w', zipfile.ZIP_DEFLATED if len(data) % 2 else zipfile.ZIP_STORED) as archive:
            for key, part in zip(keys, data.split(BETWEEN), strict=False):
                archive.writestr(f'{key}.npy', part)
        return stream.getvalue()

    seeds = [npz(write, **files) for files in members for write in (np.savez, np.savez_compressed)]
    return Reader(path, read, seeds, wrap, [BETWEEN.join(npy(files[key]) for key in keys) for files in members])


def affectnet_npy(folder: Path) -> Reader:
    place = folder / 'train_set/annotations'
    place.mkdir(parents=True)
    for kind, value in (('exp', '3'), ('val', '-0.5'), ('aro', '0.25')):
        np.save(place / f'1_{kind}.npy', np.array(value))
    values = [POINTS[0], POINTS[0].ravel(), POINTS[0].reshape(-1, 1), POINTS[0].astype('U'), POINTS[0].astype(object)]
    values += [
        np.array('7'),
        np.array(7),
        np.array([7.0]),
        np.array(b'7'),
        np.array(1e300),
        np.asfortranarray(POINTS[0]),
    ]
    path = place / '1_lnd.npy'

    def read() -> None:
        data = path.read_bytes()
        path.write_bytes(npy(POINTS[0]))
        for kind in ('exp', 'val', 'aro', 'lnd'):
            file = place / f'1_{kind}.npy'
            before = file.read_bytes()
            file.write_bytes(data)
            try:
                read_annotations(str(folder), 'train_set')
            except ValueError as error:
                assert file.name in str(error), str(error)  # noqa: PT017
            finally:
                file.write_bytes(before)
        path.write_bytes(data)
        read_lnd_npy(str(path))

    return Reader(path, read, [npy(value) for value in values])


def pack_file(folder: Path) -> Reader:
    path = folder / 'faces.pack'
    for name in NAMES:
        cv2.imwrite(str(folder / name), np.full((6, 6, 3), 80, np.uint8))
    size, time = file_stamps(str(folder), NAMES)
    hashes = np.array([content_hash((folder / name).read_bytes()) for name in NAMES])
    known = dict(name=join_names(NAMES), label=LABELS, bytes=size, mtime=time)
    found = dict(hash=np.zeros(4, np.int64), ori_shape=np.zeros((4, 2), np.int32))
    classes = '["' + '", "'.join(CLASSES) + '"]'
    rows = np.zeros((4, 3, 6, 6), np.uint8), dict(hash=hashes, ori_shape=np.full((4, 2), 6))
    write_pack(path, known, found, (6, 6), dict(classes=classes), lambda first, last: rows)
    whole = path.read_bytes()
    start = 8 + int.from_bytes(whole[:8], 'little')
    columns = dict(name=names_array(NAMES), label=LABELS, source_label=LABELS)
    faces = SimpleNamespace(image_folder=str(folder), source_classes=CLASSES, pipeline=SimpleNamespace(transforms=()))

    def read() -> None:
        packed = add_packed(columns, str(path), faces)
        assert packed['image'].read(np.arange(4)).shape[0] == 4

    def wrap(data: bytes) -> bytes:
        """With the length of its header, and with right checksums where there are any."""
        header, _, body = data.partition(BETWEEN)
        whole = len(header).to_bytes(8, 'little') + header + body
        path.write_bytes(whole)
        try:
            metadata, arrays = read_pack(path)
            total = columns_sum(metadata, arrays).to_bytes(8, 'little')
            first, last = json.loads(header)[COLUMNS_SUM]['data_offsets']
        except (ValueError, KeyError):
            return whole
        return whole[: 8 + len(header)] + body[:first] + total + body[last:]

    return Reader(path, read, [whole], wrap, [whole[8:start] + BETWEEN + whole[start:]])


def _cache(file: Path, read: Callable[[], object], same: Callable[[object], bool]) -> Reader:
    """What is kept: whatever becomes of it, what is read is what was kept at first."""

    def check() -> None:
        assert same(read())
        assert same(read())

    return Reader(file, check, [file.read_bytes()], refuses=())


def column_cache(folder: Path) -> Reader:
    os.environ['MMFER_CACHE'] = str(folder / 'cache')
    source = folder / 'source.csv'
    source.write_text('x')
    columns = dict(name=names_array(NAMES), label=LABELS, landmarks=POINTS)

    def read() -> dict[str, np.ndarray]:
        os.environ['MMFER_CACHE'] = str(folder / 'cache')
        return cached_columns(str(source), lambda: dict(columns))

    def same(found: dict[str, np.ndarray]) -> bool:
        return found.keys() == columns.keys() and all(np.array_equal(found[key], columns[key]) for key in columns)

    read()
    (file,) = (folder / 'cache').rglob('*.npz')
    return _cache(file, read, same)


def _face_cache(folder: Path, suffix: str) -> Reader:
    images = np.arange(4 * 5 * 5 * 3, dtype=np.uint8).reshape(4, 5, 5, 3)
    columns = dict(label=LABELS, landmarks=POINTS)

    def read() -> object:
        return cached(str(folder), dict(split='train', num=4, size=5), lambda: (images, dict(columns)))

    def same(found: tuple[np.ndarray, dict[str, np.ndarray]]) -> bool:
        table = found[1].keys() == columns.keys() and all(
            np.array_equal(found[1][key], columns[key]) for key in columns
        )
        return table and found[0].dtype == images.dtype and np.array_equal(found[0], images)

    read()
    (file,) = folder.glob(f'*{suffix}')
    return _cache(file, read, same)


def drawn_faces_npy(folder: Path) -> Reader:
    return _face_cache(folder, '.npy')


def drawn_faces_npz(folder: Path) -> Reader:
    return _face_cache(folder, '.npz')


def checked_images(folder: Path) -> Reader:
    for name in NAMES[:2]:
        cv2.imwrite(str(folder / name), np.full((6, 9, 3), 80, np.uint8))
    (folder / NAMES[2]).write_bytes(b'no picture')

    def read() -> object:
        os.environ['MMFER_CACHE'] = str(folder / 'cache')
        return check_images(str(folder), NAMES[:3])

    first = read()
    (file,) = (folder / 'cache').rglob('*.npz')
    return _cache(file, read, lambda found: all(map(np.array_equal, found, first)))


def landmark_progress(folder: Path) -> Reader:
    path = folder / '0000000.npz'
    kept = POINTS, np.array([1, 0.5, 1, 0], np.float32), np.array(['', '', '', 'no face found'])
    write_chunk(path, *kept)

    def read() -> object:
        return kept_chunk(path, NAMES) or kept  # which is found again

    return _cache(path, read, lambda found: all(map(np.array_equal, found, kept)))


def audit_fold(folder: Path) -> Reader:
    path = folder / 'out_of_fold.npz'
    kept = dict(
        rows=np.array([0, 3]),
        probs=np.array([[0.2, 0.8], [1, 0]] * 2, np.float32),
        doubts=np.array([np.nan, 0.5, 1, 0]),
    )
    path.write_bytes(npz(np.savez_compressed, **kept))

    def read() -> object:
        return read_found(path, 4, 2) or kept  # which is found again

    return _cache(path, read, lambda found: all(np.array_equal(found[key], kept[key], equal_nan=True) for key in kept))


def dlib_weights(folder: Path) -> Reader:
    path, net = folder / 'net.dat', DlibFaceNet()
    return Reader(path, lambda: read_face_net(str(path), net), [face_net()])


ARRAYS = {
    'dlib_weights': dlib_weights,
    'landmark_npz': landmark_npz,
    'affectnet_npy': affectnet_npy,
    'pack_file': pack_file,
    'column_cache': column_cache,
    'drawn_faces_npy': drawn_faces_npy,
    'drawn_faces_npz': drawn_faces_npz,
    'checked_images': checked_images,
    'landmark_progress': landmark_progress,
    'audit_fold': audit_fold,
}
