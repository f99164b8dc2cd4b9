"""Writes label noise for a config's training set: python tools/dataset_tools/noise.py CONFIG OUT.csv."""

from mmfer.cli.data.noise import main

if __name__ == '__main__':
    main()
