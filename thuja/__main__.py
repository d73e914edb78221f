"""`python -m thuja` and the `thuja` command: one of the two places that catch everything (the other is a server's request)."""

import sys
import traceback


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit with its code; the user's mistake prints one line, ours says where to look."""
    import click

    from thuja.cli import group
    from thuja.core.errors import MissingExtra, ThujaError

    try:
        code = group(args=arguments, prog_name="thuja", standalone_mode=False)  # else click would answer ctrl-C, with another code
        sys.exit(code if isinstance(code, int) else 0)
    except ThujaError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "thuja":
            raise
        missing = MissingExtra(f"import {error.name}", expected="an installed package", found="none", fix=f"Install it: pip install {error.name}")
        sys.stderr.write(f"{missing}\n")
        sys.exit(missing.exit_code)
    except click.ClickException as error:  # an option that does not exist
        error.show()
        if "unexpected extra argument" in error.message and "=" in error.message:
            sys.stderr.write("To change a value of the spec, write --set before it: --set train.steps=500.\n")
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.stderr.write("stopped\n")
        sys.exit(130)
    except Exception:  # noqa: BLE001  # the outer edge
        traceback.print_exc()
        sys.stderr.write("thuja: this is our mistake, not yours. Please report it with the lines above.\n")
        sys.exit(70)  # EX_SOFTWARE of sysexits.h


if __name__ == "__main__":
    main()
