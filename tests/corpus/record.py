"""Record anew what softfail writes for the corpus: `python -m tests.corpus.record`.

Run it on purpose only, after a change that alters outputs knowingly. Name the outputs that the change may
alter (`python -m tests.corpus.record watch-alerts notify-requests`), so that the others still prove that
nothing else changed; without names all are recorded.
Review the difference: each output whose hash in `hashes.json` changes is different now.

`--stop` also replaces `stop.json.xz`, the state of an older release from which the test goes on. Without it
the state of the older release stays, and the test proves that it can still be read.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import lzma
import sys
from pathlib import Path

from tests.corpus import scenario

EXPECTED, STOP = Path(__file__).parent / "expected", "stop.json.xz"


def write(texts: dict[str, list[str]], *, partly: bool) -> None:
    """Write the texts and their hashes. ``partly``: outputs that are not among the texts stay."""
    path = EXPECTED / "hashes.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    hashes = dict(before) if partly else {}
    for name, lines in texts.items():
        data = "".join(line + "\n" for line in lines).encode("utf-8", "surrogateescape")
        digest = hashlib.sha256(data).hexdigest()
        if digest != before.get(name, {}).get("sha256"):
            print(f"changed: {name}")
        hashes[name] = {"lines": len(lines), "bytes": len(data), "sha256": digest}
        (EXPECTED / f"{name}.xz").write_bytes(lzma.compress(data, preset=9))
    path.write_text(json.dumps(dict(sorted(hashes.items())), indent=1) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.corpus.record", description="Record anew what softfail writes for the corpus."
    )
    parser.add_argument("names", nargs="*", metavar="OUTPUT", help="only these outputs, like watch-alerts")
    parser.add_argument(
        "--stop",
        action="store_true",
        help="also replace the state of an older release from which the test goes on",
    )
    options = parser.parse_args()
    texts = {name: lines for group in scenario.GROUPS.values() for name, lines in group().items()}
    live, stop = scenario.live()
    texts |= live
    if unknown := set(options.names) - set(texts):
        parser.error(f"no output {sorted(unknown)[0]!r}; there are {', '.join(sorted(texts))}")
    states = (b'"state":"opened"', b'"state":"updated"')
    if not any(state in value for value in stop.notify.values() for state in states):
        print(f"no page is open after step {scenario.STOP_STEP}; choose another STOP_STEP", file=sys.stderr)
        return 1
    EXPECTED.mkdir(exist_ok=True)
    if not options.names:
        for path in EXPECTED.glob("*.xz"):
            if path.name != STOP:
                path.unlink()
    chosen = {name: lines for name, lines in texts.items() if name in (options.names or texts)}
    write(chosen, partly=bool(options.names))
    if options.stop or not (EXPECTED / STOP).exists():
        (EXPECTED / STOP).write_bytes(lzma.compress(stop.to_bytes(), preset=9))
    return 0


if __name__ == "__main__":
    sys.exit(main())
