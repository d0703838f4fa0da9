"""`place_closed_loop`: `place` with up to three attempts, each shown what the last one did."""

from physrl.tasks.place import Place


class PlaceClosedLoop(Place):
    """Every attempt starts from the first picture's scene; the last attempt counts."""

    name = "place_closed_loop"
    attempts = 3
