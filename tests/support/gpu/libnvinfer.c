/* A stand-in for TensorRT's library: its version, and nothing else. */
int getInferLibVersion(void) { return 110400; }
