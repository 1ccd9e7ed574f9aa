"""The options of tasks about two pictures: which two records make a pair."""

from .options import COUNT, SHARE, Option, is_number, must_be, number_range

PAIR_ROWS: Option[int] = Option(
    "pair_rows", 30, COUNT, "most rows between the two records of a pair in their file"
)
PAIR_BASELINE_M: Option[tuple[float, float]] = Option(
    "pair_baseline_m",
    (0.05, 10.0),
    number_range(0.0),
    "least and most metres between their cameras",
)
PAIR_OVERLAP: Option[float] = Option(
    "pair_overlap",
    0.3,
    SHARE,
    "least share of labelled points that lie in the other picture too",
)
PAIR_TIME_GAP: Option[float | None] = Option(
    "pair_time_gap",
    None,
    must_be("a number above 0", lambda value: is_number(value) and value > 0, or_null=True),
    "most between their timestamps, in the dataset's own unit",
)
PAIR_OPTIONS = (PAIR_ROWS, PAIR_BASELINE_M, PAIR_OVERLAP, PAIR_TIME_GAP)
