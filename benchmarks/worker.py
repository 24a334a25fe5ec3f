"""The process of one contestant: runs a function for each line on stdin, answers with JSON.

python -m benchmarks.worker benchmarks.step:ours '{"steps": 40}'
"""

import json
import os
import sys

from benchmarks.measure import Missing, prepared, timed


def main() -> None:
    """Prepare, report readiness, then run once per line read."""
    # Output of libraries must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(result: object) -> None:
        answers.write(json.dumps(result) + "\n")
        answers.flush()

    try:
        function = prepared(sys.argv[1], json.loads(sys.argv[2]))
    except Missing as missing:
        answer({"missing": str(missing)})
        return
    answer({})
    for _ in sys.stdin:
        answer(timed(function))


if __name__ == "__main__":
    main()
