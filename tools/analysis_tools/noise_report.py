"""Reports which labels a run believes to be wrong: python tools/analysis_tools/noise_report.py CONFIG CHECKPOINT."""

from mmfer.cli.analyze.noise_report import main

if __name__ == '__main__':
    main()
