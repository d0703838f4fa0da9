from jobs.config_reference import PAGE, reference
from physrl.config import RunConfig


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == reference(), "run `make docs`"


def test_every_key_of_the_top_is_listed_with_its_meaning() -> None:
    page = reference()
    for name, field in RunConfig.model_fields.items():
        assert f"| `{name}` |" in page
        assert field.description
