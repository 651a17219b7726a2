"""FastAPI and uvicorn, nothing else: what the source projects serve with."""
