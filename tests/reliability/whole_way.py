"""Train, build, and write every form of the report: what two processes must do alike.

python -m tests.reliability.whole_way RUN OUT
"""

import sys
from pathlib import Path

import reportgen
from reportgen.training import train
from tests.conftest import tiny_model
from tests.reliability import SOAK
from tests.reliability.worker import TRAINING, dataset

FORMS = ("svg", "pdf", "png") if SOAK else ("svg",)
# That umap is the same in two processes, tests/analysis/test_embedding.py says too.
EMBEDDING = "umap" if SOAK else "pca"


def main(run: Path, out: Path) -> None:
    train(run, dataset(), tiny_model(), **TRAINING)
    built = reportgen.build(run, embedding=EMBEDDING)
    built.save(out / "report.html")
    built.save(out / "folder", "dir")
    built.save(out / "md", "md")
    built.write_numbers(out / "numbers")
    for form in FORMS:
        built.write_figures(out / form, form)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
