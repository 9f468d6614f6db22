"""API keys: what a secret may look like, and that nothing of it is told."""

import pytest

from components.api_keys import key_lines


def test_an_object_of_name_and_key_becomes_lines_and_lines_stay():
    assert key_lines('{"shop": "key-one", "app": "key-two"}') == "key-one\nkey-two"
    assert key_lines("key-one\nkey-two\n") == "key-one\nkey-two\n"


@pytest.mark.parametrize("text", ["{}", '{"shop": 7}', '["key-one"]', '{"shop": "key-one"'])
def test_anything_else_is_refused_without_repeating_it(text):
    with pytest.raises(ValueError, match="expected a JSON object of name: key, or one key a line") as refused:
        key_lines(text)
    assert "key-one" not in str(refused.value)
    assert refused.value.__cause__ is None
