"""A run that compiles its network: another way to the same checkpoint."""

import pytest
import torch
from e2e.clone import NARROW, tiny
from e2e.resumed import SMALL, VALUES, content, differences
from mmengine.config import Config
from mmengine.model import is_model_wrapper

from mmfer.apis.training import compile_modules

# torch hides this one of its own, where warnings are no errors.
pytestmark = pytest.mark.filterwarnings('ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning')

PAL = 'configs/pal/r18_synthfaces.py'
EAGER = {'compile.backend': 'eager'}  # takes the network apart as all do, and makes no kernels, which takes longer


@pytest.fixture(autouse=True)
def _forget_compiled_code():
    yield
    torch.compiler.reset()
    torch.compiler.set_stance('default')


@pytest.mark.usefixtures('group')
@pytest.mark.filterwarnings('ignore:`broadcast_buffers` is deprecated:FutureWarning')  # mmfer.compat says why
def test_pal_leaves_what_it_differentiates_twice_where_gradients_are_exchanged(trained):
    runner = trained(PAL, tiny(PAL, faces=8) | NARROW | EAGER, launcher='pytorch')
    assert is_model_wrapper(runner.model)
    modules = runner.model.module.named_modules()
    compiled = [name for name, module in modules if module._compiled_call_impl is not None]
    assert compiled == [f'backbone.{name}' for name in ('layer1', 'layer2', 'layer3', 'layer4.0', 'layer4.1')]


def test_a_run_that_is_compiled_goes_on_with_a_checkpoint_of_one_that_is_not(command, tmp_path):
    """In mixed precision and with an average of the weights: it ends as the other does, bit for bit."""
    values = VALUES | SMALL | {'train_cfg.max_epochs': 2, 'custom_hooks': '[dict(type=EMAHook)]'}
    plain, compiled = tmp_path / 'plain', tmp_path / 'compiled'
    command(plain, '--amp', values=values)
    more = ['--amp', '--compile', '--resume', str(plain / 'epoch_1.pth')]
    command(compiled, *more, values=values | EAGER)
    assert 'compile: eager makes kernels for backbone.layer1.0, ' in next(compiled.glob('*/*.log')).read_text()
    assert differences(content(compiled / 'epoch_2.pth'), content(plain / 'epoch_2.pth')) == []


@pytest.mark.parametrize(
    ('asked', 'hook'),
    [
        ({}, None),
        ({'compile': False, 'default_hooks': dict(compile=dict(type='mmfer.CompileHook'))}, None),
        ({'compile': True}, dict(type='mmfer.CompileHook')),
        ({'compile': dict(backend='eager')}, dict(type='mmfer.CompileHook', backend='eager')),
    ],
)
def test_mmengine_is_not_asked_to_compile_the_step(asked, hook):
    cfg = Config(dict(default_hooks={}) | asked)
    compile_modules(cfg)
    assert 'compile' not in cfg
    assert cfg.default_hooks.get('compile') == hook


def test_the_flag_is_the_key_and_keeps_the_settings_of_a_config(clone, train_tool):
    def key(*arguments):
        return train_tool.configure(train_tool.parse_args([PAL, *arguments])).get('compile')

    assert key() is None
    assert key('--compile') is True
    assert key('--compile', '--cfg-options', 'compile.backend=eager') == dict(backend='eager')
