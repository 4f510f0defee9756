"""`station faces …`: how well faces are told apart."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.language import complain, say
from agent.cli.options import JsonOption, LanguageOption

if TYPE_CHECKING:
    from agent.vision.evaluate import EvaluationReport

app = typer.Typer(help="人脸识别 / Recognition of faces.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Keep `evaluate` a command of the group, also while it is the only one."""


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
        float, typer.Option("--target-fpir", help="允许放进的陌生人比例 / Share of strangers that may get in")
    ] = 0.01,
    splits: Annotated[int, typer.Option("--splits", min=1, help="重复次数 / Random splits of the people")] = 20,
    seed: Annotated[int, typer.Option("--seed", min=0, help="随机种子 / Seed of the splits")] = 0,
    engine: Annotated[str, typer.Option("--engine", help="dlib, sface")] = "dlib",
    detector: Annotated[str, typer.Option("--detector", help="auto, hog, yunet")] = "auto",
    models: Annotated[
        Path | None, typer.Option("--models", help="模型文件夹 / Folder of installed model files")
    ] = None,
    as_json: JsonOption = False,
    _lang: LanguageOption = None,
) -> None:
    """用照片测量误认率和拒绝率 / Measure on pictures how often strangers get in and members are refused."""
    from agent.vision.engine import load_engine
    from agent.vision.evaluate import evaluate
    from agent.vision.models import EngineError
    from agent.vision.people import PeopleError

    try:
        # The converted network goes with the command, so that nothing of the measurement stays behind.
        with tempfile.TemporaryDirectory(prefix="station-faces-") as cache:
            report = evaluate(
                directory,
                gallery=gallery,
                enrol=enrol,
                probe=probe,
                target_fpir=target_fpir,
                splits=splits,
                seed=seed,
                engine=load_engine(engine=engine, detector=detector, models=models, cache=Path(cache)),
                progress=_progress(),
            )
    except (PeopleError, EngineError, ValueError) as error:
        complain(f"无法测量:{error}", f"This cannot be measured: {error}")
        raise typer.Exit(2) from error
    if as_json:
        sys.stdout.write(json.dumps(report.as_dict(), ensure_ascii=False) + "\n")
    else:
        _tell(report)


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
