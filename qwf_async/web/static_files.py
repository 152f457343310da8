"""The files of the page, with types that do not depend on what this machine says of their endings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Scope

DIRECTORY: Final = Path(__file__).parent / "static"

TYPES: Final = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
"""By the endings. A browser runs no script of another type, and systems' tables are wrong at times."""


class PageFiles(StaticFiles):
    """They are looked for when they are asked for, and sent only if the browser has not got them."""

    def __init__(self) -> None:
        super().__init__(directory=DIRECTORY, check_dir=False)

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        kind = TYPES[Path(full_path).suffix]
        response = FileResponse(full_path, status_code, media_type=kind, stat_result=stat_result)
        if self.is_not_modified(response.headers, Headers(scope=scope)):
            return NotModifiedResponse(response.headers)
        return response
