"""`thuja init`, `thuja check`, `thuja schema`."""

import json
from pathlib import Path

import click

from thuja.cli.terminal import heading, say


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--target", help="The column to predict; guessed when left out.")
@click.option("--kind", help="The application, where the data would do for another one than is guessed, such as image-generation.")
@click.option("--out", type=click.Path(path_type=Path), default="thuja.yaml", show_default=True, help="Where the spec goes.")
@click.option("--test", type=click.Path(path_type=Path), help="A separate file or folder with test rows.")
@click.option("--names", help="Column names of a CSV without a header line, separated by commas.")
@click.option("--delimiter", help="Separator of a CSV; found by looking when left out.")
@click.option("--encoding", help="Text encoding; UTF-8 when left out.")
@click.option("--group", help="The column that says which rows belong together, such as a patient.")
@click.option("--force", is_flag=True, help="Overwrite an existing spec.")
def init(data: Path, target: str | None, kind: str | None, out: Path, force: bool, **known: str | Path | None) -> None:
    """Look at DATA (a folder of pictures, CSV, Parquet, JSONL, IDX) and write a spec."""
    from thuja.verbs.init import init as verb

    section = {key: str(value) for key, value in known.items() if value is not None and key != "names"}
    names = known["names"]
    path, notes = verb(data, target=target, kind=kind, out=out, force=force, data=section | ({"names": str(names).split(",")} if names else {}))
    for line in notes:
        say(line)
    say(f"\nWrote {path}. Read it, change what you like, then: thuja check {path}")


@click.command()
@click.argument("spec", type=click.Path(path_type=Path), default="thuja.yaml")
@click.option("--set", "overrides", multiple=True, metavar="NAME=VALUE", help="Change a value of the spec.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def check(spec: Path, overrides: tuple[str, ...], as_json: bool) -> None:
    """Look for what would make the result a lie: leaks, duplicates, label errors, broken files."""
    from thuja.verbs.check import check as verb
    from thuja.verbs.check import refuse

    result = verb(spec, overrides=overrides)
    if as_json:
        say(json.dumps([finding._asdict() for finding in result.findings], indent=1, ensure_ascii=False))
    else:
        heading(f"{sum(result.rows.values())} rows: " + ", ".join(f"{count} {part}" for part, count in result.rows.items()))
        for finding in result.findings:
            rows = "1 row" if finding.count == 1 else f"{finding.count} rows"
            say(f"\n{'waived' if finding.waived else finding.severity}: {finding.check} ({rows})\n  {finding.message}\n  {finding.fix}")
            if finding.rows:
                say(f"  rows: {', '.join(finding.rows[:8])}{' ...' if finding.count > 8 else ''}")
        say("\nNothing stands in the way of training." if not result.blocking else "")
    refuse(result)


@click.command()
def schema() -> None:
    """Print the JSON Schema of thuja.yaml: editors complete and check with it."""
    from thuja.spec import json_schema

    say(json.dumps(json_schema(), indent=1))
