"""Trains a config: python tools/train.py configs/lanet/r18_rafdb.py."""

from mmfer.cli.train import main

if __name__ == '__main__':
    main()
