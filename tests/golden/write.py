"""Write the golden files that are missing: `python -m tests.golden.write`. What is there is never touched."""

from __future__ import annotations

import json

import msgspec

from adapters.event_log.layout import leaf
from tests.golden.samples import FACTS, FOLDER, mapper, recorded


def main() -> None:
    for fact in FACTS:
        said = recorded(fact)
        path = FOLDER / f"{said.name}.json"
        if path.exists():
            continue
        stored = mapper().to_stored_event(said)
        golden = {
            "name": stored.topic,
            "stream": stored.originator_id,
            "version": stored.originator_version,
            "state": stored.state.hex(),
            "leaf": leaf(said.stream, said.version, said.name, stored.state).hex(),
            "fact": json.loads(msgspec.json.encode(fact)),
        }
        path.write_text(json.dumps(golden, indent=2, ensure_ascii=False) + "\n")
        print(path.name)


if __name__ == "__main__":
    main()
