"""Finds 68 landmarks in every image of a folder: python tools/dataset_tools/landmarks.py FOLDER OUT.npz."""

from mmfer.cli.data.landmarks import main

if __name__ == '__main__':
    main()
