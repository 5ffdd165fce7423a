"""The launcher, with a small stand-in for Snakemake and, once, with the real one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

import trim
from trim import one_run, reproduce
from trim.archive.parts import Manifest, write_archive
from trim.config.experiment import Experiment
from trim.errors import ConfigError
from trim.reproduce import MARK, REFUSED, experiment_name, main

# Does what the environment variable FAKE says; a job of its own outlives it, as real ones do.
FAKE = """
import json, os, signal, subprocess, sys, time
from pathlib import Path
what, args = os.environ.get("FAKE", "work"), sys.argv[1:]
with Path("calls.jsonl").open("a") as calls:
    calls.write(json.dumps(args) + "\\n")
if "--report" in args:
    Path(args[args.index("--report") + 1]).write_text(what)
    sys.exit(what == "fail")
if what == "fail":
    sys.exit(1)
if what == "work":
    Path("results/mini/tables").mkdir(parents=True, exist_ok=True)
    if not Path("results/mini/tables/main.csv").exists():
        Path("results/mini/tables/main.csv").write_text("a")
    sys.exit()
if what == "wait":
    for number in signal.SIGTERM, signal.SIGINT:
        signal.signal(number, lambda number, frame: sys.exit(10 + number))
job = subprocess.Popen(["sleep", "300"], start_new_session=True)
Path("pids").write_text(f"{os.getpid()} {job.pid}")
if what == "die":
    os.kill(os.getpid(), signal.SIGKILL)
