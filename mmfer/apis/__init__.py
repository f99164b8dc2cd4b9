"""What the command-line tools do, as functions."""

from mmfer.apis.checkpoints.checkpoint_config import config_of
from mmfer.apis.config import default_work_dir, read_config
from mmfer.apis.data.alignment import FaceAligner
from mmfer.apis.errors import user_errors
from mmfer.apis.evaluation import evaluate
from mmfer.apis.export import export_deployed
from mmfer.apis.face_predictor import FacePredictor
from mmfer.apis.prediction import find_pictures, predict_pictures
from mmfer.apis.training import train
from mmfer.engine.interruption import TrainingStopped

__all__ = [
    'FaceAligner',
    'FacePredictor',
    'TrainingStopped',
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
