"""What a run says of its time and of the ground that it stands on."""

import errno
import os
from pathlib import Path

import pytest
from test_reproduce import FAKE, checkout, refused_with, run

from trim import reproduce

__all__ = ["checkout"]


def test_where_the_time_went_is_said_after_a_run_and_what_it_may_take_before(checkout, capsys):
    script = checkout / "fake.py"
    measured = "Path('results/mini/benchmarks').mkdir(parents=True, exist_ok=True)\n" + "".join(
        f"Path('results/mini/benchmarks/{rule}.tsv').write_text('s\\tcpu_time\\n{seconds}\\t{seconds}\\n')\n"
        for rule, seconds in (("fit_router", 90), ("grow_trees", 30))
    )
    script.write_text(script.read_text().replace("if what == ", measured + "if what == ", 1))
    assert run("--cores", "1") == 0
    said = capsys.readouterr().out
    assert "from nothing" not in said
    assert "trim: where the time of the jobs went:\n" in said
    assert "stage       jobs    time  share  CPU time seen\nfit_router     1" in said
    script.write_text(FAKE)
    assert run("--cores", "1") == 0
    said = capsys.readouterr().out
    assert "trim: from nothing, this took about 2 min here; what is finished stays." in said
    assert "where the time" not in said  # nothing was done


@pytest.mark.parametrize("folder", ["results", "results/mini", "step_store", ".snakemake"])
def test_a_folder_that_is_closed_or_full_is_named(checkout, capsys, monkeypatch, folder):
    Path(folder).mkdir(parents=True, exist_ok=True)
    open_trial, closed = reproduce.TemporaryFile, True

    def trial(dir):
        if dir != checkout / folder:
            return open_trial(dir=dir)
        if closed:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(dir / "trial"))
        return Path("/dev/full").open("wb")

    monkeypatch.setattr(reproduce, "TemporaryFile", trial)
    if folder == "step_store":
        assert run() == 0
        Path("calls.jsonl").unlink()
        assert f"trim: {checkout / folder} may be read but not written: what it lacks" in capsys.readouterr().out
    else:
        assert f"trim: {checkout / folder}: Read-only file system; get the right" in refused_with(capsys)
    closed = False
    assert f"trim: {checkout / folder}: there is no room left on this disk" in refused_with(capsys)
