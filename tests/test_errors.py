import pickle

from depthlm_plugin.errors import RecordError


def test_record_errors_survive_pickling():
    error = RecordError("bad depth", "a.jsonl:3", "point 0: depth 0 is not positive")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is RecordError
    assert (copy.reason, copy.where, copy.message, str(copy)) == (
        error.reason,
        error.where,
        error.message,
        "a.jsonl:3: point 0: depth 0 is not positive",
    )
