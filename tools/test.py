"""Evaluates a checkpoint: python tools/test.py [CONFIG] CHECKPOINT."""

from mmfer.cli.test import main

if __name__ == '__main__':
    main()
