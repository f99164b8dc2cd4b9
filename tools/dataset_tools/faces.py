"""Writes the faces of a config's datasets as image files: python tools/dataset_tools/faces.py CONFIG FOLDER."""

from mmfer.cli.data.faces import main

if __name__ == '__main__':
    main()
