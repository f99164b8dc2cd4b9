"""FERPlus (FER+)."""

from __future__ import annotations

import os.path as osp
from typing import Any, ClassVar

import numpy as np
from mmengine.logging import print_log

from mmfer.datasets.annotations.fer2013_labels import fer2013_labels
from mmfer.datasets.annotations.ferplus_files import (
    FOLDER_OF,
    OWN,
    PIXELS_FILE,
    VOTES_FILE,
    read_csv_files,
    read_folder,
    votes_source,
)
from mmfer.datasets.annotations.ferplus_votes import READINGS, majority
from mmfer.datasets.columns import Columns
from mmfer.datasets.face_dataset import FaceDataset
from mmfer.datasets.images.image_files import log_unlisted
from mmfer.datasets.labels.schema import ORDERS, label_map
from mmfer.datasets.reading.files import require_paths
from mmfer.registry import DATASETS


@DATASETS.register_module()
class FERPlus(FaceDataset):
    """FER+ (`Barsoum et al. 2016 <https://arxiv.org/abs/1608.01041>`_): FER2013 labelled anew by ten people a face.

    The two files as they are distributed::

        data_root
        ├── fer2013new.csv           Usage,Image name,neutral,happiness,...,unknown,NF
        │                            Training,fer0000000.png,4,0,0,1,3,2,0,0,0,0
        └── fer2013.csv              the pixels, in the same order of rows

    or, where a folder of this split is there, as the authors' ``generate_training_data.py`` writes them::

        data_root
        ├── FER2013Train
        │   ├── label.csv            no header: fer0000000.png,4,0,0,1,3,2,0,0,0,0
        │   ├── fer0000000.png       48 x 48 grey pixels
        │   └── ...
        ├── FER2013Valid             'val'
        └── FER2013Test

    Two sets of votes are published. In the authors' own ``label.csv``, where a box stands behind the name, every face
    has its own; in ``fer2013new.csv``, and in what their script writes from it, a picture that occurs again has those
    of its first row. The log says which are read; splits with different ones are refused. See docs/datasets.md.

    Of 28,709 / 3,589 / 3,589 rows a reading keeps those it can give a label to
    (:mod:`mmfer.datasets.annotations.ferplus_votes`), always without the votes that only one
    person gave, and logs how many it left out:

    =============== ====================================================================================================
    'majority'      the label with more than half of the votes; no votes travel along. Papers count 25,045 / 3,191 /
                    3,137 faces, which are those of the label.csv with boxes. The published code measures every model on
                    this reading of 'val' and 'test', whatever it was trained on
    'distribution'  the label with most votes, the first of equals; the shares of all emotions travel along as
                    ``gt_score``. Out are faces that more people call unknown or no face than any one emotion. This is
                    none of the paper's schemes, and keeps most faces
    'cross_entropy' the paper's: the shares of the emotions with most votes until three quarters of the votes or three
                    emotions are reached, as ``gt_score``. Out are faces where that is not more than half of the votes
    'probability'   the paper's: in training a label is drawn from the same shares, anew in each epoch, and stands alone
                    in ``gt_score``. What is drawn follows from seed, epoch and face
                    (:class:`~mmfer.engine.hooks.drawn_labels.DrawnLabelsHook`). Nothing is drawn where a face is
                    evaluated: give the reading to the training set alone
    =============== ====================================================================================================

    With ``observed='fer2013'`` the labels are those that FER2013 was published with, and FER+ only says which of them
    are wrong: noise that people made, of which the clean label is known. They are read from ``fer2013.csv`` (beside
    ``fer2013new.csv``, which has the names), else from ``fer2013_labels.csv``::

        data_root
        └── fer2013_labels.csv       name,label
                                     fer0000000.png,anger

    The classes are then FER2013's seven, in its order. All faces of FER+ that have a label of FER2013 are in, whether
    people agreed on them or not. ``clean_label`` is the majority where there is one, else unknown (-1); unknown is also
    contempt, which FER2013 does not have. The log counts both.

    Args:
        reading: 'majority', 'distribution', 'cross_entropy' or 'probability'. Defaults to 'majority'.
        observed: Whose labels are learnt: 'ferplus' (default) or 'fer2013'.
        **kwargs: See :class:`FaceDataset`.
    """

    METAINFO: ClassVar[dict[str, Any]] = dict(classes=ORDERS['ferplus'])
    SPLITS = ('train', 'val', 'test')
    # Of the majority, with boxes.
    COUNTS: ClassVar[dict[str, tuple[int, ...]]] = dict(train=(25045,), val=(3191,), test=(3137,))
    HOW_TO_GET = (
        'the votes are public: put fer2013new.csv of https://github.com/microsoft/FERPlus there; the pixels '
        'are those of FER2013, of a Kaggle challenge: accept its rules at https://www.kaggle.com/c/challenges'
        '-in-representation-learning-facial-expression-recognition-challenge/data, and put fer2013.csv there'
    )

    def __init__(self, *args: Any, reading: str = 'majority', observed: str = 'ferplus', **kwargs: Any):
        if reading not in READINGS:
            raise ValueError(f'reading must be one of {", ".join(map(repr, READINGS))}, got {reading!r}')
        if observed not in ('ferplus', 'fer2013'):
            raise ValueError(f"observed must be 'ferplus' or 'fer2013', got {observed!r}")
        if observed == 'fer2013' and reading != 'majority':
            raise ValueError(
                "observed='fer2013' takes FER2013's labels, beside which FER+'s votes would give the wrong ones away: "
                f'take reading={reading!r} out'
            )
        if reading == 'probability' and kwargs.get('test_mode'):
            raise ValueError(
                "reading='probability' draws labels in training, and nothing where faces are evaluated: give it to the "
                "training set alone, and reading='majority' to this one"
            )
        self.reading, self.observed, self.draws_labels = reading, observed, reading == 'probability'
        if reading != 'majority' or observed == 'fer2013':
            self.COUNTS = {}
        if observed == 'fer2013':
            self.METAINFO = dict(classes=ORDERS['fer2013'])
            kwargs['metainfo'] = {**self.METAINFO, **(kwargs.get('metainfo') or {})}
        super().__init__(*args, **kwargs)

    def load_columns(self) -> Columns:
        """Reads votes, and pixels where they are not in files; keeps the faces of this split that have a label."""
        folder = osp.join(self.data_root, FOLDER_OF[self.source_split])
        columns, votes = self._of_folder(folder) if osp.isdir(folder) else self._of_csv()
        source = votes_source(self.data_root, self.source_split)
        if source != OWN:
            self.COUNTS = {}  # those that are published are of the others
        if self.observed == 'fer2013':
            return self._human_noise(columns, votes, source)
        score = READINGS[self.reading](votes)
        kept = score.any(axis=1)
        self._log(f'{source}; reading {self.reading!r} leaves out {int((~kept).sum()):,} of {len(kept):,} faces')
        columns = {key: column[kept] for key, column in columns.items() if key != 'fer2013'}
        columns['label'] = score[kept].argmax(axis=1)
        if self.reading != 'majority':
            columns['score'] = score[kept]
        return columns

    def _human_noise(self, columns: Columns, votes: np.ndarray, source: str) -> Columns:
        """FER2013's labels as those observed, FER+'s majority as the clean ones."""
        label = columns.pop('fer2013', None)
        if label is None:
            label = fer2013_labels(self.data_root, self.source_split, columns['name'].tolist(), self.HOW_TO_GET)
        shares = majority(votes)
        kept, agreed = label >= 0, shares.any(axis=1)
        seven = label_map(ORDERS['ferplus'], self.source_classes, drop=['contempt'])
        clean = np.where(agreed, seven[shares.argmax(axis=1)], -1)
        known = kept & agreed
        differ = known & (clean != label)
        self._log(
            f"{source}; the labels are FER2013's, which {int((~kept).sum()):,} of {len(kept):,} faces do not have; of "
            f'{int(known.sum()):,} faces with a majority of FER+ {100 * differ.sum() / max(known.sum(), 1):.1f} % have '
            f'another label; it is contempt, which FER2013 does not know, for {int((known & (clean < 0)).sum()):,}, '
            'whose clean label counts as unknown'
        )
        columns = {key: column[kept] for key, column in columns.items()}
        return {**columns, 'label': label[kept], 'clean_label': clean[kept]}

    def _log(self, text: str) -> None:
        print_log(f'{type(self).__name__} {self.source_split}: {text}', logger='current')

    def _of_folder(self, folder: str) -> tuple[Columns, np.ndarray]:
        self.IMAGE_FOLDER = osp.basename(folder)
        require_paths(type(self).__name__, folder, ('label.csv',), self.HOW_TO_GET)
        self.label_file = osp.join(folder, 'label.csv')
        columns, votes = read_folder(self.label_file)
        log_unlisted(self.image_folder, columns['name'].tolist(), type(self).__name__)
        return columns, votes

    def _of_csv(self) -> tuple[Columns, np.ndarray]:
        require_paths(type(self).__name__, self.data_root, (VOTES_FILE, PIXELS_FILE), self.HOW_TO_GET)
        self.label_file = osp.join(self.data_root, VOTES_FILE)
        return read_csv_files(self.data_root, self.source_split)
