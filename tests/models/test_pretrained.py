"""Every known format of face weights, made on the spot, and every way in which a file can fail to fit."""

from pathlib import Path

import pytest
import torch
from mmpretrain.models import VGG, ResNet
from torchvision.models import resnet18, resnet34, vgg

from mmfer.models.pretrained import load_pretrained


def make_backbone() -> ResNet:
    return ResNet(depth=18, num_stages=4, out_indices=(3,))


@pytest.fixture(scope='module')
def original() -> dict[str, torch.Tensor]:
    """torchvision's ResNet-18 with weights that no fresh network has."""
    torch.manual_seed(7)
    network = resnet18(num_classes=10)
    return {
        key: torch.randint(1, 9, value.shape) if value.dtype == torch.int64 else torch.rand_like(value)
        for key, value in network.state_dict().items()
    }


def without_fc(state: dict) -> dict:
    return {key: value for key, value in state.items() if not key.startswith('fc.')}


def sequential(state: dict) -> dict:
    numbers = {'conv1': 0, 'bn1': 1, 'layer1': 4, 'layer2': 5, 'layer3': 6, 'layer4': 7}
    return {
        f'features.{numbers[key.split(".")[0]]}.{key.split(".", 1)[1]}': value
        for key, value in without_fc(state).items()
    }


FORMATS = {
    'plain torchvision names': lambda s: s,
    'msceleb: state_dict, 1000-way fc': lambda s: {'state_dict': s, 'epoch': 30},
    'ijba: module., feature and fc': lambda s: {
        'state_dict': {f'module.{k}': v for k, v in s.items()} | {'module.feature.weight': torch.rand(4, 512)}
    },
    'features.': lambda s: {f'features.{k}': v for k, v in without_fc(s).items()},
    'features. with the numbers of nn.Sequential': sequential,
    'module.features.': lambda s: {f'module.features.{k}': v for k, v in without_fc(s).items()},
    'backbone. beside head. and supervision.': lambda s: {
        'state_dict': {f'backbone.{k}': v for k, v in without_fc(s).items()}
        | {'head.fc.weight': torch.rand(7, 512), 'supervision.layer4.conv1.weight': torch.rand(3)},
        'meta': {'epoch': 3},
    },
    'module.backbone.': lambda s: {f'module.backbone.{k}': v for k, v in without_fc(s).items()},
}


@pytest.mark.parametrize('form', FORMATS.values(), ids=FORMATS)
def test_every_known_format_reaches_every_tensor(form, original, tmp_path, capsys):
    file = tmp_path / 'face.pth'
    torch.save(form(original), file)
    backbone = make_backbone()

    report = load_pretrained(backbone, str(file))

    for key, value in backbone.state_dict().items():
        torch.testing.assert_close(value, original[key], rtol=0, atol=0, msg=key)
    assert (report.matched, report.expected) == (120, 120)
    assert f'matched 120 / 120 backbone tensors of {file}' in str(report)


def test_what_no_backbone_wants_is_ignored_and_said(original, tmp_path):
    file = tmp_path / 'face.pth'
    torch.save({'state_dict': original | {'feature.weight': torch.rand(4, 512)}}, file)
    report = load_pretrained(make_backbone(), file)
    assert set(report.ignored) == {'fc.weight', 'fc.bias', 'feature.weight'}
    assert str(report).endswith('ignored fc.weight, fc.bias, feature.weight')


def test_weights_from_before_num_batches_tracked_fit(original, tmp_path):
    file = tmp_path / 'old.pth'
    torch.save({k: v for k, v in original.items() if not k.endswith('num_batches_tracked')}, file)
    backbone = make_backbone()
    report = load_pretrained(backbone, file)
    assert (report.matched, report.expected) == (100, 100)
    torch.testing.assert_close(backbone.layer4[1].bn2.running_var, original['layer4.1.bn2.running_var'])


def torchvision_vgg(depth: int, with_norm: bool = False) -> dict[str, torch.Tensor]:
    """torchvision's VGG with random weights, its layers of 4096 made small."""
    network = getattr(vgg, f'vgg{depth}{"_bn" if with_norm else ""}')
    with torch.device('meta'):  # its classifier would take seconds to draw
        state = network().state_dict()
    return {
        key: torch.zeros(2, 2) if key.startswith('classifier.') else
        torch.randint(1, 9, value.shape) if value.dtype == torch.int64 else torch.rand(value.shape)
        for key, value in state.items()
    }  # fmt: skip


