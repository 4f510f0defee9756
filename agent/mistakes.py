"""Turn what pydantic found into `Problem`s that a station master can read: the place, what is wrong, in two languages.

Used for the settings file and for the arguments of a control request. Nothing here raises for any pydantic error: a
type without words of its own keeps pydantic's English sentence.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from agent.core.problems import Problem, Words, problem

Contradiction = tuple[tuple[str, ...], Problem]
"""The settings that cannot be true together, and the problem with the first of them."""

Contradictions = Iterator[Contradiction]

_SHOWN_MAX = 40  # characters of a wrong value that are repeated; enough to find it in the file
_NEAR = 0.7  # of `difflib`, which says 0.75 for two letters swapped in four, and 0.67 for `admission` and `vision`
_NO_KEY = "[key]"  # pydantic's mark at the end of a place that is a mapping's key

_TYPES: Mapping[str, Words] = {
    "int_type": Words("应为整数", "must be a whole number"),
    "int_from_float": Words("应为整数", "must be a whole number"),
    "int_parsing_size": Words("数字太大", "is too large a number"),
    "float_type": Words("应为数字", "must be a number"),
    "finite_number": Words("应为有限的数字", "must be a finite number"),
    "bool_type": Words("应为 true 或 false(不加引号)", "must be true or false, without quotes"),
    "string_type": Words("应为加引号的文字", "must be text in quotes"),
    "path_type": Words("应为加引号的路径", "must be a path in quotes"),
    "tuple_type": Words("应为方括号中的列表", "must be a list in square brackets"),
    "list_type": Words("应为方括号中的列表", "must be a list in square brackets"),
    "mapping_type": Words("应为一个表", "must be a table"),
    "dict_type": Words("应为一个表", "must be a table"),
    "model_type": Words("应为一个表", "must be a table"),
    "none_required": Words("不能设置", "must not be set"),
}


def fault(zh: str, en: str) -> PydanticCustomError:
    """Make an error of a validator that carries its words in both languages."""
    return PydanticCustomError("plain_words", "{en}", {"zh": zh, "en": en})


def conflict(where: str, others: tuple[str, ...], zh: str, en: str) -> Contradiction:
    """`where` cannot be so while `others` are as they are."""
    return (where, *others), problem("settings.conflict", where, Words(zh, en))


def problems_of(error: ValidationError, model: type[BaseModel], private: frozenset[str] | None) -> list[Problem]:
    """Say every mistake of `error`; `private` holds dotted places whose values are not repeated (None: no value is)."""
    return [_problem_of(each, model, private) for each in error.errors(include_url=False)]


def place_of(detail: ErrorDetails) -> tuple[str | int, ...]:
    """The path into the data, without pydantic's own marks."""
    return tuple(step for step in detail["loc"] if step != _NO_KEY)


def dotted(place: Sequence[str | int]) -> str:
    """A place as people write it: `mqtt.tls.ca_file`, `station.equipment[2]` (counted from 1)."""
    text = ""
    for step in place:
        text += f"[{step + 1}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _problem_of(detail: ErrorDetails, model: type[BaseModel], private: frozenset[str] | None) -> Problem:
    place = place_of(detail)
    where = dotted(place)
    if detail["type"] == "missing":
        return problem("settings.missing", dotted((*place, *_first_required(place, model))))
    if detail["type"] == "extra_forbidden":
        return problem("settings.unknown_key", where, _nearest_key(place, model))
    words = _sentence(detail, place, model)
    if detail["loc"][-1:] == (_NO_KEY,):
        words = Words(f"名称{words.zh}", f"the name {words.en}")
    elif _may_show(detail, where, private):
        shown = show(detail["input"])
        words = Words(f"{words.zh},现为 {shown}", f"{words.en}, is {shown}")
    return problem("settings.invalid_value", where, words)


def _first_required(place: Sequence[str | int], model: type[BaseModel]) -> list[str]:
    """Of a missing table, the key that makes it required."""
    tables = [part for part in _annotations(place, model) if _is_model(part)]
    return [name for table in tables for name, field in table.model_fields.items() if field.is_required()][:1]


def _may_show(detail: ErrorDetails, where: str, private: frozenset[str] | None) -> bool:
    if private is None or where in private or detail["type"] == "plain_words":
        return False
    return not isinstance(detail["input"], (dict, list))


