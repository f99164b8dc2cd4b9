"""The table of docs/backbones.md: every method on every backbone trains, and is deployed as a stock classifier."""

import copy
import logging
import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.logging import MMLogger
from mmengine.registry import MODELS, DefaultScope
from mmpretrain.models import ImageClassifier
from tiny import CE, faces, lanet, total
from torch.testing import assert_close

from mmfer.apis.analysis.attributions import _of_batch, parts_of
from mmfer.apis.analysis.neighbours import embed
from mmfer.apis.export import export_deployed
from mmfer.models.classifiers import FERClassifier

pytestmark = pytest.mark.filterwarnings('ignore:In MMCV v1.4.4')  # of its sigmoid, at each use
SIZE = 64
PAGE = Path(__file__).parents[2] / 'docs/backbones.md'
ROW = re.compile(
    r'^\| (?P<name>[^|]+?)(?: \(\d\))? \| `(?P<backbone>dict\(.*?\))` \| (?P<neck>pool|None) \| `(?P<width>\d+)` \| '
    r'`(?P<shared>[\w.]+)` \| `(?P<tap>[\w.]+)` \| `(?P<arm>[\w=, ]+)`(?: \(\d\))? \|$',
    re.MULTILINE,
)
ROWS = {row['name']: row.groupdict() for row in ROW.finditer(PAGE.read_text())}
POOL = dict(type='GlobalAveragePooling')
METHODS = ('lanet', 'pal', 'arm', 'scn', 'sna')
# What 64 px need, and fewer layers of the same widths.
SMALL = {
    'ConvNeXt-T': dict(arch=dict(depths=[1, 1, 1, 1], channels=[96, 192, 384, 768])),
    'Swin-T': dict(arch=dict(embed_dims=96, depths=[1, 1, 1, 1], num_heads=[3, 6, 12, 24]), pad_small_map=True),
    'timm: ViT-T': dict(img_size=SIZE),
    'timm: Swin-T': dict(img_size=SIZE, depths=(1, 1, 1, 1)),
}
SIZES = {('DlibFaceNet', 'arm'): 135}  # of which its last map has the two cells a side that ARM needs
SUPERVISION = {
    'lanet': lanet(),
    'pal': dict(
        taps=dict(stage4='backbone.layer4'),
        branches=dict(gradient=dict(type='mmfer.GradientActivation', inputs=dict(feature='stage4'))),
        losses=dict(pal=dict(type='mmfer.PrivilegedAttributionLoss')),
    ),
    'arm': None,
    'scn': dict(
        taps=dict(importance='head.attention'),
        refiners=dict(relabel=dict(type='mmfer.MarginRelabel', start_epoch=1, margin=0.02, scope='all')),
        losses=dict(rank=dict(type='mmfer.RankRegularizationLoss', margin=0.5)),
    ),
    'sna': dict(
        branches=dict(
            neighbours=dict(
                type='mmfer.SemanticNeighbours',
                kind='adversarial',
                autoencoder=dict(type='mmfer.FaceAutoEncoder', size=16, latent_dim=8, channels=4, depth=1),
            )
        ),
        refiners=dict(reliability=dict(type='mmfer.ReliabilityWeights', warmup=0)),
        losses=dict(smooth=dict(type='mmfer.NeighborhoodSmoothnessLoss')),
    ),
}


@pytest.fixture(autouse=True)
def _quiet():
    """mmengine logs how it has initialised each tensor."""
    MMLogger.get_instance('backbones', logger_name='backbones').setLevel(logging.ERROR)


def config(name: str, method: str | None = None, row: bool = True) -> ConfigDict:
    """The model of a row of the table; without `row` the method has its own taps, which are those of a ResNet."""
    if name.startswith('timm'):
        pytest.importorskip('timm')
    cells = ROWS[name]
    backbone = eval(cells['backbone'], {'dict': dict}) | copy.deepcopy(SMALL.get(name, {}))
    supervision = dict(cls=CE)
    if method and SUPERVISION[method]:
        supervision[method] = copy.deepcopy(SUPERVISION[method])
        for tap, column in (('shared', 'shared'), ('stage4', 'tap')):
            if row and tap in supervision[method].get('taps', {}):
                supervision[method]['taps'][tap] = cells[column]
    model = dict(
        backbone=backbone,
        neck=None if cells['neck'] == 'None' else dict(POOL),
        head=dict(type='LinearClsHead', num_classes=3, in_channels=int(cells['width'])),
        data_preprocessor=dict(type='mmfer.FaceDataPreprocessor', size=SIZES.get((name, method), SIZE)),
        supervision=supervision,
    )
    if method == 'scn':
        model['head']['type'] = 'mmfer.SCNHead'
    if method == 'arm':
        asked = eval(f'dict({cells["arm"]})', {'dict': dict}) if row else {}
        model['neck'] = dict(type='mmfer.ARM', **asked)
        model['head']['in_channels'] = 121
    return ConfigDict(model=model)


