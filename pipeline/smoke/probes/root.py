"""Probe ROOT: fill a histogram through PyROOT, and have its C++ interpreter compile and call a function."""

import json

import ROOT

ROOT.gROOT.SetBatch(True)  # noqa: FBT003  # a C++ function without keywords

histogram = ROOT.TH1D("probe", "probe", 10, 0.0, 1.0)
for value in (0.05, 0.15, 0.15):
    histogram.Fill(value)
if (histogram.GetEntries(), histogram.GetBinContent(2)) != (3.0, 2.0):
    raise SystemExit(
        f"a histogram of 3 entries has {histogram.GetEntries()}, its second bin of 2 {histogram.GetBinContent(2)}"
    )

# Needs the C++ headers: ROOT starts without a compiler, and fails only here.
if not ROOT.gInterpreter.Declare(
    "#include <vector>\nint probe_sum(const std::vector<int>& v) { int s = 0; for (int i : v) s += i; return s; }"
):
    raise SystemExit("the C++ interpreter did not compile a function")
total = ROOT.probe_sum([1, 2, 3])
if total != 6:
    raise SystemExit(f"a compiled function returned {total} instead of 6")

print(json.dumps({"version": ROOT.gROOT.GetVersion(), "detail": "histogram filled, C++ compiled"}))
