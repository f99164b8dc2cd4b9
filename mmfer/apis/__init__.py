"""What the command-line tools do, as functions."""

from mmfer.apis.alignment import FaceAligner
from mmfer.apis.checkpoint_config import config_of
from mmfer.apis.config import default_work_dir, read_config
from mmfer.apis.deployment import export_deployed
from mmfer.apis.errors import user_errors
from mmfer.apis.evaluation import evaluate
from mmfer.apis.prediction import FacePredictor, find_pictures, predict_pictures
from mmfer.apis.training import train

__all__ = [
    'FaceAligner',
    'FacePredictor',
    'config_of',
    'default_work_dir',
    'evaluate',
    'export_deployed',
    'find_pictures',
    'predict_pictures',
    'read_config',
    'train',
    'user_errors',
]
