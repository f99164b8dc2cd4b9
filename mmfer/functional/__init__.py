"""Pure maths of the methods: tensors in and out, no state."""

from mmfer.functional.adaptive_wing import adaptive_wing, heatmap_loss
from mmfer.functional.attribution import attribution, class_score, landmark_prior, privileged_attribution
from mmfer.functional.contrastive import contrastive_terms, queue_contrast
from mmfer.functional.distributed import gather_rows, mean_over_ranks, rows_per_rank, sum_over_ranks, world_size
from mmfer.functional.heatmaps import average_points, gaussian_heatmaps, pixels_to_cells
from mmfer.functional.importance import group_means, high_group, rank_regularization
from mmfer.functional.label_distribution import (
    confident_labels,
    distribution_kl,
    nearest_neighbours,
    neighbour_average,
)
from mmfer.functional.smoothness import jensen_shannon, kl_from_logits

__all__ = [
    'adaptive_wing',
    'attribution',
    'average_points',
    'class_score',
    'confident_labels',
    'contrastive_terms',
    'distribution_kl',
    'gather_rows',
    'gaussian_heatmaps',
    'group_means',
    'heatmap_loss',
    'high_group',
    'jensen_shannon',
    'kl_from_logits',
    'landmark_prior',
    'mean_over_ranks',
    'nearest_neighbours',
    'neighbour_average',
    'pixels_to_cells',
    'privileged_attribution',
    'queue_contrast',
    'rank_regularization',
    'rows_per_rank',
    'sum_over_ranks',
    'world_size',
]
