"""OpenCV on machines without a display."""


# Symptom: on a machine without a display's libraries `import cv2` dies with `libGL.so.1: cannot open shared object`.
# mmengine, mmcv-lite and face-alignment all ask for opencv-python, whose wheels (5.0 too) link to libGL and glib;
# opencv-python-headless is the same module without them. See https://github.com/opencv/opencv-python/issues/370.
# Delete when mmengine accepts opencv-python-headless.
def check_opencv() -> None:
    """Imports OpenCV.

    Raises:
        ImportError: It cannot be imported; with both cures.
    """
    try:
        import cv2  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f'OpenCV cannot be imported ({error}): either install the libraries that it misses (on Debian: apt-get '
            'install libgl1 libglib2.0-0), or take the build that needs none: pip uninstall -y opencv-python && '
            'pip install --force-reinstall --no-deps opencv-python-headless'
        ) from error
