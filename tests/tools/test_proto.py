from pathlib import Path

from tools import proto


def test_what_differs_from_the_generator_or_is_missing_is_stale(tmp_path: Path):
    generated, kept = tmp_path / "generated", tmp_path / "kept"
    for folder in (generated, kept):
        for end in ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py"):
            path = folder / proto.SOURCE.with_name(proto.SOURCE.stem + end)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(end)
    assert proto.stale(generated, kept) == []
    changed = kept / proto.SOURCE.with_name("starweave_pb2.py")
    gone = kept / proto.SOURCE.with_name("starweave_pb2_grpc.py")
    changed.write_text("by hand")
    gone.unlink()
    assert proto.stale(generated, kept) == [changed, gone]


def test_the_generator_is_the_oldest_that_the_project_accepts():
    bounds = (proto.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    oldest = proto.GENERATOR.partition("==")[2].rpartition(".")[0]
    assert f'"grpcio>={oldest}"' in bounds
    generated = (proto.ROOT / "src" / proto.SOURCE.with_name("starweave_pb2.py")).read_text(encoding="utf-8")
    assert "# Protobuf Python Version: 6.31.1" in generated
    assert '"protobuf>=6.31.1,<8"' in bounds
