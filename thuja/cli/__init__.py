"""The command line: one function per verb, each in a file that is loaded only when it is called."""

import importlib

import click

from thuja import __version__

COMMANDS = {
    "init": ("data", "Look at data and write thuja.yaml, every choice explained."),
    "check": ("data", "Find leaks, duplicates, label errors and broken files; blocks training."),
    "train": ("model", "Train, or continue a run that was stopped, to the same bits."),
    "evaluate": ("model", "Metrics with intervals, a baseline beside the network, report.html."),
    "explain": ("model", "Layers, shapes, parameters, FLOPs, and the reason of every choice."),
    "runs": ("model", "List runs."),
    "export": ("ship", "Write the artefact and its parity certificate."),
    "verify": ("ship", "Replay an artefact's certificate here."),
    "predict": ("ship", "Answer files, folders, tables or standard input."),
    "serve": ("ship", "Serve an artefact over HTTP, without torch."),
    "age": ("life", "Train at past dates and see how models like this one aged."),
    "deploy": ("deploy", "Put an artefact into service, with a ledger of all that happens."),
    "retrain": ("deploy", "Train the champion's spec on newer rows, beside it."),
    "challenge": ("deploy", "Put a candidate beside the champion, in the shade."),
    "promote": ("deploy", "Let the challenger answer, because a person says so."),
    "rollback": ("deploy", "End a canary, or go back to the champion before."),
    "retire": ("deploy", "Let a version go for good, or end the deployment."),
    "label": ("life", "Bring what turned out to be true, from a file."),
    "drill": ("life", "Rehearse promotion and rollback, to the bit."),
    "timeline": ("life", "All that has happened, in plain words; the log is verified."),
    "replay": ("replay", "Live through a history as if it had been deployed."),
    "watch": ("watch", "One page on how a deployment fares: do what is due, train when it is wished."),
    "demo": ("demo", "All of it on real pictures, in about a minute."),
    "schema": ("data", "Print the JSON Schema of thuja.yaml, for editors."),
}


class LazyGroup(click.Group):
    """A group that knows its commands' names and first lines without importing them: `thuja --help` loads no verb."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"thuja.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from thuja.core.errors import SpecError, did_you_mean

            raise SpecError("thuja", expected="a command", found=repr(args[0]), fix=did_you_mean(args[0], COMMANDS))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="thuja")
def group() -> None:
    """Deep-learning applications that last: from raw data to a verified, served artefact.

    Start with `thuja init DATA`, or see all of it at once with `thuja demo`.
    """
