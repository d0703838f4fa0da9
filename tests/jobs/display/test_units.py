from jobs.display.units import format_bytes, format_count


def test_sizes() -> None:
    assert [format_bytes(size) for size in (512, 2.5e6, 4.66e9)] == [
        "0.512 kB",
        "2.5 MB",
        "4.66 GB",
    ]


def test_counts() -> None:
    assert [format_count(number) for number in (512, 2_500_000, 8_290_000_000)] == [
        "512",
        "2.5 M",
        "8.29 B",
    ]
