import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ImageRequest(_message.Message):
    __slots__ = ("prompt", "model", "settings", "user_id", "context")
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    prompt: str
    model: str
    settings: ImageSettings
    user_id: str
    context: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, prompt: _Optional[str] = ..., model: _Optional[str] = ..., settings: _Optional[_Union[ImageSettings, _Mapping]] = ..., user_id: _Optional[str] = ..., context: _Optional[_Iterable[str]] = ...) -> None: ...

class ImageSettings(_message.Message):
    __slots__ = ("width", "height", "steps", "guidance_scale", "seed", "style")
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    GUIDANCE_SCALE_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    STYLE_FIELD_NUMBER: _ClassVar[int]
    width: int
    height: int
    steps: int
    guidance_scale: float
    seed: int
    style: str
    def __init__(self, width: _Optional[int] = ..., height: _Optional[int] = ..., steps: _Optional[int] = ..., guidance_scale: _Optional[float] = ..., seed: _Optional[int] = ..., style: _Optional[str] = ...) -> None: ...

class ImageResponse(_message.Message):
    __slots__ = ("request_id", "image_data", "format", "metadata", "error")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    IMAGE_DATA_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    image_data: bytes
    format: str
    metadata: GenerationMetadata
    error: str
    def __init__(self, request_id: _Optional[str] = ..., image_data: _Optional[bytes] = ..., format: _Optional[str] = ..., metadata: _Optional[_Union[GenerationMetadata, _Mapping]] = ..., error: _Optional[str] = ...) -> None: ...

class GenerationMetadata(_message.Message):
    __slots__ = ("model", "generation_time_ms", "seed", "generated_at", "debug_info")
    class DebugInfoEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    MODEL_FIELD_NUMBER: _ClassVar[int]
    GENERATION_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    GENERATED_AT_FIELD_NUMBER: _ClassVar[int]
    DEBUG_INFO_FIELD_NUMBER: _ClassVar[int]
    model: str
    generation_time_ms: int
    seed: int
    generated_at: _timestamp_pb2.Timestamp
    debug_info: _containers.ScalarMap[str, str]
    def __init__(self, model: _Optional[str] = ..., generation_time_ms: _Optional[int] = ..., seed: _Optional[int] = ..., generated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., debug_info: _Optional[_Mapping[str, str]] = ...) -> None: ...

class ImageVariationsRequest(_message.Message):
    __slots__ = ("base_request", "num_variations", "variation_strength")
    BASE_REQUEST_FIELD_NUMBER: _ClassVar[int]
    NUM_VARIATIONS_FIELD_NUMBER: _ClassVar[int]
    VARIATION_STRENGTH_FIELD_NUMBER: _ClassVar[int]
    base_request: ImageRequest
    num_variations: int
    variation_strength: float
    def __init__(self, base_request: _Optional[_Union[ImageRequest, _Mapping]] = ..., num_variations: _Optional[int] = ..., variation_strength: _Optional[float] = ...) -> None: ...

class ModelRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ModelResponse(_message.Message):
    __slots__ = ("models",)
    class ModelInfo(_message.Message):
        __slots__ = ("id", "name", "description", "capabilities", "parameters")
        class ParametersEntry(_message.Message):
            __slots__ = ("key", "value")
            KEY_FIELD_NUMBER: _ClassVar[int]
            VALUE_FIELD_NUMBER: _ClassVar[int]
            key: str
            value: str
            def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
        ID_FIELD_NUMBER: _ClassVar[int]
        NAME_FIELD_NUMBER: _ClassVar[int]
        DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
        CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
        PARAMETERS_FIELD_NUMBER: _ClassVar[int]
        id: str
        name: str
        description: str
        capabilities: _containers.RepeatedScalarFieldContainer[str]
        parameters: _containers.ScalarMap[str, str]
        def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., capabilities: _Optional[_Iterable[str]] = ..., parameters: _Optional[_Mapping[str, str]] = ...) -> None: ...
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[ModelResponse.ModelInfo]
    def __init__(self, models: _Optional[_Iterable[_Union[ModelResponse.ModelInfo, _Mapping]]] = ...) -> None: ...
