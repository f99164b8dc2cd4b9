"""Packs a config's images into one file: python tools/dataset_tools/pack.py CONFIG OUT."""

from mmfer.cli.data.pack import main

if __name__ == '__main__':
    main()
