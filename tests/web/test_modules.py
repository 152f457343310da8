"""The page's modules, which no build step checks."""

from __future__ import annotations

import re

from qwf_async.web.static_files import DIRECTORY

IMPORT = re.compile(r'^import \{([^}]+)\} from "\./([a-z_]+\.js)";$', re.MULTILINE)
EXPORT = re.compile(r"^export (?:async )?(?:class|const|function\*?|let) (\w+)", re.MULTILINE)
MAX_LINES = 400


def test_what_a_module_imports_is_exported_and_used() -> None:
    texts = {path.name: path.read_text() for path in DIRECTORY.glob("*.js")}
    exported = {name: {*EXPORT.findall(text)} for name, text in texts.items()}
    for name, text in texts.items():
        imports = IMPORT.findall(text)
        assert len(imports) == len(re.findall("^import ", text, re.MULTILINE)), name
        for words, module in imports:
            wanted = {word.strip() for word in words.split(",") if word.strip()}
            assert wanted <= exported[module], (name, module)
            unused = {word for word in wanted if len(re.findall(rf"\b{word}\b", text)) < 2}
            assert not unused, (name, unused)
        assert text.count("\n") <= MAX_LINES, name
