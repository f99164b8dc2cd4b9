"""Shows the least and most important faces of a run: python tools/analysis_tools/importance.py CONFIG CHECKPOINT."""

from mmfer.cli.analyze.importance import main

if __name__ == '__main__':
    main()
