"""Writes golden.safetensors with the reference library (pip install safetensors numpy)."""
import os
import numpy as np
from safetensors.numpy import save_file

save_file({"b": np.array([[1, 2], [3, 4]], np.float32), "a": np.array(0.5, np.float32)},
          os.path.join(os.path.dirname(__file__), "golden.safetensors"), metadata={"k": "v"})
