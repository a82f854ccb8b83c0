"""`make bench`: every measurement, printed as tables, kept as JSON, drawn for the README.

python -m bench [SECTION...] [--data D] [--out RESULTS.json] [--limit SECONDS] [--quick]

Sections, in this order: startup, input, streaming, loop, kernels, optimizers, sweeps, workers,
sprint, presets, utilization, race; presets and race take most of some four hours. `presets` and
`utilization` run on CUDA where it is; all others run on the CPU.
"""

from __future__ import annotations

import argparse
import json
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import (
    draw_race,
    input_path,
    kernels,
    loop,
    machine,
    optimizers,
    presets,
    race,
    side_by_side,
    startup,
    streaming,
    sweeps,
    table,
    utilization,
)
from fallline.training.device import usable_gpus
from fallline.training.threads import set_threads

ROOT, COPY = Path(__file__).parents[1], "cifar10_jpeg.tar.xz"
COPIES = [Path(COPY), ROOT / COPY, ROOT.parent / "shared" / "data" / COPY]  # of CIFAR-10 as JPEG
PRESETS = (
    "fast94,fast95,fast96"
    if usable_gpus()
    else "fast70,fast80,fast90,mlp60,mlp70,steady"  # `best` takes an hour: --presets best
)
RACERS = "fast70,fast80,fast90,airbench,plain,cycle,lightning"
Rows = Iterable[dict[str, Any]]


def sections(args: argparse.Namespace, results: dict[str, Any]) -> dict[str, Callable[[], Rows]]:
    """What can be measured, by name, row by row; races leave their curves in the results."""
    racers, names = args.racers.split(","), args.presets.split(",")

    def sprint() -> Iterator[dict[str, Any]]:
        results["sprint curves"], rows = [], []
        for curves in race.sprint(args.data, args.rounds, args.limit):
            results["sprint curves"] += map(asdict, curves)
            rows.append(race.sprint_row(curves))
            yield rows[-1]
        yield race.sprint_medians(rows)

    def long_race() -> Iterator[dict[str, Any]]:
        results["curves"] = []
        for curve in race.distance(args.data, racers, args.limit):
            results["curves"].append(asdict(curve))
            yield race.distance_row(curve)

    return {
        "startup": lambda: startup.measure(args.data),
        "input": lambda: input_path.measure(args.data),
        "streaming": lambda: streaming.measure(args.out.parent, quick=args.quick),
        "loop": loop.measure,
        "kernels": lambda: kernels.measure(args.data),
        "optimizers": optimizers.measure,
        "sweeps": sweeps.measure,
        "workers": lambda: side_by_side.measure(args.data),
        "sprint": sprint,
        "presets": lambda: presets.measure(args.data, names, args.seeds),
        "utilization": lambda: utilization.measure(args.data, names),
        "race": long_race,
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("sections", nargs="*", help="which; all if none is named")
    copy = next((str(path) for path in COPIES if path.exists()), "cifar10")
    parser.add_argument("--data", default=copy, help="default: %(default)s")
    parser.add_argument("--out", type=Path, help="default: runs/bench[-SECTION...].json")
    parser.add_argument("--limit", type=float, default=1500, help="seconds for endless racers")
    parser.add_argument("--rounds", type=int, default=3, help="of the sprint to 70 %%")
    parser.add_argument("--presets", default=PRESETS, help="whose claims are measured")
    parser.add_argument("--racers", default=RACERS, help="who runs the long race")
    parser.add_argument("--seeds", type=int, default=5, help="runs of each preset")
    parser.add_argument(
        "--quick", action="store_true", help="streaming: a small set; does it run?"
    )
    args = parser.parse_args()
    args.out = args.out or Path("runs", "-".join(["bench", *args.sections]) + ".json")
    return args


def main() -> None:
    """Measures the sections that were asked for and writes what they gave, one after the other."""
    args = arguments()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    set_threads(0)  # what Fallline gives itself, for the machine's peak, too
    results: dict[str, Any] = {
        "machine": machine.machine(),
        "data": Path(args.data).name.partition(".")[0],
    }
    known = sections(args, results)
    unknown = set(args.sections) - set(known)
    if unknown:
        raise SystemExit(f"no section {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    print(table.facts(results["machine"]))
    failed = []
    for name in args.sections or known:
        began = time.perf_counter()
        print(f"\n{name}", flush=True)
        set_threads(0)  # a run sets them for its process
        results[name] = []
        try:
            for row in known[name]():
                results[name].append(row)
                args.out.write_text(json.dumps(results, indent=1) + "\n")  # the next may fail
        except Exception:  # the other sections go on
            traceback.print_exc()
            failed.append(name)
        print(table.rows(results[name]))
        print(f"({time.perf_counter() - began:.0f} s)", flush=True)
    if results.get("curves"):
        draw_race.draw(results, args.out.with_suffix(".png"))
    print(f"\nwritten to {args.out}")
    if failed:
        raise SystemExit(f"not measured to their end: {', '.join(failed)}; tracebacks above")


if __name__ == "__main__":
    main()
