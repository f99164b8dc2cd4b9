"""Shows where a network looks: python tools/analysis_tools/attribution.py CONFIG CHECKPOINT [--before CHECKPOINT]."""

from mmfer.cli.analyze.attribution import main

if __name__ == '__main__':
    main()
