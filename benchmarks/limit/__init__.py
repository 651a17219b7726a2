"""What serving costs beside what must be computed: the engine and the decoder in process, then the server."""
