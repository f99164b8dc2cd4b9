"""Predicts expressions: python tools/predict.py IMAGE_OR_FOLDER --checkpoint CKPT."""

from mmfer.cli.predict import main

if __name__ == '__main__':
    main()
