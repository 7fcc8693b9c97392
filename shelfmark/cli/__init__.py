"""The ``shelfmark`` program.

Exit codes: 0 done, 1 the run (or the program) failed, 2 bad input, 3 drift (``shelfmark drift``) or open changes
(``shelfmark taxonomy diff``). What a command needs is imported when it runs, so that ``--help`` and bad input answer at
once.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import typer

from modules.errors import InputError, reason
from shelfmark.cli import (
    audit,
    clean,
    demo,
    drift,
    encoder,
    evaluation,
    experiment,
    forget,
    init,
    kubeflow,
    label,
    metrics,
    migrate,
    model_card,
    predict,
    predictions,
    publish,
    rules,
    run,
    serve,
    similar,
    statistics,
    taxonomy,
    validate,
    why,
)
from shelfmark.cli.commands import Commands

app = Commands(
    name="shelfmark",
    help="Puts every product of a shop into the right category with few hand-made labels.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("init")(init.init)
app.command("run")(run.run)
app.command("compile")(kubeflow.compile)
app.command("submit")(kubeflow.submit)
app.command("clean")(clean.clean)
app.command("forget")(forget.forget)
app.command("validate")(validate.validate)
app.command("migrate")(migrate.migrate)
app.command("metrics")(metrics.metrics)
app.command("evaluation")(evaluation.evaluation)
app.command("model-card")(model_card.model_card)
app.command("statistics")(statistics.statistics)
app.command("predict")(predict.predict)
app.command("drift")(drift.drift)
app.command("predictions")(predictions.predictions)
app.command("why")(why.why)
app.command("publish")(publish.publish)
app.command("demo")(demo.demo)
app.add_typer(rules.app, name="rules")
app.add_typer(taxonomy.app, name="taxonomy")
app.add_typer(label.app, name="label")
app.add_typer(audit.app, name="audit")
app.add_typer(similar.app, name="similar")
app.add_typer(serve.app, name="serve")
app.add_typer(experiment.app, name="experiment")
app.add_typer(encoder.app, name="encoder")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the command line and leaves with its exit code."""
    sys.exit(_run(app, arguments, "shelfmark"))


def run_main(program: str) -> NoReturn:
    """The same for a program that is ``shelfmark run`` alone."""
    single = Commands(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    single.command()(run.run)
    sys.exit(_run(single, None, program))


def kubeflow_main(program: str) -> NoReturn:
    """The same for a program that is ``shelfmark compile`` and ``shelfmark submit`` alone."""
    two = Commands(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
    two.command("compile")(kubeflow.compile)
    two.command("submit")(kubeflow.submit)
    sys.exit(_run(two, None, program))


def _run(program: typer.Typer, arguments: Sequence[str] | None, name: str) -> int:
    try:
        program(args=None if arguments is None else list(arguments), prog_name=name)
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    except InputError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader (head, less) has seen enough; without this Python complains once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        log = _write_log()
        why = _without_passwords(reason(error, file=True))
        print(f"stopped by a failure: {why} (log: {log})", file=sys.stderr)
        return 1
    return 0


def _write_log() -> Path:
    """Keeps the traceback in ``runs/logs`` if there is a ``runs`` here, else among the temporary files."""
    runs = Path("runs")
    folder = runs / "logs" if runs.is_dir() and os.access(runs, os.W_OK) else Path(tempfile.gettempdir())
    folder.mkdir(exist_ok=True)
    handle, name = tempfile.mkstemp(".log", time.strftime("error-%Y%m%d-%H%M%S-"), folder, text=True)
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
        command = " ".join(_without_secrets(sys.argv[1:]))
        file.write(_without_passwords(f"shelfmark {command}\n\n{traceback.format_exc()}"))
    return folder / Path(name).name


def _without_secrets(arguments: Sequence[str]) -> list[str]:
    """The arguments, but not what ``--token`` and ``--cookie`` were given."""
    shown: list[str] = []
    for argument in arguments:
        name = argument.partition("=")[0]
        if shown and shown[-1] in _SECRETS:
            shown.append("***")
        else:
            shown.append(f"{name}=***" if name in _SECRETS and name != argument else argument)
    return shown


_SECRETS = ("--token", "--cookie")


def _without_passwords(text: str) -> str:
    """The text, but no password of an address in it: that of a user, or one after the question mark."""
    # Up to the last @, since some passwords hold one; rather too much than too little.
    text = re.sub(r"(://[^\s/:@]*:)\S+@", r"\1***@", text)
    return re.sub(r"([?&]\w*(?:password|passwd|secret|token)=)[^\s&'\"]+", r"\1***", text, flags=re.IGNORECASE)
