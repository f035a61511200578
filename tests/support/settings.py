"""Settings for tests that call functions."""

import functools
from typing import Any

from tests.support.shop import REPOSITORY
from thumbmill.run.settings import load_validator, read_settings


@functools.cache
def validator() -> Any:
    """Return the validator of the settings' schema."""
    return load_validator(str(REPOSITORY))


def settings(**config: Any) -> dict[str, Any]:
    """Return the settings with `config` laid over the defaults."""
    return read_settings(config, validator())
