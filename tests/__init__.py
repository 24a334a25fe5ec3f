"""The tests of reportgen. The shapes that its annotations name are checked in every one of them."""

from jaxtyping import install_import_hook

from tests.shapes import ROOMS

install_import_hook(ROOMS, "tests.shapes.checked")
