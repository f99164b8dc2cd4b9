"""What names from others are when they are shown: letters, on the terminal, in error sentences and in the log file."""

import logging

import pytest
from mmengine.logging import MMLogger

from mmfer.apis import user_errors
from mmfer.engine.terminal import make_printable, tell_people

EVIL = 'a\x1b[2J\u202e\udcff.jpg'
SHOWN = 'a\\x1b[2J\\u202e\\udcff.jpg'


def test_what_a_command_prints(capsys):
    with user_errors():
        print(f'faces: {EVIL}')
    print('\x1b[0m')
    assert capsys.readouterr().out == f'faces: {SHOWN}\n\x1b[0m\n'


def test_an_error(capsys):
    with pytest.raises(SystemExit), user_errors():
        raise ValueError(f'{EVIL} is empty')
    assert capsys.readouterr().err.startswith(f'mmfer: error: {SHOWN} is empty')


@pytest.mark.parametrize('dress', [tell_people, make_printable], ids=['for people', 'verbose'])
def test_a_message_of_the_log(dress, tmp_path, capsys, request):
    with user_errors():
        logger = MMLogger(request.node.name, log_file=str(tmp_path / 'run.log'))
        dress(logger)
        dress(logger)
    logger.warning('%s is empty', EVIL)
    logger.info(f'first\n{EVIL}')
    logger.info('50 %', extra=dict(file_only=True))
    shown, text = capsys.readouterr().out, (tmp_path / 'run.log').read_text()
    for where in (shown, text):
        assert f'{SHOWN} is empty' in where
        assert f'first\n{SHOWN}' in where
        assert '\u202e' not in where
        assert '\x1b[2J' not in where
    assert '50 %' in text
    logging.shutdown()


def test_arguments_that_do_not_fit_are_told_by_logging_itself(capsys, request):
    logger = MMLogger(request.node.name)
    make_printable(logger)
    logger.info('%d', 'x')
    assert 'Logging error' in capsys.readouterr().err
