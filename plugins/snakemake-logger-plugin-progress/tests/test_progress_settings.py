"""The README explains the settings as the code has them."""

import dataclasses
import re
from pathlib import Path

import pytest

from snakemake_logger_plugin_progress import LogHandlerSettings

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_table_of_settings_is_the_code():
    rows = re.findall(r"^\| `--logger-progress-(.+?)` \| (.+?) \| (.+) \|$", README, re.MULTILINE)
    expected = [
        (field.name.replace("_", "-"), f"`{field.default}`" if field.default else "(empty)", field.metadata["help"])
        for field in dataclasses.fields(LogHandlerSettings)
    ]
    assert [(name, default, help.replace("`", "'")) for name, default, help in rows] == expected


@pytest.mark.parametrize(("text", "names"), [("", set()), ("align", {"align"}), ("align, sort,", {"align", "sort"})])
def test_rules_are_separated_by_commas(text, names):
    assert LogHandlerSettings(rules=text).rule_names == names
