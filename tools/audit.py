"""Finds training labels that are probably wrong: python tools/audit.py CONFIG_OR_FOLDER."""

from mmfer.cli.audit import main

if __name__ == '__main__':
    main()
