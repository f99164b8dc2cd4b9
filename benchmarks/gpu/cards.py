"""What cards could do at most."""

DENSE_BF16 = {
    'NVIDIA A10': 125e12,
    'NVIDIA A100-PCIE-40GB': 312e12,
    'NVIDIA A100-SXM4-40GB': 312e12,
    'NVIDIA A100 80GB PCIe': 312e12,
    'NVIDIA A100-SXM4-80GB': 312e12,
    'NVIDIA GeForce RTX 3090': 71e12,
    'NVIDIA GeForce RTX 4090': 165.2e12,
    'NVIDIA H100 80GB HBM3': 989.4e12,
    'NVIDIA H100 NVL': 835.5e12,
    'NVIDIA H100 PCIe': 756e12,
    'NVIDIA H200': 989.4e12,
    'NVIDIA L4': 121e12,
    'NVIDIA L40S': 362e12,
}
"""Operations a second in bfloat16 with sums in float32, without sparsity, by the maker's data sheets; the names are
those of `torch.cuda.get_device_name()`. A card that is not listed has no share: nothing is invented."""


def share_of_peak(device_name: str, flops: float, seconds: float) -> float | None:
    """Percent of the card's bfloat16 peak that a step reaches."""
    peak = DENSE_BF16.get(device_name)
    return None if peak is None else 100 * flops / seconds / peak
