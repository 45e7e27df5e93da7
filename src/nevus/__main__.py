"""The command line's edge: errors become one message and an exit code here, and nowhere else."""

import os
import sys
import traceback


def main() -> int:
    """Run the command line. 0 done, 1 done and something was found, 2 bad input, 130 interrupted."""
    from nevus.cli import run
    from nevus.errors import NevusError

    try:
        run()
    except NevusError as error:
        print(f"nevus: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("nevus: interrupted. The same command goes on from the last checkpoint.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of a pipe has gone: nothing more is wanted, and Python must not flush into it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("NEVUS_DEBUG"):
            traceback.print_exc()
        hint = "This is a fault in nevus; NEVUS_DEBUG=1 shows where."
        print(f"nevus: {type(error).__name__}: {error}. {hint}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
