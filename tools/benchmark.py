"""Trains a grid of runs and makes its tables: python tools/benchmark.py benchmarks/grids/wild7.py."""

from mmfer.cli.benchmark import main

if __name__ == '__main__':
    main()
