"""Make 100 images of squares with a question each, as a folder with a Parquet file.

python examples/own_images/make_squares.py runs/data/squares
"""

import io
import random
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageDraw

ROWS = 100
SIDE, CELL = 84, 21
"""Width of an image and of the places in it, in pixels."""
COLORS = {"red": (220, 40, 40), "blue": (40, 80, 220)}


def main(folder: Path) -> None:
    """Write `train.parquet` into the folder."""
    draw = random.Random(0)
    rows = [make_row(draw) for _ in range(ROWS)]
    image = pa.struct({"bytes": pa.binary(), "path": pa.string()})  # as Hugging Face's `Image`
    schema = pa.schema({"image": image, "question": pa.string(), "answer": pa.int64()})
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema), folder / "train.parquet")


def make_row(draw: random.Random) -> dict[str, object]:
    """Draw one to four squares of each color, and ask for the number of one color's."""
    image = Image.new("RGB", (SIDE, SIDE), "white")
    pen = ImageDraw.Draw(image)
    counts = {color: draw.randint(1, 4) for color in COLORS}
    squares = [COLORS[color] for color, count in counts.items() for _ in range(count)]
    places = draw.sample(range((SIDE // CELL) ** 2), len(squares))
    for place, color in zip(places, squares, strict=True):
        left = place % (SIDE // CELL) * CELL + draw.randint(1, 6)
        top = place // (SIDE // CELL) * CELL + draw.randint(1, 6)
        pen.rectangle((left, top, left + 13, top + 13), fill=color)
    stream = io.BytesIO()
    image.save(stream, "PNG")
    asked = draw.choice(list(COLORS))
    return {
        "image": {"bytes": stream.getvalue(), "path": None},
        "question": f"How many {asked} squares are there?",
        "answer": counts[asked],
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
