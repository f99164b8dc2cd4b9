"""`python -m mmfer`: the command `mmfer`."""

from mmfer.cli.main import main

if __name__ == '__main__':
    main()