def show(value: object) -> str:
    """A value as the file writes it, shortened, on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    text = f'"{value}"' if isinstance(value, str) else str(value)
    text = "".join(character if character.isprintable() else "�" for character in text)
    return text if len(text) <= _SHOWN_MAX else text[: _SHOWN_MAX - 1] + "…"


def _sentence(detail: ErrorDetails, place: Sequence[str | int], model: type[BaseModel]) -> Words:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "plain_words":
        return Words(context["zh"], context["en"])
    if kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
        return _bounds(context, place, model)
    if kind == "literal_error":
        return _choice(detail["input"], place, model, context)
    if kind == "string_pattern_mismatch":
        return _pattern(context["pattern"])
    if kind in ("string_too_long", "too_long"):
        most = context["max_length"]
        return Words(f"太长,最多 {most} 个", f"is too long, at most {most} {_unit(kind)}")
    if kind in ("string_too_short", "too_short"):
        least = context["min_length"]
        if least == 1:
            return Words("不能为空", "must not be empty")
        return Words(f"太短,至少 {least} 个", f"is too short, at least {least} {_unit(kind)}")
    sentence = detail["msg"][:1].lower() + detail["msg"][1:]
    return _TYPES.get(kind, Words(sentence, sentence))


def _unit(kind: str) -> str:
    return "characters" if kind.startswith("string") else "items"


def _bounds(context: Mapping[str, Any], place: Sequence[str | int], model: type[BaseModel]) -> Words:
    limits = dict(context)
    for part in _metadata(place, model):
        for name in ("ge", "gt", "le", "lt"):
            if (limit := getattr(part, name, None)) is not None:
                limits[name] = limit
    if {"ge", "le"} <= limits.keys():
        return Words(
            f"应在 {limits['ge']} 与 {limits['le']} 之间", f"must be between {limits['ge']} and {limits['le']}"
        )
    words = {
        "ge": Words("至少为 {}", "at least {}"),
        "gt": Words("大于 {}", "more than {}"),
        "le": Words("至多为 {}", "at most {}"),
        "lt": Words("小于 {}", "less than {}"),
    }
    said = [(words[name], limits[name]) for name in ("ge", "gt", "le", "lt") if name in limits]
    zh = "且".join(text.zh.format(limit) for text, limit in said)
    return Words(f"应{zh}", "must be " + " and ".join(text.en.format(limit) for text, limit in said))


def _choice(value: object, place: Sequence[str | int], model: type[BaseModel], context: Mapping[str, Any]) -> Words:
    choices = [choice for part in _annotations(place, model) for choice in _literals(part)]
    if not choices:
        return Words(f"应为 {context['expected']} 之一", f"must be one of {context['expected']}")
    listed = ", ".join(show(choice) for choice in choices)
    if len(choices) == 1:
        return Words(f"目前只能是 {listed}", f"can only be {listed} today")
    zh, en = f"应为以下之一:{listed}", f"must be one of {listed}"
    if str(value) in choices and not isinstance(value, str):
        return Words(f"应加引号:{show(str(value))}", f"must be in quotes: {show(str(value))}")
    near = _near(str(value), [str(choice) for choice in choices])
    return Words(f"{zh}(最接近:{near[0]})", f"{en} (nearest: {near[0]})") if near else Words(zh, en)


def _pattern(pattern: str) -> Words:
    return PATTERNS.get(pattern, Words(f"应符合 {pattern}", f"must match {pattern}"))


# Every pattern that a model uses, in words; a test holds the models to it.
PATTERNS: Mapping[str, Words] = {
    r"^[a-z0-9-]+$": Words("只能用小写字母、数字和连字符", "may hold only lower-case letters, digits and dashes"),
    r"^[a-z][a-z0-9_-]{0,31}$": Words(
        "应以小写字母开头,只含小写字母、数字、- 和 _,最多 32 个字符",
        "must begin with a lower-case letter and hold only lower-case letters, digits, - and _ (at most 32)",
    ),
    r"^[0-9a-f]{16}$": Words("应为 16 位小写十六进制数字", "must be 16 hexadecimal digits in lower case"),
    r"^[0-9A-Fa-f]{1,32}$": Words(
        "只能是数字和字母 A 到 F,最多 32 个", "may hold only digits and the letters A to F (at most 32)"
    ),
    r"^[0-9]{1,12}$": Words("只能是数字,最多 12 位", "may hold only digits (at most 12)"),
    r"^[0-9]{1,10}$": Words("只能是数字,最多 10 位", "may hold only digits (at most 10)"),
    r"^/dev/input/[A-Za-z0-9._:/-]{1,200}$": Words(
        "应为类似 /dev/input/by-id/usb-…-event-kbd 的设备", "must be a device such as /dev/input/by-id/usb-…-event-kbd"
    ),
    r"^/dev/[A-Za-z0-9._:+=@#,/-]{1,200}$": Words(
        "应为类似 /dev/serial/by-id/usb-…-port0 的设备", "must be a device such as /dev/serial/by-id/usb-…-port0"
    ),
    r"^/dev/gpiochip[0-9]{1,3}$": Words("应为类似 /dev/gpiochip0 的设备", "must be a device such as /dev/gpiochip0"),
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$": Words(
        "应以字母或数字开头,只含字母、数字、点、- 和 _,最多 64 个字符",
        "must begin with a letter or digit and hold only letters, digits, dots, - and _ (at most 64)",
    ),
}


# --- the nearest key -------------------------------------------------------------------------------------------------


def _nearest_key(place: Sequence[str | int], model: type[BaseModel]) -> Words | str:
    """Name the key that was probably meant: in the same table, else one of the same name in another table."""
    wrong = str(place[-1])
    parents = [part for part in _annotations(place[:-1], model) if _is_model(part)] if place[:-1] else [model]
    known = [name for parent in parents for name in parent.model_fields]
    near = _near(wrong, known)
    suggestion = dotted((*place[:-1], near[0])) if near else _elsewhere(wrong, model)
    if not suggestion:
        return ""
    return Words(f"最接近的是 {suggestion}。", f"The nearest is {suggestion}.")


def _elsewhere(wrong: str, model: type[BaseModel]) -> str:
    paths = list(known_paths(model))
    same = [path for path in paths if path.rpartition(".")[2] == wrong]
    near = same or _near(wrong, paths)
    return near[0] if near else ""


def _near(wrong: str, names: Sequence[str]) -> list[str]:
    """The name that was probably meant, or nothing: a wrong hint costs more than none."""
    return difflib.get_close_matches(wrong, names, n=1, cutoff=_NEAR)


def known_paths(model: type[BaseModel], before: str = "") -> Iterator[str]:
    """Every dotted key of `model` and its nested tables; a table of named tables appears as `NAME`."""
    for name, field in model.model_fields.items():
        path = f"{before}{name}"
        yield path
        for part in _unfold(field.annotation):
            if _is_model(part):
                yield from known_paths(part, f"{path}.")
            for inner in _unfold_values(part):
                if _is_model(inner):
                    yield from known_paths(inner, f"{path}.NAME.")


# --- walking the models ----------------------------------------------------------------------------------------------


def _annotations(place: Sequence[str | int], model: type[BaseModel]) -> list[Any]:
    return [part for part, _ in _walk(place, model)]


def _metadata(place: Sequence[str | int], model: type[BaseModel]) -> list[object]:
    found = [each for _, metadata in _walk(place, model) for each in metadata]
    return [
        each for group in found for each in (group if isinstance(group, annotated_types.GroupedMetadata) else [group])
    ]


def _walk(place: Sequence[str | int], model: type[BaseModel]) -> list[tuple[Any, list[object]]]:
    """The types at a place with what their annotations add; empty where the models have nothing."""
    here: list[tuple[Any, list[object]]] = [(model, [])]
    for step in place:
        following: list[tuple[Any, list[object]]] = []
        for part, _ in here:
            if _is_model(part):
                field = part.model_fields.get(str(step))
                if field is not None:
                    following += [
                        (inner, [*field.metadata, *_extras(field.annotation)]) for inner in _unfold(field.annotation)
                    ]
            else:
                for value in _unfold_values(part):
                    following.append((value, _extras(value)))
        here = following
    return here


def _unfold(annotation: Any) -> list[Any]:
    """A type without `Annotated`, and each member of a union."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _unfold(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [part for member in get_args(annotation) for part in _unfold(member)]
    return [annotation]


def _unfold_values(annotation: Any) -> list[Any]:
    """What a mapping or a sequence holds."""
    arguments = get_args(annotation)
    if get_origin(annotation) is Literal or not arguments:
        return []
    held = arguments[1] if len(arguments) == 2 and arguments[1] is not Ellipsis else arguments[0]
    return _unfold(held)


def _extras(annotation: Any) -> list[object]:
    if get_origin(annotation) is Annotated:
        inner, *extras = get_args(annotation)
        return [*_extras(inner), *(each for extra in extras for each in getattr(extra, "metadata", [extra]))]
    if get_origin(annotation) in (Union, types.UnionType):
        return [each for member in get_args(annotation) for each in _extras(member)]
    return []


def _literals(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
