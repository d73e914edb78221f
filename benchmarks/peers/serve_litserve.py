"""LitServe, as documented (a LitAPI with decode_request, predict, encode_response; https://lightning.ai/docs/litserve) and tuned by us (`tuned`: batches of
up to 32 within a millisecond, the fast queue where it has one, no access log).

serve_litserve.py PORT [tuned]; MODEL and KIND from the environment.
"""

import sys

import litserve
import numpy as np
import serve_asgi


class Api(litserve.LitAPI):
    def setup(self, device):
        serve_asgi.SESSION = serve_asgi.session()

    def decode_request(self, request):
        return serve_asgi.encoded(request)

    def predict(self, x):
        return serve_asgi.run(x)[0]

    def encode_response(self, output):
        return serve_asgi.answer(output)


class Batched(Api):
    def batch(self, inputs):
        return np.concatenate(inputs)

    def predict(self, x):
        return serve_asgi.run(x)

    def unbatch(self, output):
        return list(output)


if __name__ == "__main__":
    tuned = "tuned" in sys.argv
    api = Batched(max_batch_size=32, batch_timeout=0.001) if tuned else Api()
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, timeout=30, **({"fast_queue": True} if tuned else {}))
    server.run(port=int(sys.argv[1]), log_level="error", generate_client_file=False, access_log=False, num_api_servers=1)