def build(cfg: ConfigDict) -> FERClassifier:
    torch.manual_seed(3)
    model = FERClassifier(**copy.deepcopy(dict(cfg.model)))
    model.supervision.bank.allocate(torch.arange(12) % 3, 3)
    return model


def cured(cfg: ConfigDict, sentence: str) -> ConfigDict:
    """The config with the settings of a refusal, typed as they stand in it; of several ways the first."""
    cfg = copy.deepcopy(cfg)
    settings = re.findall(r'(model(?:\.\w+)+)=((?:dict\(.*?\)|\[.*?\]|\(.*?\)|[^,\s])+)', sentence.split(', or ')[0])
    assert settings, sentence
    for path, value in settings:
        *parents, last = path.split('.')
        place = cfg
        for key in parents:
            place = place[key]
        place[last] = eval(value, {'dict': dict}) if re.match(r'dict|\[|\(|\d|None|True|False', value) else value
    return cfg


def refused(cfg: ConfigDict) -> str:
    with pytest.raises(ValueError, match='set |stages of|nearest') as caught:
        build(cfg)
    assert '\n' not in str(caught.value)
    return str(caught.value)


def train(model: FERClassifier, method: str | None) -> None:
    """Two steps: every term is finite and every weight that trains gets a gradient."""
    size = model.data_preprocessor.size[0]
    model.init_weights()
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0  # two steps are few: with the first statistics deep networks predict nothing
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    for step in range(2):
        losses = model(*faces(4, size=size, seed=step), mode='loss')
        assert not method or method == 'arm' or any(name.startswith(f'{method}.') for name in losses)
        assert all(value.isfinite().all() for value in losses.values()), losses
        optimizer.zero_grad()
        total(losses).backward()
        assert [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
        optimizer.step()
        model.supervision.commit()
    assert all(p.isfinite().all() for p in model.parameters())


def deployed(model: FERClassifier, cfg: ConfigDict, folder: Path | None) -> ImageClassifier:
    """What an export loads into: mmpretrain's own classifier with its own head. Without a folder no file is written."""
    parts = {key: copy.deepcopy(cfg.model[key]) for key in ('backbone', 'neck', 'head')}
    parts['head']['type'] = 'LinearClsHead'
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        stock = MODELS.build(dict(type='ImageClassifier', **parts))
    assert type(stock) is ImageClassifier
    if folder is None:
        weights = model.state_dict().items()
        stock.load_state_dict({key: value for key, value in weights if not key.startswith('supervision.')}, strict=True)
        return stock
    head, neck = cfg.model.head['type'], (cfg.model.neck or {}).get('type')
    text = f'model = dict(head=dict(type={head!r}), neck=dict(type={neck!r}))\n'
    torch.save(dict(state_dict=model.state_dict(), meta=dict(cfg=text)), folder / 'epoch_2.pth')
    report = export_deployed(folder / 'epoch_2.pth', folder / 'deployed.pth')
    stock.load_state_dict(torch.load(folder / 'deployed.pth', weights_only=True)['state_dict'], strict=True)
    assert report.parameters == sum(p.numel() for p in stock.parameters())
    return stock


def test_the_page_has_thirteen_backbones():
    assert len(ROWS) == 13
    assert sum(name.startswith('timm') for name in ROWS) == 3


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('name', ROWS)
def test_it_trains_and_is_deployed(name, method, tmp_path):
    cfg = config(name, method)
    if method == 'arm':  # the map follows from the input; the page says where one has to be asked for
        cfg = cured(cfg, refused(cfg))
    model = build(cfg)
    train(model, method)
    # PAL and SNA put nothing into the network: what an export leaves out of theirs it leaves out of LA-Net's.
    stock = deployed(model, cfg, None if method in ('pal', 'sna') else tmp_path)
    model.eval()
    stock.eval()
    inputs, batch = faces(3, size=model.data_preprocessor.size[0], seed=9)
    with torch.inference_mode():
        scores = model(inputs)
        assert_close(stock(inputs), scores, rtol=1e-4, atol=1e-5)
    assert scores.std(0).max() > 1e-6
    if method == 'pal':  # as tools/analysis_tools/attribution.py draws them
        maps, prior, agreement = _of_batch(model, *parts_of(model), inputs, batch)
        assert maps.shape == prior.shape
        assert maps.abs().amax((1, 2)).min() > 0
        assert agreement.abs().max() <= 1
    if method == 'lanet':  # as tools/analysis_tools/neighbours.py compares them
        found = embed(model, inputs)
        assert found['expression'].shape == (3, cfg.model.head.in_channels)
        assert found['landmark'].isfinite().all()


@pytest.mark.parametrize(
    ('name', 'method'),
    [
        ('VGG16', 'lanet'),
        ('EfficientNet-B0', 'pal'),
        ('ConvNeXt-T', 'pal'),
        ('Swin-T', 'lanet'),
        ('DeiT-T', 'lanet'),
        ('timm: MobileNetV3', 'lanet'),
        ('timm: ViT-T', 'pal'),
    ],
)
def test_where_a_resnets_tap_is_not_there_the_refusal_names_others(name, method):
    cfg = config(name, method, row=False)
    sentence = refused(cfg)
    tap = {'lanet': 'shared', 'pal': 'stage4'}[method]
    assert sentence.startswith(f'tap "{tap}": the network has no module "backbone.layer')
    listed = re.findall(r'(backbone[\w.]+) \(\d+ x \d+ cells\)', sentence)
    nearest = re.search(r'the nearest is "([\w.]+)"', sentence)[1]
    cfg.model.supervision[method].taps[tap] = listed[-1 if method == 'pal' else 0] if listed else nearest
    train(build(cfg), method)


# --- the rest of the page ---

REFUSALS = dict(re.findall(r'^\| (an? .+?|maps .+?|ARM .+?|PAL .+?) \| `(.+)` \|$', PAGE.read_text(), re.MULTILINE))


def changed(name: str, method: str | None = None, size: int = SIZE, **settings) -> ConfigDict:
    cfg = config(name, method)
    cfg.model.data_preprocessor['size'] = size
    for path, value in settings.items():
        *parents, last = path.split('__')
        place = cfg.model
        for key in parents:
            place = place[key]
        place[last] = value
    return cfg


WRONG = {
    'a neck or head of another width': lambda: changed('ResNet-50', head__in_channels=512),
    'a neck that pools what is pooled': lambda: changed('ConvNeXt-T', neck=dict(POOL)),
    'maps that nothing pools': lambda: changed('Swin-T', neck=None),
    'ARM for another map': lambda: changed(
        'DeiT-T', 'arm', neck=dict(type='mmfer.ARM'), backbone__out_type='featmap', head__in_channels=121
    ),
    'a tap that is not there': lambda: config('ConvNeXt-T', 'pal', row=False),
    'PAL where cells count for nothing': lambda: changed(
        'DeiT-T', 'pal', supervision__pal__taps=dict(stage4='backbone.layers.11')
    ),
    'PAL on one cell': lambda: changed('ResNet-18', 'pal', size=32),
}


@pytest.mark.parametrize('wrong', WRONG)
def test_the_page_says_what_mmfer_says(wrong):
    assert set(REFUSALS) == set(WRONG)
    documented = '.+'.join(map(re.escape, REFUSALS[wrong].split('…')))
    cfg = WRONG[wrong]()
    sentence = refused(cfg)
    assert re.fullmatch(documented, sentence), sentence
    if not sentence.startswith('tap '):
        assert build(cured(cfg, sentence))


def test_the_pages_example_builds(tmp_path):
    (block,) = re.findall(r'```python\n(.+?)```', PAGE.read_text(), re.DOTALL)
    (tmp_path / 'example.py').write_text(block.replace("'../_base_/", f"'{PAGE.parents[1]}/configs/_base_/"))
    cfg = Config.fromfile(tmp_path / 'example.py')
    assert cfg.model.backbone.pop('type') == 'ConvNeXt'
    cfg.model.backbone = dict(type='ConvNeXt', **cfg.model.backbone | SMALL['ConvNeXt-T'])
    cfg.model.data_preprocessor = dict(type='mmfer.FaceDataPreprocessor', size=SIZE)
    cfg.model.pop('type')
    branch = build(cfg).supervision.methods['lanet']['branches']['landmark']
    assert branch.sources == [(f'downsample_layers.{n}', f'stages.{n}') for n in (1, 2, 3)]
