"""CIFAR-100 accuracy against the latency on each of eight devices, of NAS-Bench-201.

Searched on validation accuracy; the test accuracy of the front found is reported, never searched on.
"""

from __future__ import annotations

from shown import benched, guarded, options, table, tests

DEVICES = "1080ti_1,2080ti_32,titan_rtx_1,eyeriss,gold_6240,pixel3,samsung_a50,silver_4114"


def main() -> None:
    parser = options(__doc__, algorithms="random,mutation,lamoo+mutation,qehvi,grey-ehvi,lamoo+grey-ehvi")
    parser.add_argument("--devices", default=DEVICES)
    arguments = parser.parse_args()
    for device in arguments.devices.split(","):
        summary = benched(f"nasbench201:{device}", arguments)
        print(table(summary, at=(50, 100)))
        for one in summary.algorithms:
            if one.reported is not None:
                print(f"{one.name}: {100 * one.reported.mean():.2f} % of the best by test accuracy")
        print(tests(summary))


if __name__ == "__main__":
    guarded(main)
