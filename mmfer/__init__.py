"""mmfer: facial expression recognition that stays reliable when the labels are noisy."""

from mmfer.home import have_home

have_home()  # before MMEngine is imported, which asks for it

from mmfer import compat  # noqa: E402

__version__ = '0.1.0'

compat.apply()
