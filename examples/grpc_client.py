"""A gRPC client of Limner in one file: a picture, variations of it, and the list of models.

    limner serve
    python examples/grpc_client.py "a lighthouse by the sea at dusk" --port 50051

Needs grpcio; the messages are those in src/limner/rpc/starweave.proto.
"""

import argparse
import os
import uuid
from pathlib import Path

import grpc

from limner.rpc import starweave_pb2 as messages
from limner.rpc.starweave_pb2_grpc import ImageGenerationServiceStub

PATIENCE_S = 300
OPTIONS = [("grpc.max_receive_message_length", 100 << 20)]  # the library's own limit is 4 MB


def order_key() -> tuple[tuple[str, str], ...]:
    """Sent again with the same key, an order is answered and not ordered again."""
    door = os.environ.get("LIMNER_KEY")
    return (("idempotency-key", str(uuid.uuid4())), *((("x-api-key", door),) if door else ()))


def save(answer: messages.ImageResponse, path: Path) -> None:
    """What goes wrong with a picture is in `error`; the call itself succeeds."""
    if answer.error:
        raise SystemExit(f"{answer.request_id}: {answer.error}")
    path.write_bytes(answer.image_data)
    print(f"{path}  {answer.metadata.model}, seed {answer.metadata.seed}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("prompt")
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--port", default=50051, type=int)
    parser.add_argument("--out", default=Path(), type=Path)
    parser.add_argument("--side", default=512, type=int)
    parser.add_argument("--steps", default=25, type=int)
    given = parser.parse_args()
    wish = messages.ImageRequest(
        prompt=given.prompt,
        settings=messages.ImageSettings(width=given.side, height=given.side, steps=given.steps, seed=7),
    )
    with grpc.insecure_channel(f"{given.host}:{given.port}", OPTIONS) as channel:
        service = ImageGenerationServiceStub(channel)
        for model in service.GetImageModels(messages.ModelRequest(), timeout=PATIENCE_S).models:
            print(f"{model.id}: {model.parameters['status']}")
        answer = service.GenerateImage(wish, timeout=PATIENCE_S, metadata=order_key())
        save(answer, given.out / "picture.png")
        varied = messages.ImageVariationsRequest(base_request=wish, num_variations=2)
        for answer in service.GenerateImageVariations(varied, timeout=PATIENCE_S, metadata=order_key()):
            index = answer.metadata.debug_info["variation_index"]
            save(answer, given.out / f"variation-{index}.png")


if __name__ == "__main__":
    main()
