#!/usr/bin/env python3
"""Plants the faults of list.txt one at a time and says which tests notice.

    python3 tools/mutants/run.py [--again] [--all] [WORD ...]

Works in a throwaway git worktree of HEAD, so what is not committed is not tested. Results stand in out/mutants.tsv; a fault that was
killed is not run again unless its lines in list.txt change or --again is given. WORD: only faults whose name or file holds it.
--all runs the whole suite, not the classes that list.txt names. Ends with 1 where a fault survives or could not be tried.
"""
import argparse
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
RESULTS = ROOT / "out" / "mutants.tsv"
TESTS, OUTPUT = "tests/AnchorScope.Tests", "bin/Release/net10.0"
LIBRARY = "src/AnchorScope"
LONGEST = 900  # seconds for the tests of one fault: some faults never end

KILLED, SURVIVES, BROKEN, LOST = "KILLED by", "SURVIVES", "DOES NOT COMPILE", "SITE NOT FOUND"
TIMEOUT, CRASH = "a time-out", "a crash"


def read_list():
    for block in (ROOT / "tools/mutants/list.txt").read_text().split("\n\n"):
        lines = {line[0]: line[2:] for line in block.strip("\n").split("\n")}
        if "=" not in lines:
            continue
        name, file = lines["="].rsplit(": ", 1)
        yield name, file, lines["-"], lines["+"], lines["?"].split()


def dotnet(tree, *arguments, timeout=None):
    """The exit code and all that was written."""
    run = subprocess.Popen(
        ["dotnet", *arguments], cwd=tree, text=True, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        return run.communicate(timeout=timeout)[0], run.returncode
    except BaseException:
        # What it started as well: a test that never ends would go on beside the next fault.
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        raise


def test(tree, names):
    """None where all tests pass, else the name of one that does not."""
    chosen = ["--filter", "|".join(f"FullyQualifiedName~.{name}" for name in names)] if names else []
    try:
        written, code = dotnet(tree, "test", TESTS, "-c", "Release", "--no-build", *chosen, "--", "xUnit.StopOnFail=true", timeout=LONGEST)
    except subprocess.TimeoutExpired:
        return TIMEOUT
    if "No test matches" in written:
        sys.exit(f"no test in {' '.join(names)}")
    failed = re.findall(r"^\s*Failed AnchorScope\.Tests\.([^\s(]+)", written, re.MULTILINE)
    return failed[0] if failed else None if code == 0 else CRASH


def compiles(tree):
    """Builds the library alone, without analysers: what is compiled against it stays, so a fault may not change what others see of it."""
    _, code = dotnet(tree, "build", LIBRARY, "-c", "Release", "--no-restore", "-p:RunAnalyzers=false", "-p:TreatWarningsAsErrors=false")
    if code == 0:
        shutil.copy(tree / LIBRARY / OUTPUT / "AnchorScope.dll", tree / TESTS / OUTPUT)
    return code == 0


def plant(tree, file, old, new, classes):
    path = tree / LIBRARY / file
    source = path.read_text() if path.exists() else ""
    if source.count(old) != 1:
        return LOST
    path.write_text(source.replace(old, new))
    try:
        if not compiles(tree):
            return BROKEN
        by = test(tree, [f"{c}." for c in classes])
        return f"{KILLED} {by}" if by else SURVIVES
    finally:
        path.write_text(source)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--again", action="store_true")
    options.add_argument("--all", action="store_true")
    options.add_argument("words", nargs="*", metavar="WORD")
    asked = options.parse_args()

    faults = {"\t".join([name, file, old, new]): (name, file, old, new, classes) for name, file, old, new, classes in read_list()
              if not asked.words or any(word in f"{name} {file}" for word in asked.words)}
    RESULTS.parent.mkdir(exist_ok=True)
    known = dict(line.rsplit("\t", 1) for line in RESULTS.read_text().splitlines()) if RESULTS.exists() else {}
    open_faults = [key for key in faults if asked.again or not known.get(key, "").startswith(KILLED)]

    if open_faults:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="ascope-mutants-"))
        tree = folder / "tree"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", str(tree)], cwd=ROOT, check=True)
        try:
            if dotnet(tree, "build", TESTS, "-c", "Release", "-p:RunAnalyzers=false")[1] != 0:
                sys.exit("the tests do not build as they are")
            for key in open_faults:
                name, file, old, new, classes = faults[key]
                known[key] = plant(tree, file, old, new, [] if asked.all else classes)
                print(f"{name}: {known[key]}", flush=True)
                with RESULTS.open("a") as results:
                    results.write(f"{key}\t{known[key]}\n")
            # A test that fails without any fault has killed none.
            named = {known[key].removeprefix(f"{KILLED} ") for key in open_faults if known[key].startswith(KILLED)}
            named -= {TIMEOUT, CRASH}
            if not compiles(tree) or (named and (by := test(tree, sorted(named)))):
                sys.exit(f"without any fault {by} fails as well: what it killed counts for nothing")
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT, check=False)
            shutil.rmtree(folder, ignore_errors=True)

    left = [key for key in faults if not known[key].startswith(KILLED)]
    print(f"{len(faults) - len(left)} of {len(faults)} killed")
    for key in left:
        print(f"  {faults[key][0]} ({faults[key][1]}): {known[key]}")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
