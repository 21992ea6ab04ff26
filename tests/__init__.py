"""The tests. Helpers in support.py explain their failures, as tests do."""

import pytest

pytest.register_assert_rewrite("tests.support")
