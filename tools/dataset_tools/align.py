"""Aligns faces by their landmarks: python tools/dataset_tools/align.py FOLDER LANDMARKS OUT_FOLDER."""

from mmfer.cli.data.align import main

if __name__ == '__main__':
    main()
