"""Many questions: chunks that grow, and what survives a failure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from support.rehearsed import Saying

from depthlm_plugin import Predictor
from depthlm_plugin.cameras.source import CameraSource
from depthlm_plugin.config.block import DepthLMConfig
from depthlm_plugin.errors import ConfigError, RecordError
from depthlm_plugin.predict.answer import Answer
from depthlm_plugin.predict.engine import UnansweredError
from depthlm_plugin.predict.many import Outcome, PictureQuestions, answer_all, pictures_in
from depthlm_plugin.predict.questions import Asked
from depthlm_plugin.sampling.sample import Sample

AT = [(x, 75) for x in range(20, 180, 10)]
SAID = "<answer> 2.00 </answer>"


def kept(engine: Saying, picture: str, at=AT) -> tuple[list[Answer], list[Exception], Outcome]:
    """Ask about pixels of a picture; return the answers, what was told, and the counts."""
    predictor = Predictor(engine, DepthLMConfig(focal_px=300))
    asked = predictor.questions(picture, CameraSource(fov_deg=65), at)
    answers: list[Answer] = []
    told: list[Exception] = []
    outcome = Outcome()
    answer_all(predictor, asked, answers.extend, told.append, outcome)
    return answers, told, outcome


@pytest.fixture
def picture(blank_image: Callable[[tuple[int, int]], Path]) -> str:
    return str(blank_image((200, 150)))


def test_quick_chunks_grow(picture: str) -> None:
    engine = Saying(SAID)
    answers, told, outcome = kept(engine, picture)
    assert engine.calls == [1, 2, 4, 8, 1]
    assert [answer.pixel for answer in answers] == AT
    assert told == []
    assert outcome == Outcome(answered=16)


def test_slow_chunks_shrink(picture: str, monkeypatch) -> None:
    engine = Saying(SAID)
    monkeypatch.setattr(
        "depthlm_plugin.predict.many.time.monotonic", lambda: 3.0 * sum(engine.calls)
    )
    kept(engine, picture)
    assert engine.calls == [1, 2, 2, 2, 2, 2, 2, 2, 1]  # 6 s a call


def test_answers_that_say_nothing_are_counted(picture: str) -> None:
    said = iter(["no idea", "5 or 6 m", "2 kg", *[SAID] * 99])
    answers, _, outcome = kept(Saying(lambda sample: next(said)), picture)
    assert len(answers) == outcome.answered == len(AT)
    assert outcome.unread == {"no number": 1, "several numbers": 1, "other unit": 1}


def test_a_picture_that_cannot_be_decoded_leaves_the_others(picture: str) -> None:
    def say(sample: Sample) -> str:
        if sample.question.pixel == (90, 75):
            raise RecordError("unreadable image", "b.png", "b.png cannot be decoded")
        return SAID

    answers, told, outcome = kept(Saying(say), picture)
    assert [answer.pixel for answer in answers] == [at for at in AT if at != (90, 75)]
    assert [str(error) for error in told] == ["b.png: b.png cannot be decoded"]
    assert outcome.problems == {"unreadable image": 1}


class Failing(Saying):
    """An engine that leaves some questions without an answer."""

    def __init__(self, fails: Callable[[int], bool], *, stopped: bool = False) -> None:
        super().__init__(SAID)
        self._fails, self._stopped = fails, stopped

    def answer(self, samples: Sequence[Sample]) -> list[str]:
        first = len(self.samples)
        texts: list[str | None] = list(super().answer(samples))
        for at in range(len(samples)):
            if self._fails(first + at):
                texts[at] = None
        if None in texts:
            raise UnansweredError("no answer", texts, stopped=self._stopped)
        return [text for text in texts if text is not None]


def test_questions_that_a_server_leaves_out_are_counted(picture: str) -> None:
    answers, told, outcome = kept(Failing(lambda number: number in (2, 9)), picture)
    assert [answer.pixel for answer in answers] == [
        at for n, at in enumerate(AT) if n not in (2, 9)
    ]
    assert [str(error) for error in told] == ["no answer"] * 2
    assert (outcome.answered, outcome.unanswered) == (14, 2)


@pytest.mark.parametrize(("stopped", "calls"), [(True, [1, 2]), (False, [1, 2, 4, 8])])
def test_a_server_that_is_gone_ends_it(picture: str, stopped: bool, calls: list[int]) -> None:
    engine = Failing(lambda number: number >= 1, stopped=stopped)
    predictor = Predictor(engine, DepthLMConfig(focal_px=300))
    asked: list[Asked] = predictor.questions(picture, CameraSource(fov_deg=65), AT)
    answers: list[Answer] = []
    outcome = Outcome()
    with pytest.raises(UnansweredError):
        answer_all(predictor, asked, answers.extend, lambda problem: None, outcome)
    assert engine.calls == calls
    assert [answer.pixel for answer in answers] == AT[:1]
    assert outcome.answered == 1


def test_pictures_of_a_folder(tmp_path: Path, picture: str) -> None:
    for name in ("b.png", "sub/a.JPG", ".hidden.png", "notes.txt", "c.webp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(Path(picture).read_bytes())
    found = [path.removeprefix(f"{tmp_path}/") for path in pictures_in(tmp_path)]
    assert found == ["b.png", "c.webp", "sub/a.JPG"]
    (tmp_path / "b.png").write_text("no picture")
    predictor = Predictor(Saying(SAID), DepthLMConfig(focal_px=300))
    questions = PictureQuestions(
        predictor, pictures_in(tmp_path), CameraSource(fov_deg=65), AT[:2], {}
    )
    items = [*questions]
    assert isinstance(items[0], RecordError)
    assert [type(item) for item in items[1:]] == [Asked] * 4
    with pytest.raises(ConfigError, match="holds no picture"):
        pictures_in(tmp_path / "none")