time.sleep(300)
"""

LAUNCH = """
import sys
from trim.reproduce import main
sys.exit(main(sys.argv[1:], snakemake=[sys.executable, "fake.py"]))
"""


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A directory that looks like a checkout; whatever a test started in it is killed at the end."""
    (tmp_path / "config.yaml").write_text("experiment: mini\n")
    (tmp_path / "fake.py").write_text(FAKE)
    (tmp_path / "launch.py").write_text(LAUNCH)
    (tmp_path / "Makefile").write_text(f"reproduce:\n\t@{sys.executable} launch.py; true\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(trim.__file__).parents[1]))
    yield tmp_path
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(tmp_path) or process.cwd() == str(tmp_path):
                if process.pid != os.getpid():
                    process.kill()
        except (psutil.Error, OSError):
            continue


def run(*arguments):
    return main(arguments, snakemake=[sys.executable, "fake.py"])


def start(command, fake="hang"):
    return subprocess.Popen(command, env={**os.environ, "FAKE": fake}, start_new_session=True)


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not (value := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return value


def pids_of_child_and_job():
    text = wait_for(lambda: Path("pids").exists() and Path("pids").read_text())
    Path("pids").unlink()
    return [int(pid) for pid in text.split()]


def alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def calls():
    return [json.loads(line) for line in Path("calls.jsonl").read_text().splitlines()]


# --- a run that goes well, and one that does not ----------------------------------------


def test_runs_snakemake_with_the_settings_and_passes_the_rest_on(checkout):
    Path("other.yaml").write_text("experiment: mini\n")
    assert run("--cores", "3", "--configfile", "other.yaml", "--forcerun", "figures") == 0
    assert calls() == [["--cores", "3", "--configfile", "other.yaml", "--forcerun", "figures"]]


def test_report_is_made_once_and_again_when_a_table_is_newer(checkout, capsys):
    report = Path("results/mini/report.html")
    assert run() == 0
    assert report.read_text() == "work"
    assert "Look at results/mini/tables/main.csv, results/mini/report.html." in capsys.readouterr().out
    assert run() == 0
    assert [("--report" in call) for call in calls()] == [False, True, False]
    later = report.stat().st_mtime + 1
    os.utime("results/mini/tables/main.csv", (later, later))
    assert run() == 0
    assert sum("--report" in call for call in calls()) == 2


def test_report_that_fails_leaves_the_old_one(checkout, monkeypatch):
    assert run() == 0
    os.utime("results/mini/report.html", (0, 0))
    script = checkout / "fake.py"
    script.write_text(script.read_text().replace('sys.exit(what == "fail")', "sys.exit(5)"))
    assert run() == 5
    assert Path("results/mini/report.html").stat().st_mtime == 0


def test_time_is_logged_and_said(checkout, capsys):
    run()
    [line] = Path("results/mini/logs/runs.jsonl").read_text().splitlines()
    assert json.loads(line)["status"] == 0
    assert 0 < json.loads(line)["cpu_seconds"] < 10
    assert "s of wall time" in capsys.readouterr().out


def test_failure_passes_its_status_on_and_names_the_logs(checkout, monkeypatch, capsys):
    run()
    monkeypatch.setenv("FAKE", "fail")
    assert run() == 1
    assert "logs are in results/mini/logs" in capsys.readouterr().out


def test_killed_snakemake_leaves_no_job_running(checkout, monkeypatch):
    monkeypatch.setenv("FAKE", "die")
    assert run() == 128 + signal.SIGKILL
    assert not any(alive(pid) for pid in pids_of_child_and_job())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_let_snakemake_end_in_good_order(checkout, number):
    launcher = start([sys.executable, "launch.py"], fake="wait")
    _, job = pids_of_child_and_job()
    launcher.send_signal(number)
    assert launcher.wait(10) == 10 + number
    assert not alive(job)


# --- one run at a time ------------------------------------------------------------------


@pytest.mark.parametrize("command", [["make", "-s"], [sys.executable, "launch.py"]])
def test_second_live_run_is_refused(checkout, command, capsys):
    start(command)
    pids = pids_of_child_and_job()
    assert run() == REFUSED
    message = capsys.readouterr().err
    holder = json.loads(Path("results/.lock").read_text())["pid"]
    assert f"kill {holder}" in message and message.count("\n") == 1
    assert all(alive(pid) for pid in [holder, *pids])


@pytest.mark.parametrize("victim", ["launcher", "make", "snakemake and launcher", "group"])
def test_killed_run_is_simply_started_again(checkout, victim, capsys):
    make = start(["make", "-s"])
    child, job = pids_of_child_and_job()
    launcher = json.loads(Path("results/.lock").read_text())["pid"]
    if victim == "group":
        os.killpg(make.pid, signal.SIGKILL)
    else:
        for pid in {"launcher": [launcher], "make": [make.pid]}.get(victim, [child, launcher]):
            os.kill(pid, signal.SIGKILL)
    make.wait(10)
    assert alive(job)
    assert run() == 0
    assert not any(alive(pid) for pid in (launcher, child, job))
    assert "had left behind" in capsys.readouterr().out


def test_other_checkouts_are_left_alone(checkout):
    other = subprocess.Popen(["sleep", "300"], env={**os.environ, MARK: f"{checkout}-other"})
    try:
        assert run() == 0
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"make_pid": 1, "host": "elsewhere"}'])
def test_unreadable_record_of_a_dead_run_is_no_obstacle(checkout, content):
    Path("results").mkdir()
    Path("results/.lock").write_text(content)
    assert run() == 0


# --- Snakemake's own locks --------------------------------------------------------------


@pytest.fixture
def locks(checkout):
    folder = checkout / ".snakemake" / "locks"
    folder.mkdir(parents=True)
    for name in ("0.input.lock", "0.output.lock"):
        (folder / name).write_text("results/mini/tables/main.csv\n")
    return folder


def test_stale_locks_are_removed(locks):
    assert run() == 0
    assert not list(locks.iterdir())


def test_reading_a_log_of_snakemake_is_not_running_it(locks):
    Path("a.snakemake.log").touch()
    start(["tail", "-f", "a.snakemake.log"])
    assert run() == 0


def test_snakemake_started_by_hand_is_refused_and_its_locks_stay(locks, capsys):
    Path("snakemake").write_text("import time; time.sleep(300)")
    by_hand = start([sys.executable, "snakemake"])
    wait_for(lambda: "snakemake" in psutil.Process(by_hand.pid).cmdline())
    assert run() == REFUSED
    assert f"kill {by_hand.pid}" in capsys.readouterr().err
    assert len(list(locks.iterdir())) == 2
    assert alive(by_hand.pid)


def test_snakemake_that_is_still_planning_is_refused_too(checkout, capsys):
    Path("snakemake").write_text("import time; time.sleep(300)")  # it takes its lock only with its plan
    planning = start([sys.executable, "snakemake"])
    wait_for(lambda: "snakemake" in psutil.Process(planning.pid).cmdline())
    assert run() == REFUSED
    assert f"snakemake is already at work in {checkout} (process {planning.pid})" in capsys.readouterr().err
    assert not Path("calls.jsonl").exists()


def test_who_was_faster_is_said(checkout, capsys, monkeypatch):
    Path("snakemake").write_text("import time; time.sleep(300)")
    monkeypatch.setenv("FAKE", "fail")
    faster = start([sys.executable, "snakemake"])
    wait_for(lambda: "snakemake" in psutil.Process(faster.pid).cmdline())
    monkeypatch.setattr(one_run, "refuse_other_snakemake", lambda root: None)  # it came a moment later
    assert run() == 1
    assert f"snakemake is at work here too (process {faster.pid}) and holds the lock" in capsys.readouterr().out


def test_scripts_of_killed_jobs_are_removed(checkout):
    scripts = Path(".snakemake/scripts")
    scripts.mkdir(parents=True)
    (scripts / "tmpabc.train.py").write_text("config with a password")
    assert run() == 0
    assert not scripts.exists()


# --- a replay ---------------------------------------------------------------------------


def test_a_replay_imports_its_archive_and_runs_offline(checkout, capsys):
    said = refused_with(capsys, "--replay", "archive")
    assert said.startswith("trim: archive/manifest.json: no such file, so that no archive is there;")
    named = dict(made_by="", provenance={}, licences={}, held=())
    manifest = Manifest(experiment="mini", config=Experiment(experiment="mini").decisive, **named)
    write_archive(manifest, {"0123/identity.json": b"{}"}, "", checkout / "archive")
    assert run("--cores", "1", "--replay", "archive", "--config", "seed=2026") == 0
    assert [call[:5] for call in calls()] == [["--cores", "1", "--config", "seed=2026", "offline=true"]] * 2
    assert Path("step_store/0123/identity.json").read_bytes() == b"{}"


def test_a_replay_imports_into_the_store_that_its_run_reads(checkout):
    named = dict(made_by="", provenance={}, licences={}, held=())
    manifest = Manifest(experiment="mini", config=Experiment(experiment="mini").decisive, **named)
    write_archive(manifest, {"0123/identity.json": b"{}"}, "", checkout / "archive")
    assert run("--replay", "archive", "--config", "step_store=elsewhere") == 0
    assert Path("elsewhere/0123/identity.json").is_file() and not Path("step_store").exists()


# --- the ground that a run stands on ----------------------------------------------------


def refused_with(capsys, *arguments):
    assert run(*arguments) == REFUSED
    assert not Path("calls.jsonl").exists()
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_lock_that_is_a_folder_is_one_sentence(checkout, capsys):
    Path("results/.lock").mkdir(parents=True)
    assert refused_with(capsys) == (
        f"trim: {checkout}/results/.lock is a folder, but must be a file; remove it, then start again."
    )


def test_the_store_of_the_run_is_what_is_checked(checkout, capsys, monkeypatch):
    Path("elsewhere").mkdir()
    checked = []
    monkeypatch.setattr(reproduce, "_check_writable", checked.append)
    assert run("--config", "step_store=elsewhere") == 0
    assert checkout / "elsewhere" in checked


def test_files_from_the_future_are_named(checkout, capsys):
    Path("results/mini/tables").mkdir(parents=True)
    for name in ("a.csv", "b.csv", "c.csv"):
        Path("results/mini/tables", name).touch()
    later = time.time() + 7200
    for name in ("b.csv", "c.csv"):
        os.utime(f"results/mini/tables/{name}", (later, later))
    said = refused_with(capsys)
    assert f"{checkout}/results/mini/tables/b.csv and 1 more files: dated after now" in said
    assert "`touch` what is from the future" in said
    for name in ("b.csv", "c.csv"):
        Path("results/mini/tables", name).touch()
    assert run() == 0


def test_results_that_cannot_be_made_are_one_sentence(checkout, capsys):
    Path("results").symlink_to("/sys", target_is_directory=True)
    assert "; get the right to read and write there, then start again." in refused_with(capsys)


def test_a_disk_that_is_full_at_the_end_is_said(checkout, capsys, monkeypatch):
    monkeypatch.setenv("FAKE", "fail")
    assert run() == 1
    assert "is full" not in capsys.readouterr().out
    monkeypatch.setattr(reproduce.shutil, "disk_usage", lambda path: SimpleNamespace(free=1 << 20))
    assert run() == 1
    assert f"the disk of {checkout / 'results'} is full (1 MB free); make room" in capsys.readouterr().out


# --- killed for real --------------------------------------------------------------------


def test_real_snakemake_killed_in_a_job_is_started_again(checkout):
    job = "test -e go || {{ echo half > {output}; echo $PPID $$ > pids; sleep 300; }}; echo whole > {output}"
    Path("Snakefile").write_text(f"rule table:\n    output: 'results/mini/tables/main.csv'\n    shell: '{job}'\n")
    Path("profiles/default").mkdir(parents=True)
    profile = Path(__file__).parents[2] / "profiles" / "default" / "config.yaml"
    Path("profiles/default/config.yaml").write_text(profile.read_text())
    launcher = subprocess.Popen([sys.executable, "-m", "trim.reproduce"], start_new_session=True)
    pids = wait_for(lambda: Path("pids").exists() and Path("pids").read_text().split())
    launcher.kill()
    launcher.wait()
    Path("go").touch()
    assert main(["--cores", "1", "table"]) == 0
    assert not any(alive(int(pid)) for pid in pids)
    assert Path("results/mini/tables/main.csv").read_text() == "whole\n"


# --- the name of the experiment ---------------------------------------------------------


def test_experiment_name_comes_from_the_last_layer(checkout):
    Path("a.yaml").write_text("experiment: a\n")
    Path("b.yaml").write_text("seed: 1\n")
    assert experiment_name(checkout) == "mini"
    assert experiment_name(checkout, ["a.yaml", "b.yaml"]) == "a"
    assert experiment_name(checkout, ["a.yaml"], ["experiment=c", "seed=2"]) == "c"


@pytest.mark.parametrize(
    ("content", "named"),
    [(None, "a.yaml"), ("a: [", "a.yaml"), ("- a", "a.yaml"), ("", "a.yaml"), ("experiment: ../a", "'../a'")],
)
def test_wrong_config_is_one_sentence_and_starts_nothing(checkout, content, named, capsys):
    if content is not None:
        Path("a.yaml").write_text(content)
    with pytest.raises(ConfigError, match=named):
        experiment_name(checkout, ["a.yaml"])
    assert run("--configfile", "a.yaml") == REFUSED
    assert capsys.readouterr().err.count("\n") == 1
    assert not Path("calls.jsonl").exists() and not Path("results").exists()
