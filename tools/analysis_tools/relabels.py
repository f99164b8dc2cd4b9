"""Shows the faces that a run relabelled: python tools/analysis_tools/relabels.py CONFIG CHECKPOINT."""

from mmfer.cli.analyze.relabels import main

if __name__ == '__main__':
    main()
