"""results.json; what a report says of one that cannot be used is in tests/report."""

import json

from depthlm_plugin.bench.results import RESULTS, read_results, write_results


def test_results_are_read_as_they_were_written(tmp_path):
    results = {
        "format": 1,
        "protocol": {"points": "all", "seed": 3},
        "sets": {"ibims1": {"drawn": 40, "asked": 38, "answered": 38, "not_asked": 2}},
        "missing": ["ddad"],
        "complete": False,
        "scores": {"metrics": {"delta1": 0.5}},
    }
    write_results(tmp_path, results)
    assert [path.name for path in tmp_path.iterdir()] == [RESULTS]
    assert read_results(tmp_path) == results
    assert (tmp_path / RESULTS).read_text() == json.dumps(results, indent=2) + "\n"


def test_a_folder_without_results_has_none(tmp_path):
    assert read_results(tmp_path) == {}
