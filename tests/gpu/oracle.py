"""Steps in float64 on a CPU, which those on another device or in another precision are compared with."""

from functools import cache
from unittest.mock import patch

import torch
from tiny import total
from torch import Tensor
from torch.overrides import TorchFunctionMode
from two_ranks import LABELS, SETTINGS, batch_at, build, moves

from mmfer.structures import Trace


class SameDraws(TorchFunctionMode):
    """Random numbers are drawn on the CPU in float32, whatever device and precision they are asked for."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in (torch.rand_like, torch.randn_like):
            like = args[0]
            draw = torch.rand if func is torch.rand_like else torch.randn
            return draw(like.shape).to(like.device, kwargs.get('dtype') or like.dtype)
        if func in (torch.rand, torch.randn):
            device, dtype = kwargs.pop('device', None), kwargs.pop('dtype', None)
            return func(*args, **kwargs).to(device or 'cpu', dtype or torch.float32)
        return func(*args, **kwargs)


def seen_in_two_steps(name: str, device: str, dtype: torch.dtype, amp: bool = False) -> dict[str, Tensor]:
    """Everything that parts publish, losses, gradients, queues and memory per sample, in float64 on the CPU.

    Args:
        name: Of the setting of `two_ranks`.
        device: Where the steps run.
        dtype: Of weights and inputs.
        amp: Whether they run under autocast to bfloat16.
    """
    setting = SETTINGS[name]
    model = build(setting).to(device, dtype)
    bank, seen = model.supervision.bank, {}
    bank.allocate(LABELS.to(device), 3)
    if 'instability' in bank.columns:
        bank.column('instability').copy_(torch.linspace(0, 1, len(LABELS)))  # some faces are unreliable
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.02)
    publish = Trace.publish

    def noted(trace, values, **options):
        tensors = {
            k: v for k, v in values.items() if isinstance(v, Tensor) and not k.endswith(('queue', 'queue_label'))
        }
        seen.update({f'{k} of step {step}': v.detach().clone() for k, v in tensors.items()})
        publish(trace, values, **options)

    torch.manual_seed(0)
    for step in range(2):
        inputs, batch = batch_at(step, setting.size)
        batch.landmarks = batch.landmarks.to(dtype)
        with (
            patch.object(Trace, 'publish', noted),
            SameDraws(),
            torch.autocast(device, dtype=torch.bfloat16, enabled=amp),
        ):
            losses = model.loss(inputs.to(device, dtype), batch.to(device))
        optimizer.zero_grad()
        total(losses).backward()
        seen |= {f'{k} of step {step}': v.detach().clone() for k, v in losses.items()}
        seen[f'gradient of step {step}'] = torch.cat(
            [p.grad.flatten() for p in model.parameters() if p.grad is not None]
        )
        optimizer.step()
        model.supervision.commit()
    seen |= {f'column {k}': bank.column(k) for k in bank.columns} | {'column seen': bank.seen}
    seen |= {f'buffer {k}': v for k, v in model.named_buffers() if moves(k)}
    return {k: v.double().cpu() for k, v in seen.items()}


@cache
def reference(name: str) -> dict[str, Tensor]:
    """The same in float64 on a CPU."""
    return seen_in_two_steps(name, 'cpu', torch.float64)


def error(value: Tensor, expected: Tensor) -> float:
    """||value - expected|| / ||expected||; infinite where value is NaN or of another shape."""
    if value.shape != expected.shape or not value.isfinite().all():
        return float('inf')
    scale = expected.norm().item()
    return (value - expected).norm().item() / scale if scale else value.norm().item()
