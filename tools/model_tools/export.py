"""Writes the deployed network only: python tools/model_tools/export.py CKPT OUT."""

from mmfer.cli.export import main

if __name__ == '__main__':
    main()
