"""Pictures of runs and of predictions."""

from mmfer.visualization.attributions import draw_attributions
from mmfer.visualization.augmented import draw_augmented
from mmfer.visualization.confusion import draw_confusion_matrix
from mmfer.visualization.contact_sheet import draw_contact_sheet
from mmfer.visualization.label_histogram import draw_label_histogram
from mmfer.visualization.label_noise import draw_label_noise
from mmfer.visualization.landmark_sheet import draw_landmark_sheet, draw_landmarks
from mmfer.visualization.learning_curves import draw_learning_curves
from mmfer.visualization.neighbours import LabelledFace, draw_neighbours
from mmfer.visualization.predictions import draw_predictions

__all__ = [
    'LabelledFace',
    'draw_attributions',
    'draw_augmented',
    'draw_confusion_matrix',
    'draw_contact_sheet',
    'draw_label_histogram',
    'draw_label_noise',
    'draw_landmark_sheet',
    'draw_landmarks',
    'draw_learning_curves',
    'draw_neighbours',
    'draw_predictions',
]
