"""Makes the models that the tests of package ort run.  Needs: pip install onnx"""
import os

from onnx import TensorProto as T, helper as h, save_model, numpy_helper
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))


def info(name, dtype, shape):
    return h.make_tensor_value_info(name, dtype, shape)


def save(name, nodes, inputs, outputs, initializers=()):
    graph = h.make_graph(nodes, name, inputs, outputs, list(initializers))
    model = h.make_model(graph, ir_version=8, opset_imports=[h.make_opsetid("", 17)], producer_name="ftk")
    save_model(model, os.path.join(HERE, name + ".onnx"))


# sum = a + b with a batch of any size; total = all of it, declared without a shape.
save("add", [h.make_node("Add", ["a", "b"], ["sum"]),
             h.make_node("ReduceSum", ["sum"], ["total"], keepdims=0),
             h.make_node("ReduceMax", ["sum"], ["peak"], keepdims=0)],
     [info("a", T.FLOAT, ["batch", 2]), info("b", T.FLOAT, ["batch", 2])],
     [info("sum", T.FLOAT, ["batch", 2]), info("total", T.FLOAT, None), info("peak", T.FLOAT, [])])

# One Identity for every type of element.
TYPES = dict(float32=T.FLOAT, float64=T.DOUBLE, int64=T.INT64, int32=T.INT32, int16=T.INT16, int8=T.INT8,
             uint64=T.UINT64, uint32=T.UINT32, uint16=T.UINT16, uint8=T.UINT8, bool=T.BOOL, string=T.STRING,
             float16=T.FLOAT16, bfloat16=T.BFLOAT16)
save("types", [h.make_node("Identity", [n], [n + "_out"]) for n in TYPES],
     [info(n, t, ["n"]) for n, t in TYPES.items()], [info(n + "_out", t, ["n"]) for n, t in TYPES.items()])

# No input at all.
save("constant", [h.make_node("Identity", ["c"], ["out"])], [], [info("out", T.INT64, [2])],
     [numpy_helper.from_array(np.array([4, 5], np.int64), "c")])

# An input that an initializer gives its value (how IR 3 lists weights).
save("weights", [h.make_node("Mul", ["x", "w"], ["y"])],
     [info("x", T.FLOAT, ["n"]), info("w", T.FLOAT, [1])], [info("y", T.FLOAT, ["n"])],
     [numpy_helper.from_array(np.array([3], np.float32), "w")])

# Gather fails on an index that is too large.
save("gather", [h.make_node("Gather", ["table", "i"], ["row"], axis=0)],
     [info("i", T.INT64, ["n"])], [info("row", T.FLOAT, ["n"])],
     [numpy_helper.from_array(np.array([10, 20, 30], np.float32), "table")])

# Counts to `steps`, long enough to be stopped on the way.
body = h.make_graph([h.make_node("Identity", ["going"], ["go"]),
                     h.make_node("Identity", ["one"], ["step"]),
                     h.make_node("Add", ["count", "step"], ["next"])], "body",
                    [info("i", T.INT64, []), info("going", T.BOOL, []), info("count", T.FLOAT, [1])],
                    [info("go", T.BOOL, []), info("next", T.FLOAT, [1])])
save("loop", [h.make_node("Loop", ["steps", "", "zero"], ["counted"], body=body)],
     [info("steps", T.INT64, [])], [info("counted", T.FLOAT, [1])],
     [numpy_helper.from_array(np.array([0], np.float32), "zero"),
      numpy_helper.from_array(np.array([1], np.float32), "one")])
