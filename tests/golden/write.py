"""Write the golden files that are missing: `python -m tests.golden.write`. What is there is never touched.

A fact that gained a field gets one more file, `{name}~2.json`: what was written before stays readable, and so does this.
"""

from __future__ import annotations

import json

import msgspec

from adapters.event_log.layout import leaf
from tests.golden.samples import FACTS, FOLDER, mapper, recorded


def main() -> None:
    for fact in FACTS:
        said = recorded(fact)
        said_as_json = json.loads(msgspec.json.encode(fact))
        written = sorted(FOLDER.glob(f"{said.name}.json")) + sorted(FOLDER.glob(f"{said.name}~*.json"))
        if any(json.loads(path.read_text())["fact"] == said_as_json for path in written):
            continue
        more = f"~{len(written) + 1}" if written else ""
        path = FOLDER / f"{said.name}{more}.json"
        stored = mapper().to_stored_event(said)
        golden = {
            "name": stored.topic,
            "stream": stored.originator_id,
            "version": stored.originator_version,
            "state": stored.state.hex(),
            "leaf": leaf(said.stream, said.version, said.name, stored.state).hex(),
            "fact": said_as_json,
        }
        path.write_text(json.dumps(golden, indent=2, ensure_ascii=False) + "\n")
        print(path.name)


if __name__ == "__main__":
    main()
