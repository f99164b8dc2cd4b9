"""Step time and peak memory of every method and of the plain baseline, interleaved in one process.

    python benchmarks/step.py                          # (96 px, batch 128) and (224 px, batch 64)
    python benchmarks/step.py --sizes 96:64 --rounds 9 --models plain SCN ARM

A step is loss, backward pass and optimizer step on a batch that is ready for the network; augmentation, which all do
alike, is left out. It is a step of the last epoch, in which SCN relabels and SNA weighs. Times are medians over rounds
in which every model runs once, so that whatever else the machine does hits all of them.

`forward` and `backward` are the passes of a step through a stage of the network or a copy of it: `2-4` is 2 through the
stage with the fewest, 4 through that with the most. A backward pass that leaves the weights out costs half (one of the
three of adversarial SNA); one that is itself differentiated costs more (PAL's through layer4). `counted` is the ratio
of the floating-point operations, which is what the ratio of times would be if everything but convolutions and matrix
products were free. Memory is the peak of what tensors hold during a step, weights, gradients, optimizer state, and
queues included; no allocator's reserves.
"""

import argparse
import statistics
import time
from collections import Counter
from collections.abc import Mapping

import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.registry import MODELS, init_default_scope
from torch import Tensor
from torch.nn.modules.module import register_module_forward_hook
from torch.utils.flop_counter import FlopCounterMode

from mmfer.structures import FaceBatch

CONFIGS = {
    **dict.fromkeys((48, 64), 'configs/{}r18_synthfaces.py'),  # the last map of both has 2 x 2 cells
    96: 'configs/{}r18_rafdb_96px_12e.py',
    224: 'configs/{}r18_rafdb.py',
}
SNA = 'model.supervision.sna.branches.neighbours'
MODELS_MEASURED: dict[str, tuple[str, dict]] = {
    'plain': ('baseline/', {}),
    'SCN': ('scn/', {}),
    'ARM': ('arm/', {}),
    'PAL': ('pal/', {}),
    'PAL, layer3': ('pal/', {'model.supervision.pal.taps.stage4': 'backbone.layer3'}),
    'LA-Net': ('lanet/', {}),
    'SNA, random': ('sna/', {f'{SNA}.checkpoint': None, f'{SNA}.kind': 'random'}),
    'SNA, advers.': ('sna/', {f'{SNA}.checkpoint': None, f'{SNA}.kind': 'adversarial'}),
    'all': ('combined/scn_arm_pal_lanet_sna_', {f'{SNA}.checkpoint': None}),
}


