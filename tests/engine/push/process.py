"""`calendar-sync receive`, which tells at its end whether it has imported Airflow."""

import sys

from calendar_sync.cli import main

if __name__ == "__main__":
    sys.argv = ["calendar-sync", "receive", *sys.argv[1:]]
    try:
        main()
    finally:
        print("airflow:", "airflow" in sys.modules, file=sys.stderr)
