import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

setup(
    name='mmfer',
    version=re.search(r"^__version__ = '(.+)'", (HERE / 'mmfer/__init__.py').read_text(), re.MULTILINE)[1],
    description='Facial expression recognition that stays reliable when the labels are noisy',
    long_description=(HERE / 'README.md').read_text() if (HERE / 'README.md').exists() else '',
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    license_files=['LICENSE'],
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
        # No opencv here: mmengine, mmcv-lite and face-alignment bring opencv-python, and a second one overwrites it.
    ],
    extras_require={
        'dev': [
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
