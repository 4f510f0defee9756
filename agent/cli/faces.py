"""`station faces …`: how well faces are told apart, and how quickly."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.connection import connect, reporting
from agent.cli.evaluation import Choice, choice_of, default_choice
from agent.cli.language import clean, complain, pick, say, tell_problems
from agent.cli.options import ConfigOption, JsonOption, LanguageOption, SocketOption
from agent.cli.table import columns
from agent.core.problems import Words

if TYPE_CHECKING:
    from agent.vision.evaluate import EvaluationReport

app = typer.Typer(help="人脸识别 / Recognition of faces.", no_args_is_help=True, rich_markup_mode=None)


@app.command("audit")
def audit(
    strangers_a_day: Annotated[
        float,
        typer.Option("--strangers-a-day", min=0, max=100_000, help="每天看镜头的陌生人 / Strangers at the camera"),
    ] = 20.0,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    socket: SocketOption = None,
    _lang: LanguageOption = None,
) -> None:
    """登记的人脸有多可靠 / What the gallery of this station means for its door."""
    with reporting():
        report = connect(config, socket).request("faces.audit", strangers_a_day=strangers_a_day)
    if as_json:
        typer.echo(json.dumps(report, ensure_ascii=False))
        return
    for words in report["words"]:
        typer.echo(clean(pick(Words(words["zh"], words["en"]))))
    if report["closest"]:
        titles = [pick(each) for each in (Words("成员", "member"), Words("成员", "member"), Words("距离", "distance"))]
        for line in columns(titles, [(one, other, f"{distance:.3f}") for one, other, distance in report["closest"]]):
            typer.echo(line)


@app.command("bench")
def bench(
    directory: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help="比较向量用的照片 / Pictures to compare vectors on; else two portraits"),
    ] = None,
    models: Annotated[
        Path | None, typer.Option("--models", help="模型文件夹 / Folder of installed model files")
    ] = None,
    samples: Annotated[int, typer.Option("--samples", min=1, max=1000, help="每项次数 / Samples of each side")] = 24,
    as_json: JsonOption = False,
    _lang: LanguageOption = None,
) -> None:
    """与 face_recognition 比较速度和结果 / Compare speed and vectors with `face_recognition`; takes about a minute."""
    from agent.vision.bench import BenchError, run_bench

    try:
        report = run_bench(directory, models, samples)
    except BenchError as error:
        complain(f"无法测量:{error}", f"This cannot be measured: {error}")
        raise typer.Exit(2) from error
    if as_json:
        sys.stdout.write(json.dumps(report) + "\n")
    else:
        _tell_bench(report)


@app.command("evaluate")
def evaluate_folder(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="每人一个子文件夹 / A folder with a sub-folder for each person")
    ],
    *,
    gallery: Annotated[int, typer.Option("--gallery", min=1, help="成员人数 / How many people are enrolled")],
    enrol: Annotated[int, typer.Option("--enrol", min=1, help="登记照片数 / Pictures enrolled of each")] = 3,
    probe: Annotated[int, typer.Option("--probe", min=1, help="开门照片数 / Pictures of one try at the door")] = 2,
    target_fpir: Annotated[
        float | None, typer.Option("--target-fpir", help="允许放进的陌生人比例 / Share of strangers that may get in")
    ] = None,
    splits: Annotated[int, typer.Option("--splits", min=1, help="重复次数 / Random splits of the people")] = 20,
    seed: Annotated[int, typer.Option("--seed", min=0, help="随机种子 / Seed of the splits")] = 0,
    engine: Annotated[str | None, typer.Option("--engine", help="dlib, sface")] = None,
    detector: Annotated[str | None, typer.Option("--detector", help="auto, hog, yunet")] = None,
    models: Annotated[
        Path | None, typer.Option("--models", help="模型文件夹 / Folder of installed model files")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="用这个配置文件的设置 / Measure with the settings of this file")
    ] = None,
    as_json: JsonOption = False,
    _lang: LanguageOption = None,
) -> None:
    """用照片测量误认率和拒绝率 / Measure on pictures how often strangers get in and members are refused."""
    from agent.vision.engine import load_engine
    from agent.vision.evaluate import evaluate
    from agent.vision.models import EngineError
    from agent.vision.people import PeopleError, door_gate

    chosen = _choice(config).with_options(engine=engine, detector=detector, models=models, target_fpir=target_fpir)
    try:
        # The converted network goes with the command, so that nothing of the measurement stays behind.
        with tempfile.TemporaryDirectory(prefix="station-faces-") as cache:
            loaded = load_engine(
                engine=chosen.engine, detector=chosen.detector, models=chosen.models, cache=Path(cache)
            )
            report = evaluate(
                directory,
                gallery=gallery,
                enrol=enrol,
                probe=probe,
                target_fpir=chosen.target_fpir,
                splits=splits,
                seed=seed,
                engine=loaded,
                ceiling=chosen.ceiling,
                quality=door_gate(loaded, chosen.floors),
                progress=_progress(),
            )
    except (PeopleError, EngineError, ValueError) as error:
        complain(f"无法测量:{error}", f"This cannot be measured: {error}")
        raise typer.Exit(2) from error
    if as_json:
        sys.stdout.write(json.dumps(report.as_dict(), ensure_ascii=False) + "\n")
    else:
        _tell(report)


_LIVENESS_WORDS = {
    "live": Words("真人", "live"),
    "attack": Words("平面图片", "a flat picture"),
    "undecided": Words("无法判断", "undecided"),
}


@app.command("liveness")
def liveness(
    videos: Annotated[list[Path], typer.Argument(metavar="VIDEO…", help="视频文件 / Videos of one face each")],
    detector: Annotated[str, typer.Option("--detector", help="auto, hog, yunet")] = "auto",
    models: Annotated[
        Path | None, typer.Option("--models", help="模型文件夹 / Folder of installed model files")
    ] = None,
    as_json: JsonOption = False,
    _lang: LanguageOption = None,
) -> None:
    """录像中是真人还是平面图片 / Whether videos show a head or a flat picture of one, by mode `photo`."""
    from agent.vision.engine import load_engine
    from agent.vision.footage import FootageError, judge_file
    from agent.vision.models import EngineError

    files = []
    try:
        with tempfile.TemporaryDirectory(prefix="station-faces-") as cache:
            engine = load_engine(detector=detector, models=models or default_choice().models, cache=Path(cache))
            for video in videos:
                found = judge_file(video, engine)
                files.append({"file": str(video), "verdict": found.verdict, "reason": found.reason})
                if not as_json:
                    words = _LIVENESS_WORDS[found.verdict]
                    say(f"{video}:{words.zh}({found.reason})", f"{video}: {words.en} ({found.reason})")
    except (FootageError, EngineError, ValueError) as error:
        complain(f"无法判断:{error}", f"This cannot be judged: {error}")
        raise typer.Exit(2) from error
    if as_json:
        sys.stdout.write(json.dumps({"files": files}, ensure_ascii=False) + "\n")


def _choice(config: Path | None) -> Choice:
    from agent.settings import SettingsError

    if config is None:
        return default_choice()
    try:
        return choice_of(config)
    except SettingsError as error:
        tell_problems(error.problems)
        raise typer.Exit(1) from None


def _progress() -> Callable[[int, int], None]:
    """One line on the error stream: rewritten on a terminal, every tenth of the work elsewhere."""
    is_terminal = sys.stderr.isatty()

    def show(done: int, total: int) -> None:
        if is_terminal:
            sys.stderr.write(f"\r{done}/{total}" + ("\n" if done == total else ""))
        elif done * 10 // total > (done - 1) * 10 // total:
            sys.stderr.write(f"{done}/{total}\n")
        sys.stderr.flush()

    return show


def _tell(report: EvaluationReport) -> None:
    low, high = report.threshold_range
    say(
        f"成员 {report.gallery} 人,陌生人 {report.strangers} 人,{report.splits} 次划分,共 {report.probes} 次尝试",
        f"{report.gallery} members, {report.strangers} strangers, {report.splits} splits, {report.probes} tries in all",
    )
    say(
        f"阈值 {report.threshold:.3f}({low:.3f} 至 {high:.3f}),引擎 {report.engine},检测 {report.detector}",
        f"threshold {report.threshold:.3f} ({low:.3f} to {high:.3f}),"
        f" engine {report.engine}, detector {report.detector}",
    )
    say(
        f"陌生人被放进 FPIR {_share(report.fpir, report.fpir_interval)},"
        f"第 95 百分位 {_share(report.fpir_p95, report.fpir_p95_interval)}",
        f"strangers let in (FPIR) {_share(report.fpir, report.fpir_interval)},"
        f" 95th percentile {_share(report.fpir_p95, report.fpir_p95_interval)}",
    )
    say(
        f"成员被拒绝 FNIR {_share(report.fnir, report.fnir_interval)},"
        f"第 95 百分位 {_share(report.fnir_p95, report.fnir_p95_interval)}",
        f"members refused (FNIR) {_share(report.fnir, report.fnir_interval)},"
        f" 95th percentile {_share(report.fnir_p95, report.fnir_p95_interval)}",
    )
    reasons = ", ".join(f"{reason}: {count}" for reason, count in sorted(report.failures.items())) or "-"
    failed = _share(report.failed_to_acquire, report.failed_to_acquire_interval)
    say(
        f"不能用的照片 {failed}({report.pictures} 张中;{reasons})",
        f"pictures that could not be used {failed} (of {report.pictures}; {reasons})",
    )


def _share(share: float, interval: tuple[float, float]) -> str:
    return f"{share:.2%} [{interval[0]:.2%}, {interval[1]:.2%}]"


def _tell_bench(report: Mapping[str, Any]) -> None:
    for key, words in (
        ("embed", Words("一个向量", "one vector")),
        ("path", Words("从画面到结果", "from a frame to a decision")),
        ("match", Words("与一万人比对", "one query against 10,000")),
    ):
        ours, reference, ratio = (report[f"{key}_{each}"] for each in ("ms", "reference_ms", "ratio"))
        say(
            f"{words.zh}:{ours:.2f} 毫秒,face_recognition {reference:.2f} 毫秒,快 {ratio:.1f} 倍",
            f"{words.en}: {ours:.2f} ms, face_recognition {reference:.2f} ms, {ratio:.1f} times as fast",
        )
    say(
        f"向量的最大差别 {report['max_abs_difference']:.1e}({report['faces']} 张人脸)",
        f"largest difference of vectors {report['max_abs_difference']:.1e} (over {report['faces']} faces)",
    )
    for name, times in report["detectors"].items():
        text = ", ".join(f"{size} {ms:.1f} ms" for size, ms in times.items())
        say(f"检测 {name}:{text}", f"detector {name}: {text}")
