"""`python -m thuja` and the `thuja` command: one of the two places that catch everything (the other is a server's request)."""

import os
import sys
import traceback


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit with its code; the user's mistake prints one line, ours says where to look."""
    from thuja.cli import group
    from thuja.core.errors import ThujaError

    try:
        group(args=arguments, prog_name="thuja", standalone_mode=True)
    except ThujaError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    except BrokenPipeError:  # `thuja runs | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        sys.exit(130)
    except Exception:
        traceback.print_exc()
        sys.stderr.write("thuja: this is our mistake, not yours. Please report it with the lines above.\n")
        sys.exit(70)  # EX_SOFTWARE of sysexits.h


if __name__ == "__main__":
    main()
