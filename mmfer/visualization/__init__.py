"""Pictures of runs and of predictions."""
from mmfer.visualization.confusion import draw_confusion_matrix
from mmfer.visualization.learning_curves import draw_learning_curves
from mmfer.visualization.predictions import draw_predictions

__all__ = ['draw_confusion_matrix', 'draw_learning_curves', 'draw_predictions']
