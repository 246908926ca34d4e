from pathlib import Path

import pytest

from groundglass.errors import ConfigError
from groundglass.pretraining.config import PretrainConfig
from groundglass.settings import Settings, split_override
from groundglass.training.config import RunConfig


class Some(Settings):
    rate: float = 1.0
    size_px: tuple[int, int] = (8, 8)


def load(recipe: Path, *overrides: str, text: str = "rate: 2.0\n") -> Some:
    recipe.write_text(text)
    return Some.load(recipe, overrides)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("size_px=[224,288", r"found 'size_px=\[224,288' with a value that is no YAML"),
        ("rate.x=1", "found 'rate.x=1', expected no name after 'rate', which is a single value"),
        ("rate.x.y=1", "expected no name after 'rate'"),
        ("rate", "write the '='"),
    ],
)
def test_an_override_that_cannot_be_followed_is_refused_in_words(
    tmp_path: Path, override: str, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        load(tmp_path / "r.yaml", override)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- rate\n- size_px\n", "found a list in 'r.yaml', expected settings"),
        ("rate: [1, 2\n", "found 'r.yaml' unreadable as YAML"),
        ("just words\n", "found a str in 'r.yaml'"),
    ],
)
def test_a_recipe_that_is_none_is_refused_in_words(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load(tmp_path / "r.yaml", text=text)


def test_an_empty_recipe_leaves_the_defaults(tmp_path: Path) -> None:
    assert load(tmp_path / "r.yaml", text="") == Some()
    assert load(tmp_path / "r.yaml", "size_px=[3, 4]").size_px == (3, 4)


def test_a_value_may_be_nothing() -> None:
    assert split_override("gradient_norm=null") == ("gradient_norm", None)


@pytest.mark.parametrize(
    "setting",
    [
        *("epochs=0", "batch_size=0", "draws_per_epoch=0", "threads=0"),
        *("seed=-1", "healthy_weight=-1", "workers=-1"),
    ],
)
def test_a_number_that_no_training_can_follow_is_refused(tmp_path: Path, setting: str) -> None:
    (tmp_path / "r.yaml").write_text("system: any\n")
    name = setting.partition("=")[0]
    with pytest.raises(ConfigError, match=f"wrong setting {name}: .* greater than or equal"):
        RunConfig.load(tmp_path / "r.yaml", [setting])
    if name in ("seed", "threads"):
        with pytest.raises(ConfigError, match=f"wrong setting {name}: .* greater than or equal"):
            PretrainConfig.load(tmp_path / "r.yaml", [setting])
