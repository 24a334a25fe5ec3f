"""Model and batch in, activations out: layer path -> array, in call order.

from reportgen.capture import prepare
output, values = prepare(model, variables, images)(variables, images)
"""

from reportgen.capture.capture import Capture, prepare
from reportgen.capture.forward import variables_of
from reportgen.capture.mesh import dividing, is_shared, jitted, on_one_mesh
from reportgen.capture.modes import on_this_process, own_modes
from reportgen.capture.names import flat_names
from reportgen.capture.verify import Verification, check, check_all, verify

__all__ = [
    "Capture",
    "Verification",
    "check",
    "check_all",
    "dividing",
    "flat_names",
    "is_shared",
    "jitted",
    "on_one_mesh",
    "on_this_process",
    "own_modes",
    "prepare",
    "variables_of",
    "verify",
]
