"""What a training step knows: named values that parts read and publish."""

from collections.abc import Iterable
from typing import Any

from mmengine.dist import get_rank
from torch import Tensor

from mmfer.functional import gather_rows, rows_per_rank

VOCABULARY = {
    'inputs': 'augmented, normalised images [N, 3, H, W]',
    'embedding': "the classifier's features before the last linear layer [N, D]",
    'logits': "the classifier's class scores [N, K]",
    'label': 'observed label [N]; never changes',
    'target': "this step's label ids [N] or distributions [N, K]; starts as the votes, else as `label`",
    'weight': "this step's sample weights [N]; starts as 1",
    'landmarks': 'augmented landmarks in pixels of `inputs` [N, L, 2] as (x, y)',
    'landmark_valid': 'whether a face has landmarks [N]',
    'sample_idx': 'global index of the sample in the training set [N]',
    'bank': 'the SampleBank: what is remembered per sample',
    'model': 'the classifier itself, for branches that run it again',
    'log': 'log(name=value) shows numbers beside the losses, as <method>.<name>',
    'epoch': 'the current epoch, from 0',
    'max_epochs': 'the number of epochs of the run',
}
"""Names that every step knows. Taps and parts add theirs."""

SHARED = frozenset({'bank', 'model', 'log', 'epoch', 'max_epochs'})
"""Names whose values are no rows of the batch: the same on every rank, never gathered."""

REFINABLE = frozenset({'target', 'weight'})
"""Names that refiners may publish again."""


class Trace:
    """Named values of one training step, as this rank's rows or as those of the global batch.

    Branches work on their own rank's rows (:meth:`local`). Refiners and losses see the **global** batch
    (:meth:`whole`): rows are gathered over the ranks when first asked for, with gradients, in float32. So a part is
    written as if there were one process, and 2 ranks x B/2 give what 1 rank x B gives.
    """

    def __init__(self, rows: dict[str, Tensor], shared: dict[str, Any]):
        self._local: dict[str, Tensor] = dict(rows)
        self._whole: dict[str, Tensor] = {}
        self._shared: dict[str, Any] = dict(shared)
        self.given: dict[str, Any] = {}
        """Outputs of tapped modules themselves, for parts that run on from them or ask autograd about them."""
        self._size = len(next(iter(rows.values())))
        self._ask_counts = rows_per_rank(self._size)  # answered by the time that the network has run
        self._rows_per_rank: list[int] | None = None

    def publish(self, values: dict[str, Any], *, whole: bool, shared: Iterable[str] = ()) -> None:
        """Adds what a part computed.

        Args:
            values: By name.
            whole: Whether the rows are those of the global batch (refiners) or this rank's (branches).
            shared: Names among them that are no rows at all.
        """
        for name, value in values.items():
            if name in shared:
                self._shared[name] = value
            elif whole:
                self._whole[name] = value
                self._local.pop(name, None)  # the refined value replaces this rank's
            else:
                self._local[name] = value

    def local(self, name: str) -> Any:
        """This rank's rows of a value."""
        if name in self._shared:
            return self._shared[name]
        if name not in self._local:
            rank_rows = self._counts()
            start = sum(rank_rows[: get_rank()])
            self._local[name] = self._whole[name][start : start + self._size]
        return self._local[name]

    def whole(self, name: str) -> Any:
        """The global batch's rows of a value, floating point as float32."""
        if name in self._shared:
            return self._shared[name]
        if name not in self._whole:
            value = self._local[name]
            if value.dtype.is_floating_point and value.dtype.itemsize < 4:
                value = value.float()  # half precision overflows in exp and loses small probabilities
            self._whole[name] = gather_rows(value, self._counts())
        return self._whole[name]

    def __contains__(self, name: str) -> bool:
        return name in self._shared or name in self._local or name in self._whole

    def _counts(self) -> list[int]:
        if self._rows_per_rank is None:
            self._rows_per_rank = self._ask_counts()
        return self._rows_per_rank
