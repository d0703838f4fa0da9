"""Self-contained HTML pages, rendered from the templates of this package."""

import base64
import io
from typing import Any

from jinja2 import Environment, PackageLoader
from PIL import Image as PillowImage

from physrl.evaluation.estimate import Estimate
from physrl.types import Image


def render_page(template: str, **values: Any) -> str:
    """Render a page that loads nothing from elsewhere; text in `values` is escaped."""
    environment = Environment(
        loader=PackageLoader("physrl", "report"), autoescape=True, trim_blocks=True
    )
    environment.filters |= {"png": png_uri, "percent": _percent, "signed": _signed}
    return environment.get_template(template).render(values)


def png_uri(image: Image) -> str:
    """Encode an image as a data URI."""
    stream = io.BytesIO()
    PillowImage.fromarray(image).save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def _percent(rate: float) -> str:
    return f"{100 * rate:.0f}"


def _signed(value: Estimate | float | None) -> str:
    if value is None:
        return "–"
    return f"{value:+.2f}" if isinstance(value, float) else str(value)