class Stepper:
    """One model with its optimizer and a batch.

    Args:
        name: Of the model, a key of `MODELS_MEASURED`.
        size: Side of the faces, a key of `CONFIGS`.
        batch_size: Faces a step.
        device: 'cuda' or 'cpu'.
        amp: Whether steps run under autocast to bfloat16.
        more: Options that are laid over the config last.
    """

    def __init__(
        self,
        name: str,
        size: int,
        batch_size: int,
        device: str,
        amp: bool = False,
        more: Mapping[str, object] | None = None,
    ):
        folder, options = MODELS_MEASURED[name]
        cfg = Config.fromfile(CONFIGS[size].format(folder))
        cfg.merge_from_dict({**options, **(more or {})})
        init_default_scope(cfg.default_scope)
        torch.manual_seed(0)
        preprocessor = {**cfg.data_preprocessor, 'size': size}
        self.model = MODELS.build({**cfg.model, 'pretrained': None, 'data_preprocessor': preprocessor})
        self.model.to(device).train()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-4)
        self.inputs = torch.randn(batch_size, 3, size, size, device=device)
        labels = torch.randint(0, 7, (batch_size,), device=device)
        self.batch = FaceBatch(
            label=labels,
            sample_idx=torch.arange(batch_size, device=device),
            landmarks=torch.rand(batch_size, 68, 2, device=device) * size,
            landmark_valid=torch.ones(batch_size, dtype=torch.bool, device=device),
        )
        self.model.supervision.bank.allocate(labels, 7)
        for name, buffer in self.model.named_buffers():
            if name.endswith('queue_label'):
                buffer.random_(0, 7)  # a full queue, as in all but the first steps
            elif name.endswith('_queue'):
                buffer.copy_(torch.nn.functional.normalize(torch.randn_like(buffer), dim=1))
        if 'instability' in self.model.supervision.bank.columns:
            self.model.supervision.bank.column('instability').uniform_()  # of epochs gone by: some faces are unreliable
        self.device, self.amp, self.last_epoch = device, amp, cfg.train_cfg.max_epochs - 1

    def lay_out(self, memory_format: torch.memory_format) -> None:
        """Holds weights and inputs as [N, C, H, W] or, with `torch.channels_last`, as [N, H, W, C]."""
        self.model.to(memory_format=memory_format)
        self.inputs = self.inputs.contiguous(memory_format=memory_format)
        self.optimizer.state.clear()  # laid out as the weights were; it starts anew with the next step

    def step(self) -> dict[str, Tensor]:
        """One training step of the last epoch; gives what it logs."""
        MessageHub.get_current_instance().update_info_dict(dict(epoch=self.last_epoch, max_epochs=self.last_epoch + 1))
        with torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.amp):
            losses = self.model.loss(self.inputs, self.batch)
        sum(value for name, value in losses.items() if 'loss' in name).backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.model.supervision.commit()
        return losses

    def seconds(self, steps: int = 1) -> float:
        """Time of a step, of several that follow one another without a wait."""
        if self.device == 'cuda':
            torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(steps):
            self.step()
        if self.device == 'cuda':
            torch.cuda.synchronize()
        return (time.perf_counter() - start) / steps

    def flops(self) -> int:
        """Floating-point operations of one step."""
        with FlopCounterMode(display=False) as counter:
            self.step()
        return counter.get_total_flops()

    def passes(self) -> tuple[list[int], list[int]]:
        """How often a step runs each stage of the network, or a copy of it, forward and backward."""
        forward, backward = Counter(), Counter()

        def count(module, _inputs, output):
            if isinstance(module, type(self.model.backbone.layer1)):
                width = output.size(1)  # which tells the stages apart, copied ones too
                forward[width] += 1
                if output.grad_fn is not None:
                    output.grad_fn.register_hook(lambda *_: backward.update([width]))

        with register_module_forward_hook(count):
            self.step()
        return [forward[width] for width in sorted(forward)], [backward[width] for width in sorted(forward)]

    def held_bytes(self) -> int:
        """What stays between steps: weights, buffers, optimizer state."""
        tensors = [*self.model.parameters(), *self.model.buffers()]
        tensors += [v for state in self.optimizer.state.values() for v in state.values() if torch.is_tensor(v)]
        return sum(t.nbytes for t in {id(t): t for t in tensors}.values())

    def peak_bytes(self) -> int:
        """Most bytes that tensors hold at any moment of a step."""
        if self.device == 'cuda':
            torch.cuda.synchronize()
            before = torch.cuda.memory_allocated()
            torch.cuda.reset_peak_memory_stats()
            self.step()
            return self.held_bytes() + torch.cuda.max_memory_allocated() - before
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
            self.step()
        changes = sorted(
            (event.start_ns(), event.nbytes())
            for event in profile.profiler.kineto_results.events()
            if event.name() == '[memory]'
        )
        held = peak = 0
        for _, change in changes:
            held += change
            peak = max(peak, held)
        return self.held_bytes() + peak


def as_range(counts: list[int]) -> str:
    """Passes through the stages, such as '2' where all are run alike, else '2-4'."""
    fewest, most = min(counts), max(counts)
    return str(fewest) if fewest == most else f'{fewest}-{most}'


def main() -> None:
    """Prints a table a size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--sizes', nargs='+', default=['96:128', '224:64'], help=f'side:batch; sides are {", ".join(map(str, CONFIGS))}'
    )
    parser.add_argument('--models', nargs='+', default=list(MODELS_MEASURED), choices=MODELS_MEASURED)
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--threads', type=int, default=None)
    parser.add_argument('--amp', action='store_true', help='bfloat16')
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    where = torch.cuda.get_device_name() if device == 'cuda' else f'CPU, {torch.get_num_threads()} threads'
    where += ', bfloat16' if args.amp else ''
    for setting in args.sizes:
        size, batch_size = map(int, setting.split(':'))
        steppers = {name: Stepper(name, size, batch_size, device, args.amp) for name in args.models}
        for stepper in steppers.values():  # warm-up; also makes the optimizer state
            stepper.step()
            stepper.step()
        times = {name: [] for name in steppers}
        for _ in range(args.rounds):
            for name, stepper in steppers.items():
                times[name].append(stepper.seconds())
        print(f'\n{size} px, batch {batch_size}, {where}, median of {args.rounds} interleaved rounds')
        print(f'{"":13}{"step":>10}{"ratio":>8}{"counted":>9}{"forward":>9}{"backward":>10}{"memory":>11}{"ratio":>8}')
        plain = None  # the first model listed, to which the ratios refer
        for name, stepper in steppers.items():
            seconds, flops, peak = statistics.median(times[name]), stepper.flops(), stepper.peak_bytes()
            forward, backward = map(as_range, stepper.passes())
            plain = plain or (seconds, flops, peak)
            print(
                f'{name:13}{seconds * 1e3:8.0f}ms{seconds / plain[0]:8.2f}{flops / plain[1]:9.2f}'
                f'{forward:>9}{backward:>10}{peak / 2**20:8.0f}MiB{peak / plain[2]:8.2f}'
            )


if __name__ == '__main__':
    main()
