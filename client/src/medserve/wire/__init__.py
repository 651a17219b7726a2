"""The KServe protocol as Triton speaks it, over gRPC and over HTTP: calls to messages and back, without I/O."""