@pytest.mark.filterwarnings('ignore:Unnecessary conv bias before batch:UserWarning')  # torchvision's has it, too
@pytest.mark.parametrize('with_norm', [False, True], ids=['plain', 'batch norm'])
def test_torchvisions_vgg16_reaches_every_layer(with_norm, tmp_path):
    state = torchvision_vgg(16, with_norm)
    torch.save(state, tmp_path / 'vgg16.pth')
    backbone = VGG(depth=16, norm_cfg=dict(type='BN') if with_norm else None, out_indices=(4,), with_last_pool=False)
    report = load_pretrained(backbone, tmp_path / 'vgg16.pth')
    assert report.matched == report.expected == (13 * 7 if with_norm else 13 * 2)
    assert all(key.startswith('classifier.') for key in report.ignored)
    assert len(report.ignored) == 6
    # The order of a VGG is that of its tensors, whatever they are called.
    theirs = [value for key, value in state.items() if key.startswith('features.')]
    for (key, mine), value in zip(backbone.state_dict().items(), theirs, strict=True):
        torch.testing.assert_close(mine, value, rtol=0, atol=0, msg=key)


@pytest.mark.parametrize(
    'form',
    [
        lambda s: {f'module.{key}': value for key, value in s.items()},
        lambda s: {key.removeprefix('features.'): value for key, value in s.items() if key.startswith('features.')},
    ],
    ids=['module.', 'of vgg.features'],
)
def test_a_vgg_may_be_wrapped_or_come_without_its_name(form, tmp_path):
    state = torchvision_vgg(11)
    torch.save(form(state), tmp_path / 'vgg11.pth')
    backbone = VGG(depth=11)
    assert load_pretrained(backbone, tmp_path / 'vgg11.pth').matched == 16
    torch.testing.assert_close(backbone.features[11].conv.weight, state['features.18.weight'], rtol=0, atol=0)


def test_mmpretrains_own_vgg_is_a_backbone_with_features(tmp_path):
    source, target = VGG(depth=11), VGG(depth=11)
    torch.save({'state_dict': {f'backbone.{k}': v for k, v in source.state_dict().items()}}, tmp_path / 'vgg11.pth')
    assert load_pretrained(target, tmp_path / 'vgg11.pth').matched == 16
    torch.testing.assert_close(target.features[0].conv.weight, source.features[0].conv.weight)


def test_a_deeper_vgg_does_not_pass_for_a_shallow_one(tmp_path):
    message = refusal(torchvision_vgg(19), tmp_path, VGG(depth=16))
    assert '6 left over (features.30.weight, features.30.bias, features.32.weight and 3 more)' in message
    assert 'VGG-16' in message
    assert 'torchvision://vgg16 ' in message


@pytest.mark.filterwarnings('ignore:Unnecessary conv bias before batch:UserWarning')
def test_a_vgg_without_norm_does_not_pass_for_one_with(tmp_path):
    message = refusal(torchvision_vgg(16), tmp_path, VGG(depth=16, norm_cfg=dict(type='BN')))
    assert '52 missing (features.0.bn.weight' in message
    assert 'torchvision://vgg16_bn ' in message


def refusal(state, tmp_path, backbone=None) -> str:
    file = tmp_path / 'face.pth'
    torch.save(state, file)
    backbone = backbone or make_backbone()
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    with pytest.raises(ValueError, match=r'.') as caught:
        load_pretrained(backbone, file)
    for key, value in backbone.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0, msg=f'{key} was touched although refused')
    assert '\n' not in str(caught.value)
    assert 'model.pretrained=None' in str(caught.value) or 'state_dict' in str(caught.value)
    return str(caught.value)


def test_missing_tensors_are_counted_and_named(original, tmp_path):
    message = refusal({k: v for k, v in original.items() if not k.startswith('layer3.1.conv')}, tmp_path)
    assert 'matched only 118 / 120' in message
    assert '2 missing (layer3.1.conv1.weight, layer3.1.conv2.weight)' in message


def test_a_renamed_network_that_matches_nothing_is_refused(original, tmp_path):
    message = refusal({f'net_{k}': v for k, v in original.items()}, tmp_path)
    assert 'matched only 0 / 1' in message
    assert 'left over' in message


def test_another_shape_is_named_with_both_shapes(original, tmp_path):
    message = refusal(original | {'conv1.weight': torch.rand(64, 1, 7, 7)}, tmp_path)
    assert 'conv1.weight is 64x1x7x7 there and 64x3x7x7 here' in message


