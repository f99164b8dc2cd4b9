"""Looks through the datasets of a config: python tools/dataset_tools/check.py CONFIG."""

from mmfer.cli.data.check import main

if __name__ == '__main__':
    main()
