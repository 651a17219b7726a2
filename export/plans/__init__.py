"""TensorRT plans: what is recorded of one, and the parts of building it. `export.to_engine` puts them together."""
