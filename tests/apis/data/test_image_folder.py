"""What is kept of a run beside what it makes."""

import json

import numpy as np
import pytest

from mmfer.apis.data.image_folder import keep_settings, kept_settings

SETTINGS = dict(size=100, png=False, images=dict(count=3, sha256='0' * 64))


def test_the_same_settings_go_on_and_others_are_refused(tmp_path):
    path = tmp_path / 'alignment.json'
    keep_settings(path, SETTINGS)
    keep_settings(path, SETTINGS)
    assert kept_settings(path) == SETTINGS
    with pytest.raises(ValueError, match=r'was begun with other size \(see alignment\.json there\)'):
        keep_settings(path, SETTINGS | dict(size=90))


def test_those_of_an_earlier_version_have_no_checksum(tmp_path):
    path = tmp_path / 'alignment.json'
    path.write_text(json.dumps(SETTINGS))
    keep_settings(path, SETTINGS)
    assert kept_settings(path) == SETTINGS
    with pytest.raises(ValueError, match='was begun with other size'):
        keep_settings(path, SETTINGS | dict(size=90))


def test_a_flipped_bit_is_noticed_where_it_matters(tmp_path):
    path = tmp_path / 'alignment.json'
    keep_settings(path, SETTINGS)
    whole = path.read_bytes()
    for bit in np.random.default_rng(0).choice(8 * len(whole), 200, replace=False).tolist():
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        kept = kept_settings(path)
        assert kept is None or {key: kept.get(key) for key in SETTINGS} == SETTINGS


@pytest.mark.parametrize(
    'content', [b'', b'{', b'[]', b'[' * 5000, b'\xff', b'9' * 5000, b'{"size": 100, "checksum": 1}']
)
def test_damaged_settings_say_what_to_do(tmp_path, content):
    path = tmp_path / 'alignment.json'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r'alignment\.json is damaged: delete the folder .* to begin anew'):
        keep_settings(path, SETTINGS)
