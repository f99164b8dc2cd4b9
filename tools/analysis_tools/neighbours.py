"""Shows faces' neighbours and estimated labels: python tools/analysis_tools/neighbours.py CONFIG CHECKPOINT."""

from mmfer.cli.analyze.neighbours import main

if __name__ == '__main__':
    main()
