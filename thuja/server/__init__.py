"""A verified artefact behind HTTP: friendly JSON, the Open Inference Protocol, a page to try it in. Never torch.

`create_app` and `serve` live in `thuja.server.app` and `thuja.server.server`; importing this package costs nothing.
"""
