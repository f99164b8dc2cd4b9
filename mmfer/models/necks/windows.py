"""Kernel and stride of ARM, from the size of the map."""


def fit_upscale(channels: int, most: int) -> int:
    """The largest side of squares, up to one, into which groups of channels can be arranged."""
    return next(side for side in range(most, 0, -1) if channels % side**2 == 0)


def fit_windows(cells: int, upscale: int, kernel: int | None = None, stride: int | None = None) -> tuple[int, int, int]:
    """Windows along one axis of the arranged map.

    Args:
        cells: Of the map.
        upscale: Pixels a cell becomes.
        kernel: Asked for, if any.
        stride: Asked for, if any.

    Returns:
        Kernel, stride, and how many windows there are; together they end at the map's border.

    Raises:
        ValueError: If they cannot; names what could.
    """
    if cells < 2:
        raise ValueError(
            f'ARM needs a map of at least 2 x 2 cells, map_size has {cells}: use larger inputs (64 px for a ResNet), '
            'or GlobalAveragePooling'
        )
    side = cells * upscale
    kernel = upscale * min(cells - 1, 2) if kernel is None else kernel
    where = f'the arranged map of {cells} cells x {upscale} = {side} px (map_size={cells})'
    if not 1 <= kernel <= side:
        raise ValueError(f'kernel_size={kernel} does not fit {where}: set one from 1 to {side}, or None')
    way = side - kernel
    divisors = [number for number in range(1, way + 1) if way % number == 0] or [1]
    if stride is None:
        stride = min(divisors, key=lambda number: abs(10 * number - way))  # the smaller of two
    elif stride < 1 or way % stride:
        nearest = min(divisors, key=lambda number: abs(number - stride))
        raise ValueError(
            f'stride={stride} does not carry kernel_size={kernel} over {where}: {side} - {kernel} = {way} is no '
            f'multiple of it; the nearest that fits is {nearest}'
        )
    return kernel, stride, way // stride + 1
