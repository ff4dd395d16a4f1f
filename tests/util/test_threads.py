"""How many threads there are, and how they wait: what control groups allow, and what a user has said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from compiler.util import threads
from compiler.util.errors import UsageError
from compiler.util.threads import COUNT, FEWER, WAITING, cpu_quota, may_take_fewer_threads, prepare


def system(root: Path, groups: str, **files: str) -> Path:
    """A root with these control groups; a file's name has `__` for each slash."""
    written = {"proc/self/cgroup": groups} | {
        f"sys/fs/cgroup/{name.replace('__', '/').replace('_dot_', '.')}": text for name, text in files.items()
    }
    for name, text in written.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize(
    ("groups", "files", "quota"),
    [
        ("0::/\n", {"cpu_dot_max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu_dot_max": "max 100000\n"}, None),
        ("0::/a/b\n", {"a__cpu_dot_max": "200000 100000\n", "a__b__cpu_dot_max": "max 100000\n"}, 2),
        ("0::/a/b\n", {"a__cpu_dot_max": "200000 100000\n", "a__b__cpu_dot_max": "50000 100000\n"}, 0.5),
        ("0::/of/the/host\n", {"cpu_dot_max": "300000 100000\n"}, 3),
        (
            "4:memory:/x\n3:cpu,cpuacct:/x\n",
            {"cpu,cpuacct__x__cpu_dot_cfs_quota_us": "400000\n", "cpu,cpuacct__x__cpu_dot_cfs_period_us": "100000\n"},
            4,
        ),
        ("1:cpu:/\n", {"cpu__cpu_dot_cfs_quota_us": "-1\n", "cpu__cpu_dot_cfs_period_us": "100000\n"}, None),
        ("2:cpuset:/\n", {"cpu_dot_max": "100000 100000\n"}, None),
        ("", {}, None),
    ],
)
def test_quotas(tmp_path: Path, groups: str, files: dict[str, str], quota: float | None) -> None:
    assert cpu_quota(system(tmp_path, groups, **files)) == quota


def test_a_system_without_control_groups_has_no_quota(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path) is None


def set_by(monkeypatch: pytest.MonkeyPatch, quota: float | None, **given: str) -> dict[str, str]:
    """What `prepare` leaves of the variables, on four processors, before torch is loaded."""
    with monkeypatch.context() as patch:
        for name in (COUNT, FEWER, *WAITING):
            patch.delenv(name, raising=False)
        for name, value in given.items():
            patch.setenv(name, value)
        patch.delitem(sys.modules, "torch", raising=False)
        patch.setattr(threads, "cpu_quota", lambda: quota)
        patch.setattr(threads, "processors", lambda: 4)
        prepare()
        return {name: os.environ[name] for name in (COUNT, *WAITING) if name in os.environ}


def test_threads_are_as_many_as_the_quota_and_wait_passively(monkeypatch: pytest.MonkeyPatch) -> None:
    passive = {"OMP_WAIT_POLICY": "PASSIVE"}
    assert set_by(monkeypatch, None) == passive
    assert set_by(monkeypatch, 4.0) == passive
    assert set_by(monkeypatch, 2.5) == {COUNT: "3", **passive}
    assert set_by(monkeypatch, 0.1) == {COUNT: "1", **passive}
    assert set_by(monkeypatch, 1.0, **{FEWER: "3"}) == {COUNT: "3", **passive}
    assert set_by(monkeypatch, None, **{FEWER: "3", COUNT: "2"}) == {COUNT: "2", **passive}


@pytest.mark.parametrize(
    ("given", "may"), [({}, True), ({FEWER: ""}, True), ({COUNT: "2"}, False), ({FEWER: "all"}, False)]
)
def test_a_run_may_take_fewer_threads_where_nobody_set_how_many(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], may: bool
) -> None:
    for name in (COUNT, FEWER):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    prepare()
    assert may_take_fewer_threads() is may
    monkeypatch.setenv(COUNT, "1")
    prepare()
    assert may_take_fewer_threads() is may, "what a process says, those that it starts know"


@pytest.mark.parametrize("said", ["0", "-1", "abc", "1.5"])
def test_a_word_that_says_no_number_is_refused(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv(FEWER, said)
    with pytest.raises(UsageError, match=f"HDAS_THREADS={said}: it is a number of threads, 'all', or 'fit'"):
        may_take_fewer_threads()


@pytest.mark.parametrize("name", WAITING)
def test_what_a_user_set_stays(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert set_by(monkeypatch, 1.0, **{name: "1", COUNT: "7"}) == {name: "1", COUNT: "7"}


def test_importing_the_compiler_says_it_before_torch_is_loaded() -> None:
    clean = {name: value for name, value in os.environ.items() if name not in (COUNT, *WAITING)}
    code = "import sys, os, compiler; print(os.environ.get('OMP_WAIT_POLICY'), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=clean, check=True)
    assert done.stdout.split() == ["PASSIVE", "False"]
