import pytest

from physrl.config import load_config
from physrl.errors import ConfigError


def test_credentials_in_a_location_are_refused_and_not_shown() -> None:
    with pytest.raises(ConfigError, match=r"storage .*credentials") as caught:
        load_config(None, ["storage=s3://KEY:hush@bucket/runs"])
    assert "hush" not in str(caught.value)
