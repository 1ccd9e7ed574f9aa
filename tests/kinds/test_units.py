"""Numbers of all units that people write, at all places of a text: other metres are never read."""

import itertools

import pytest

from depthlm_plugin.language.reading import read_answer
from depthlm_plugin.language.templates import load_template

NUMBER = 7.31
# Metres of one, where they are known to the reader; the factors are written out here.
LENGTHS_M = {
    "cm": 0.01, "mm": 0.001, "dm": 0.1, "km": 1000, "hm": 100, "dam": 10, "centimetres": 0.01,
    "millimeters": 0.001, "kilometers": 1000, "in": 0.0254, "inch": 0.0254, "inches": 0.0254,
    "ft": 0.3048, "foot": 0.3048, "feet": 0.3048, "yd": 0.9144, "yards": 0.9144, "mile": 1609.344,
    "miles": 1609.344, "mi": 1609.344, "fathoms": 1.8288, "furlong": 201.168,
    "\u339d": 0.01, "\u339c": 0.001, "\u339e": 1000, "\uff43\uff4d": 0.01, "Kilometer": 1000,
}  # fmt: skip
OTHERS = (
    "Zentimeter Zoll Fuss Fu\xdf Meile Meilen Ellen Schritte centimetros"
    " kil\xf3metros pulgadas pies millas pasos centim\xe8tres kilom\xe8tres pouces pieds coudes"
    " centimetri chilometri pollici piedi miglia cent\xedmetros polegadas p\xe9s \u0441\u043c"
    " \u043c\u043c \u043a\u043c \u0441\u0430\u043d\u0442\u0438\u043c\u0435\u0442\u0440\u044b"
    " \u0444\u0443\u0442\u043e\u0432 \u0434\u044e\u0439\u043c\u043e\u0432 \u5398\u7c73"
    " \u6beb\u7c73 \u516c\u91cc \u5343\u7c73 \u516c\u5206 \u82f1\u5c3a"
    " \u30bb\u30f3\u30c1\u30e1\u30fc\u30c8\u30eb \u3322 \uc13c\ud2f0\ubbf8\ud130"
    " \u03b5\u03ba\u03b1\u03c4\u03bf\u03c3\u03c4\u03ac"
    " \u0938\u0947\u0902\u091f\u0940\u092e\u0940\u091f\u0930 \u0633\u0645 \u05e1\u05f4\u05de"
    " senti centi cubits paces steps strides hands rods chains leagues parsecs lightyears AU pm"
    " nm um \xb5m \u03bcm Mm Gm c.m. k.m. c_m m\xb2 m2 m^2 m3 sqm sq.ft acres litres kg lbs px"
    " pixels % \xb0 degrees rad s sec seconds ms minutes hours days Hz fps mph km/h m/s bananas"
    " storeys"
)
PLACES = [
    *("{n}{u}", "{n} {u}", "{n}-{u}", "{n} ({u})", "{n} [{u}]", "({n}) {u}", "[{n}] {u}"),
    *("**{n}** {u}", "`{n}` {u}", '"{n}" {u}', "{n}, {u}", "{n}; {u}", "{n}: {u}", "{n} / {u}"),
    *("{n} ~{u}", "{n} * {u}", "{n}\n{u}", "{n}\u00a0{u}", "{n}\u200b{u}", "{n} \\text{{{u}}}"),
    *("${n}\\,\\mathrm{{{u}}}$", "It is {n} {u} away.", "about {n} {u}."),
    *("The point is {n} {u} from the camera", "{n} of a {u}", "{u}: {n}", "{u}:{n}", "{u} = {n}"),
    *("{u} {n}", "({u}) {n}", "[{u}] {n}", "{u}\n{n}", "{u}, {n}", "{u} - {n}", "in {u}: {n}"),
    *("in {u}, {n}", "distance in {u}: {n}", "distance ({u}): {n}", "Distance [{u}] = {n}"),
    *("<{u}>{n}</{u}>", "<answer>{n} {u}</answer>", "<answer>{u}: {n}</answer>", '{{"{u}": {n}}}'),
    *('{{"distance_{u}": {n}}}', "unit: {u}, {n}", "| {u} | {n} |"),
]  # fmt: skip


def corpus():
    """Yield texts, and the metres that they mean where the reader may know, else None."""
    for (unit, metres), place in itertools.product(
        [*LENGTHS_M.items(), *((unit, None) for unit in OTHERS.split())], PLACES
    ):
        text = place.format(n=NUMBER, u=unit)
        yield text, None if metres is None else NUMBER * metres


@pytest.mark.parametrize("style", ["official", "plain"])
def test_no_number_of_another_unit_is_read_as_metres(style):
    template, wrong, count = load_template("depth", style), [], 0
    for text, metres in corpus():
        count += 1
        answer = read_answer(text, template)
        if answer.values is not None and answer.values["value"] != pytest.approx(metres):
            wrong.append((text, answer.values["value"]))
    assert count > 5000
    assert wrong == []
