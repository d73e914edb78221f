"""What users write by hand around onnxruntime, as ASGI applications for uvicorn and granian: serve_asgi:echo, :raw and :friendly.

`echo` does nothing but return the body: the floor of the server below. `raw` is bare Starlette: bytes of the encoded tensor in, bytes of the output out.
`friendly` is FastAPI as its documentation shows it (a pydantic model of the request, a plain `def` that runs in the thread pool); `lean` is the same tuned
by us: `async def`, no thread, no response model. None of them batches, limits, measures or validates beyond what is seen here.

MODEL (an .onnx file) and KIND (tiny or convnet) come from the environment.
"""

import base64
import io
import json
import os

import numpy as np
import onnxruntime

KIND = os.environ.get("KIND", "tiny")
SHAPE, DTYPE = ((-1, 8), "<f4") if KIND == "tiny" else ((-1, 40, 40, 3), "u1")


def session():
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])


SESSION = session() if "MODEL" in os.environ else None


def run(array):
    return SESSION.run(["probability"], {"numbers" if KIND == "tiny" else "image": array})[0]


def encoded(row):
    """A friendly row to the program's input [1, ...]."""
    if KIND == "tiny":
        return np.array([[row[name] for name in "abcdefgh"]], np.float32)
    return picture(base64.b64decode(row["image"]))


def picture(data):
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))[None]


def answer(probability):
    best = int(probability.argmax())
    return {"label": ("bright", "dark")[best], "probability": float(probability[best]), "probabilities": {"bright": float(probability[0]),
                                                                                                       "dark": float(probability[1])}}


async def echo(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})


def _raw():
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Route

    async def predict(request):
        return Response(run(np.frombuffer(await request.body(), DTYPE).reshape(SHAPE)).tobytes(), media_type="application/octet-stream")

    async def jpeg(request):
        return Response(json.dumps(answer(run(picture(await request.body()))[0])), media_type="application/json")

    return Starlette(routes=[Route("/predict", predict, methods=["POST"]), Route("/jpeg", jpeg, methods=["POST"])])


def _fastapi(lean):
    from fastapi import FastAPI, Request
    from pydantic import create_model

    app = FastAPI()
    fields = dict.fromkeys("abcdefgh", float) if KIND == "tiny" else {"image": str}
    Row = create_model("Row", **{name: (kind, ...) for name, kind in fields.items()})
    if lean:
        @app.post("/predict", response_model=None)
        async def predict(request: Request):
            from fastapi.responses import Response

            return Response(json.dumps(answer(run(encoded(json.loads(await request.body())))[0])), media_type="application/json")
    else:
        @app.post("/predict")
        def predict(row: Row):
            return answer(run(encoded(row.model_dump()))[0])
    return app


def __getattr__(name):
    makers = {"raw": _raw, "friendly": lambda: _fastapi(lean=False), "lean": lambda: _fastapi(lean=True)}
    if name not in makers:
        raise AttributeError(name)
    return makers[name]()
