"""Tells from pytest's JUnit files what was skipped and why, then the closing line. Fails when no test ran."""

import sys
import xml.etree.ElementTree as ET
from collections import Counter


def main(paths: list[str]) -> int:
    outcomes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for path in paths:
        for case in ET.parse(path).iter("testcase"):  # noqa: S314 - written by our own pytest a moment ago
            skip = case.find("skipped")
            if skip is not None:
                outcomes["skipped"] += 1
                reasons[skip.get("message") or "no reason given"] += 1
            elif case.find("failure") is not None or case.find("error") is not None:
                outcomes["failed"] += 1
            else:
                outcomes["passed"] += 1
    for reason, count in reasons.most_common():
        print(f"{count} x {reason}")
    print(f"\ntotal: {outcomes['passed']} passed, {outcomes['failed']} failed, {outcomes['skipped']} skipped")
    return not outcomes["passed"] + outcomes["failed"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
