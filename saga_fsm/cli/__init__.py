"""
The command line: results on standard output, the rest on standard error.

One file a verb. Exit codes: 0, 1 findings, 2 usage, 3 environment, 4 stuck, 130 interrupted. An
error is one line of fact and one of remedy.
"""

from __future__ import annotations

import sys

import click

from saga_fsm.cli.audit import audit
from saga_fsm.cli.check import check
from saga_fsm.cli.demo import demo
from saga_fsm.cli.diff import diff
from saga_fsm.cli.draw import draw
from saga_fsm.cli.export import export
from saga_fsm.cli.faults import faults
from saga_fsm.cli.forecast import forecast
from saga_fsm.cli.interference import interference
from saga_fsm.cli.run import run
from saga_fsm.cli.runs import runs
from saga_fsm.errors import (
    MissingExtraError,
    StoreBrokenError,
    StoreUnavailableError,
    UnknownRunError,
)


__all__ = ["main", "saga_fsm"]

_INTERRUPTED = 130
_FINDINGS = 1
_USAGE = 2
_ENVIRONMENT = 3


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="saga-fsm", prog_name="saga-fsm")
@click.option("--traceback", is_flag=True, help="Show where an error came from.")
def saga_fsm(*, traceback: bool) -> None:
    """
    Sagas as explicit finite state machines.

    TARGET is module:name or file.py:name. Exit status: 0 well, 1 findings or not complete, 2 wrong
    use, 3 something is not installed or not reached, 4 stuck, 130 interrupted.
    """
    click.get_current_context().obj = traceback


saga_fsm.add_command(audit)
saga_fsm.add_command(check)
saga_fsm.add_command(demo)
saga_fsm.add_command(diff)
saga_fsm.add_command(draw)
saga_fsm.add_command(export)
saga_fsm.add_command(faults)
saga_fsm.add_command(forecast)
saga_fsm.add_command(interference)
saga_fsm.add_command(run)
saga_fsm.add_command(runs)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        status = saga_fsm.main(given, prog_name="saga-fsm", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted\n  Start the command again to go on.", err=True)
        sys.exit(_INTERRUPTED)
    except UnknownRunError as error:
        click.echo(f"{error}", err=True)
        sys.exit(_FINDINGS)
    except (MissingExtraError, StoreBrokenError, StoreUnavailableError) as error:
        click.echo(f"{error}", err=True)
        sys.exit(_ENVIRONMENT)
    except Exception as error:
        if "--traceback" in given:
            raise
        remedy = "\n  Run it again with 'saga-fsm --traceback ...' to see where it came from."
        click.echo(f"{type(error).__name__}: {error}{remedy}", err=True)
        sys.exit(_USAGE)
    sys.exit(status if isinstance(status, int) else 0)
