"""What is read from the equations of this JAX; a form that is not known is an error that says so."""

import re
from pathlib import Path
from types import SimpleNamespace

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

import reportgen.capture
from reportgen.capture.flatten import Flattener
from reportgen.capture.interpret import depends_on
from reportgen.capture.jax_versions import KNOWN, called_name, called_program, inner_programs, scan_of
from reportgen.errors import ModelError
from reportgen.models.pool import max_pool


def equations(function, *arguments):
    return jax.make_jaxpr(function)(*arguments).jaxpr.eqns


def the(name, function, *arguments):
    return next(e for e in equations(function, *arguments) if e.primitive.name == name)


def test_this_jax_is_one_that_is_known():
    assert ".".join(jax.__version__.split(".")[:2]) in KNOWN


def test_the_parts_of_a_scan():
    def loop(factor, start, xs):
        def step(carry, x):
            return (carry[0] + factor * x, carry[1] + 1), (x, carry[0])

        return jax.lax.scan(step, (start, 0), xs, reverse=True, unroll=2)

    scan = scan_of(the("scan", loop, 2.0, 1.0, jnp.ones(6)))
    assert (scan.consts, scan.carry) == (1, 2)
    assert len(scan.body.invars) == 4 and len(scan.body.outvars) in (3, 4)
    assert scan.options == {"length": 6, "reverse": True, "unroll": 2}
    assert scan_of(the("sin", jnp.sin, 1.0)) is None


def test_a_scan_of_an_unknown_form_is_an_error():
    unknown = SimpleNamespace(primitive=SimpleNamespace(name="scan"), params={"length": 3, "program": None})
    with pytest.raises(ModelError, match=rf"JAX {re.escape(jax.__version__)} describes it by length, program;.* 0.12"):
        scan_of(unknown)


@pytest.mark.parametrize(
    ("function", "name"),
    [(jax.nn.relu, "relu"), (jax.nn.silu, "silu"), (max_pool, "max_pool"), (jax.jit(lambda x: x + 1), "<lambda>")],
)
def test_names_of_calls(function, name):
    (equation,) = equations(function, jnp.ones((1, 4, 4, 1)))
    assert called_name(equation) == name
    assert called_program(equation)[0].eqns


def test_programs_inside_conditions_and_while_loops():
    loop = the("while", lambda x: jax.lax.while_loop(lambda x: x < 9, lambda x: x * 2, x), 1.0)
    branches = the("cond", lambda x: jax.lax.cond(x > 0, jnp.sin, jnp.cos, x), 1.0)
    assert {e.primitive.name for p in inner_programs(loop) for e in p.eqns} == {"lt", "mul"}
    assert {e.primitive.name for p in inner_programs(branches) for e in p.eqns} == {"sin", "cos"}


def test_what_follows_from_an_input_is_found_through_the_iterations_of_a_loop():
    def loop(a, b):
        # `a` reaches the last part of the carry in the third iteration; `b` reaches nothing but itself.
        step = lambda c, _: ((c[0], c[0] * 2, c[1] * 2, c[3]), c[2])  # noqa: E731
        return jax.lax.scan(step, (a, 0.0, 0.0, b), None, length=5)

    closed = jax.make_jaxpr(loop)(1.0, 2.0)
    flat, environment = Flattener(), {}
    flat.walk(closed.jaxpr, environment, None)
    carry = [environment.get(v, v) for v in closed.jaxpr.outvars]
    from_a, from_b = (depends_on(flat.equations, [v]) for v in closed.jaxpr.invars)
    assert [v in from_a for v in carry] == [True, True, True, False, True]
    assert [v in from_b for v in carry] == [False, False, False, True, False]


def test_what_a_model_prints_is_printed_once(capsys):
    class Talks(nn.Module):
        @nn.compact
        def __call__(self, x):
            jax.debug.print("sum {}", x.sum())
            return nn.Dense(2)(x)

    x = jnp.ones((2, 3))
    variables = Talks().init(jax.random.key(0), x)
    capture = reportgen.capture.prepare(Talks(), variables, x)
    capsys.readouterr()
    capture(variables, x)
    jax.effects_barrier()
    assert capsys.readouterr().out == "sum 6.0\n"


def test_nothing_private_of_jax_is_imported():
    for file in Path(reportgen.capture.__file__).parent.glob("*.py"):
        text = file.read_text("utf-8")
        assert not re.search(r"^\s*(from|import) jax\.(_src|interpreters|core)", text, re.M), file.name
        assert file.name == "jax_versions.py" or not re.search(r"jax[./]_src", text), file.name
