"""What the OpenAPI document says of this dialect's routes beside what they say themselves."""

from mediastore.dialects.staging.schemas import LABEL_LENGTH
from mediastore.openapi_details import BYTES, Detail

SEND = Detail(
    form={
        "type": "object",
        "properties": {
            "label": {
                "type": "string",
                "maxLength": LABEL_LENGTH,
                "description": "What people call the upload; the file's name unless given",
            },
            "size": {"type": "integer", "minimum": 0, "description": "Bytes of the file, to be compared with what comes"},
            "sha1": {"type": "string", "description": "To be compared with what comes"},
            "md5": {"type": "string", "description": "To be compared with what comes"},
            "file": BYTES | {"description": "Only the label may follow it"},
        },
        "required": ["file"],
        "additionalProperties": False,
    },
    answers={202: ("Location", "Cache-Control")},
    said={202: "Its status tells whether it is stored already"},
)
LIST = Detail(answers={200: ("Link", "Cache-Control")})
SHOW = Detail(answers={200: ("Cache-Control",)})
DATA = Detail(answers={302: ("Location", "Cache-Control")}, said={302: "A signed URL of the bytes, in Location"})
