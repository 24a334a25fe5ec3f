"""Model and batch in, activations out: layer path -> array, in call order.

from reportgen.capture import prepare
output, values = prepare(model, variables, images)(variables, images)
"""

from reportgen.capture.capture import Capture, prepare

__all__ = ["Capture", "prepare"]
