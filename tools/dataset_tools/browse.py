"""Shows what the network sees: python tools/dataset_tools/browse.py CONFIG."""

from mmfer.cli.data.browse import main

if __name__ == '__main__':
    main()
