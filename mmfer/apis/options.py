"""`--cfg-options KEY=VALUE`: how it is read, and what of it fits a config."""

from __future__ import annotations

from argparse import ArgumentError, ArgumentParser, Namespace
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config, DictAction

from mmfer.engine.checks.config_parts import look_up
from mmfer.structures.naming import did_you_mean


class KeyValue(DictAction):
    """`--cfg-options KEY=VALUE ...`; a word without `=` is refused in words.

    Given twice, the second adds to the first, where MMEngine's forgets the first; blanks in a value, as paths may have
    them, stay. `typed_options` has the words as they were typed.
    """

    @staticmethod
    def _parse_iterable(val: str) -> Any:
        """`[1,2]` and `1,2` are lists, `(1,2)` a tuple, `dict(a=1)` a dict, `a,b/c` and `'a, b'` in quotes texts."""
        text = val.strip()
        if text[:1] + text[-1:] in ('[]', '()'):
            items = [KeyValue._parse_iterable(item) for item in _split(text[1:-1])]
            return tuple(items) if text[0] == '(' else items
        if text.startswith('dict(') and text.endswith(')'):
            pairs = [item.partition('=') for item in _split(text[len('dict(') : -1])]
            return {key.strip(): KeyValue._parse_iterable(value) for key, _, value in pairs}
        if len(text) > 1 and text[:1] + text[-1:] in ('""', "''"):
            inner = text[1:-1]
            is_text = inner[:1] not in ('[', '(') and set(inner) & {',', ' '}
            return inner if is_text else KeyValue._parse_iterable(inner)
        items = _split(text)
        if '/' in text:  # a path, which may have commas; several stand in brackets
            return text
        if len(items) > 1 or text.endswith(','):
            return [KeyValue._parse_iterable(item) for item in items]
        return DictAction._parse_int_float_bool(text)

    def __call__(
        self, parser: ArgumentParser, namespace: Namespace, values: Any, option_string: str | None = None
    ) -> None:
        """Called by argparse."""
        for value in values:
            if '=' not in value:
                raise ArgumentError(
                    self,
                    f'{value!r} is no KEY=VALUE, for example model.pretrained=None; '
                    "a value with blanks needs quotes, 'data_root=/My Drive/faces'",
                )
        before = getattr(namespace, self.dest) or {}
        super().__call__(parser, namespace, values, option_string)
        setattr(namespace, self.dest, {**before, **getattr(namespace, self.dest)})
        setattr(namespace, f'{self.dest}_typed', [*getattr(namespace, f'{self.dest}_typed', ()), *values])


def _split(text: str) -> list[str]:
    """What stands between the commas, apart from those within brackets and quotes."""
    items, depth, quote = [''], 0, ''
    for sign in text:
        if sign in '\'"' and (not quote or quote == sign):
            quote = '' if quote else sign
        depth += 0 if quote else (sign in '[(') - (sign in '])')
        if sign == ',' and not depth and not quote:
            items.append('')
        else:
            items[-1] += sign
    return [item for item in items if item.strip()]


def typed_options(args: Namespace) -> list[str]:
    """What was given to `--cfg-options`, word by word."""
    return list(getattr(args, 'cfg_options_typed', ()))


def check_fits(cfg: Config, key: str, value: Any) -> None:
    """An option sets something that the config has, or may have.

    Args:
        cfg: The config, without the option.
        key: Dotted.
        value: As `KeyValue` has read it.

    Raises:
        ValueError: It would take out what is not there, which a misspelt ablation does, set a part of a list that is
            not there, or put a single value where the config has a dict.
    """
    path = key.split('.')
    for i, name in enumerate(path):
        whole = '.'.join(path[:i])
        if name.isdecimal() and i and look_up(cfg, whole)[1] is None:
            raise ValueError(
                f'--cfg-options {key}: the config has no list {whole}; give the whole of it: "{whole}=[dict(type=...)]"'
            )
    parent, before = (look_up(cfg, place)[1] for place in ('.'.join(path[:-1]), key))
    if value is None and before is None:
        _check_takes_out(key, parent)
    if isinstance(before, Mapping) and before and not isinstance(value, Mapping) and value is not None:
        raise ValueError(
            f'--cfg-options {key}={value}: {key} is a dict of settings; set them one by one, such as '
            f'{key}.{next(iter(before))}=...'
        )


def _check_takes_out(key: str, parent: Any) -> None:
    """Refuses to take out what is not there: a misspelt ablation would train the whole method."""
    last = key.split('.')[-1]
    there = parent if isinstance(parent, Mapping) else {}
    if last in there or not key.startswith(('model.supervision.', 'default_hooks.')):
        return
    near = did_you_mean(last, there)
    if near or key.startswith('model.supervision.'):  # of hooks some are added later, and may be refused beforehand
        raise ValueError(f'--cfg-options {key}=None takes out what is not there{near}')