def test_a_deeper_network_does_not_pass_for_a_shallow_one(tmp_path):
    # ResNet-34 has every key of ResNet-18 in the same shapes: only what is left over tells them apart.
    message = refusal(resnet34().state_dict(), tmp_path)
    assert 'left over (layer1.2.conv1.weight' in message
    assert 'ResNet-18' in message


def test_ir50_is_refused_by_name(tmp_path):
    state = {'input_layer.0.weight': torch.rand(64, 3, 3, 3), 'body.0.res_layer.1.weight': torch.rand(64, 64, 3, 3)}
    message = refusal(state, tmp_path)
    assert 'IR-50' in message
    assert 'ResNet-18' in message


def test_ir50_fits_an_ir50(tmp_path):
    class IR50(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.input_layer, self.body = torch.nn.Conv2d(3, 4, 3), torch.nn.Sequential(torch.nn.Conv2d(4, 4, 3))
            self.output_layer = torch.nn.Linear(4, 4)

    source, target = IR50(), IR50()
    torch.save(source.state_dict(), tmp_path / 'ir50.pth')
    report = load_pretrained(target, tmp_path / 'ir50.pth')
    assert (report.matched, report.ignored) == (6, ())
    torch.testing.assert_close(target.output_layer.weight, source.output_layer.weight)


class Evil:
    def __reduce__(self):
        return (Path.touch, (Path('touched'),))


def test_a_pickle_is_never_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = refusal({'weight': Evil()}, tmp_path)
    assert 'sandbox' in message
    assert not Path('touched').exists()


@pytest.mark.parametrize('content', [b'', b'<html>404</html>', b'PK\x03\x04 cut off'], ids=['empty', 'html', 'cut off'])
def test_a_broken_download_is_named(content, tmp_path):
    file = tmp_path / 'face.pth'
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r'face\.pth cannot be read .* download is whole'):
        load_pretrained(make_backbone(), file)


def test_half_a_download_is_named(original, tmp_path):
    torch.save(original, tmp_path / 'face.pth')
    (tmp_path / 'face.pth').write_bytes((tmp_path / 'face.pth').read_bytes()[:100_000])
    with pytest.raises(ValueError, match=r'face\.pth cannot be read .* download is whole'):
        load_pretrained(make_backbone(), tmp_path / 'face.pth')


def test_a_file_without_tensors_is_named(tmp_path):
    assert 'holds a dict without tensors' in refusal({'epoch': 3}, tmp_path)


def test_a_missing_file_says_what_it_is_and_prints_both_switches(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        load_pretrained(make_backbone(), tmp_path / 'resnet18_msceleb.pth')
    message = str(caught.value)
    assert '\n' not in message
    for part in (
        str(tmp_path / 'resnet18_msceleb.pth'),
        'ResNet-18',
        'MS-Celeb-1M',
        '--cfg-options model.pretrained=None',
        '--cfg-options model.pretrained=torchvision://resnet18',
    ):
        assert part in message
    with pytest.raises(FileNotFoundError, match='torchvision://resnet50'):
        load_pretrained(ResNet(depth=50, out_indices=(3,)), tmp_path / 'absent.pth')


def test_torchvision_weights_come_from_the_hub_folder(original, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path))
    (tmp_path / 'checkpoints').mkdir()
    torch.save(original, tmp_path / 'checkpoints' / 'resnet18-f37072fd.pth')  # the name of ImageNet V1
    backbone = make_backbone()
    assert load_pretrained(backbone, 'torchvision://resnet18').matched == 120
    torch.testing.assert_close(backbone.conv1.weight, original['conv1.weight'])


def test_torchvision_without_a_network_says_where_the_file_belongs(tmp_path, monkeypatch):
    def no_network(*args, **kwargs):
        raise OSError('no route to host')

    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path))
    monkeypatch.setattr(torch.hub, 'download_url_to_file', no_network)
    with pytest.raises(FileNotFoundError, match=r'resnet18-f37072fd\.pth .*checkpoints.*model\.pretrained=None'):
        load_pretrained(make_backbone(), 'torchvision://resnet18')


def test_torchvision_names_are_checked():
    with pytest.raises(ValueError, match="torchvision has no model 'resnet19'"):
        load_pretrained(make_backbone(), 'torchvision://resnet19')
