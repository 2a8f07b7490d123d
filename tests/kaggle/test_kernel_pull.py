"""`kernel pull`, `status` and `logs` against the stand-in, by the real client."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
from kernel_testing import REF, SCRIPT, here, session_output
from server.kernels import Kernel, Kernels, as_log
from server.service import Fault, error

from histoblend.errors import ArtifactRefusal, ServiceRefusal
from histoblend.kaggle.kernel import PullRequest, pull_kernel, show_logs, show_status
from histoblend.kaggle.kernel.log import log_lines, log_text
from histoblend.kaggle.kernel.records import Push, note_push, now
from histoblend.workspace import Workspace

__all__ = ["here"]


@pytest.fixture
def kernels(kaggle_service, here, toy_configs):
    """A kernel whose third version is complete and left an output."""
    kernels = Kernels(
        kaggle_service, script=["COMPLETE"], output=session_output(), log=as_log(["one\n", "two\n"])
    )
    request = {"newTitle": "Histoblend run", "text": SCRIPT}
    kernels.kernels[REF] = Kernel(*REF.split("/"), request, version=3)
    return kernels


@pytest.fixture
def pulling(kernels, display, tmp_path):
    return lambda: pull_kernel(PullRequest(tmp_path), display, kernels.service.environment)


def test_what_is_pulled_is_an_ordinary_output_folder(kernels, pulling, display, tmp_path):
    pulling()
    folder = tmp_path / "kernels" / "3"
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    inside = {"run.json", "experiments/a/fold_0/done.json", "ranking.csv", "submission.csv"}
    assert names == inside | {"session.json", "histoblend-run.log", "pulled.json"}  # no tar: it is unpacked
    assert (folder / "histoblend-run.log").read_text() == "one\ntwo\n"
    pulled = json.loads((folder / "pulled.json").read_text())
    assert (pulled["kernel"], pulled["version"], pulled["state"]) == (REF, 3, "complete")
    assert pulled["files"]["histoblend-output.tar"] == len(kernels.output["histoblend-output.tar"])
    assert f"submit --output {folder}" in display.text and "Plan toy is finished" in display.text
    assert [path.name for path in folder.parent.iterdir() if not path.name.startswith(".lock")] == ["3"]


def test_what_is_whole_is_left_alone(kernels, pulling, tmp_path):
    pulling()
    (tmp_path / "kernels" / "3" / "ranking.csv").write_text("mine")
    asked = len(kernels.service.requests("/storage/"))
    pulling()
    assert (tmp_path / "kernels" / "3" / "ranking.csv").read_text() == "mine"
    assert len(kernels.service.requests("/storage/")) == asked == 3


def test_a_download_that_is_cut_goes_on_where_it_stopped(kernels, pulling, tmp_path):
    """Cut once it is repeated at once; failing too often, the next command completes what is there."""
    content = random.Random(0).randbytes(1_500_000)
    kernels.output["big.bin"] = content
    kernels.service.faults.append(Fault("big.bin", cut=1_200_000))
    kernels.service.faults.append(Fault("submission.csv", answer=error(503, "later"), times=3))
    with pytest.raises(ServiceRefusal, match="503"):
        pulling()
    assert not (tmp_path / "kernels" / "3").exists()
    assert [entry.status for entry in kernels.service.requests("big.bin")] == [200, 200, 206]
    pulling()
    assert (tmp_path / "kernels" / "3" / "big.bin").read_bytes() == content
    assert len(kernels.service.requests("big.bin")) == 3  # it was here already


def test_a_report_is_html_and_a_file_all_the_same(kernels, pulling, tmp_path):
    kernels.output["report.html"] = b"<html>AUC</html>"
    kernels.service.faults.append(Fault("report.html", headers={"Content-Type": "text/html"}))
    pulling()
    assert (tmp_path / "kernels" / "3" / "report.html").read_bytes() == b"<html>AUC</html>"


def test_several_pages_of_files(kernels, pulling, tmp_path):
    kernels.page = 2
    kernels.output |= {f"figures/{number:02d}.txt": f"{number}".encode() for number in range(7)}
    pulling()
    folder = tmp_path / "kernels" / "3" / "figures"
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        f"{n:02d}.txt": str(n) for n in range(7)
    }
    assert len(kernels.service.requests("ListKernelSessionOutput")) == 5
    assert (folder.parent / "histoblend-run.log").read_text() == "one\ntwo\n"  # it came with the first page


def test_pages_in_a_circle_come_to_an_end(kernels, pulling):
    kernels.service.calls["kernels.KernelsApiService/ListKernelSessionOutput"] = lambda request: {
        "nextPageToken": "7"
    }
    with pytest.raises(ServiceRefusal, match="circle"):
        pulling()


def test_an_address_that_has_served_its_time_is_asked_for_anew(kernels, pulling, tmp_path):
    kernels.service.faults.append(Fault("/storage/", answer=error(403, "Request has expired")))
    pulling()
    assert (tmp_path / "kernels" / "3" / "submission.csv").exists()
    assert len(kernels.service.requests("ListKernelSessionOutput")) == 2


def test_a_damaged_archive_is_refused_by_name(kernels, pulling, tmp_path):
    whole = kernels.output["histoblend-output.tar"]
    kernels.output["histoblend-output.tar"] = whole[: len(whole) // 2]
    with pytest.raises(ArtifactRefusal, match=r"histoblend-output\.tar") as refusal:
        pulling()
    assert "delete" in refusal.value.remedy and ".partial-histoblend-run-3" in refusal.value.remedy
    assert not (tmp_path / "kernels" / "3").exists()


def test_a_name_that_leads_out_of_the_folder(kernels, pulling, tmp_path):
    kernels.output["../../away.txt"] = b"!"
    with pytest.raises(ServiceRefusal, match=r"\.\./\.\./away\.txt"):
        pulling()
    assert not (tmp_path / "away.txt").exists()


def test_an_error_is_pulled_with_the_end_of_its_log(kernels, pulling, display, tmp_path):
    kernels.script, kernels.failure, kernels.output = ["ERROR"], "Notebook Threw Exception", {}
    kernels.log = as_log([f"line {number}\n" for number in range(50)])
    with pytest.raises(ServiceRefusal, match="failed; all that it left"):
        pulling()
    assert "line 49" in display.text and "line 10\n" not in display.text
    assert "No run has left anything" in display.text
    assert (tmp_path / "kernels" / "3" / "histoblend-run.log").exists()


def test_a_paused_session_says_how_to_go_on(kernels, pulling, display):
    kernels.output = session_output("paused", left=["a fold 1", "b fold 0"])
    pulling()
    assert (
        "Paused: 2 tasks left (a fold 1, b fold 0)" in display.text and "./run.sh kernel push" in display.text
    )


def test_a_run_that_failed_is_no_success_though_kaggle_says_complete(kernels, pulling, display):
    kernels.output = session_output("failed", exit_code=3, handed_on={"session": {"plan": "toy"}})
    with pytest.raises(ServiceRefusal, match=r"Version 3 of .* failed"):
        pulling()
    assert "made nothing itself" in display.text
    assert "failed there with exit code 3, though Kaggle calls the session complete" in display.text
    assert display.text.index("  | two") < display.text.index("What is finished is kept")


def test_an_output_that_is_listed_late(kernels, pulling, tmp_path):
    """Not yet at the first look; and where it took longer than that, the next pull looks again."""
    late, kernels.output = kernels.output, {}
    pulling()
    folder = tmp_path / "kernels" / "3"
    assert not (folder / "run.json").exists()
    listed = len(kernels.service.requests("ListKernelSessionOutput"))
    honest = kernels.list_output

    def listing(request):
        looks = len(kernels.service.requests("ListKernelSessionOutput")) - listed
        kernels.output = late if looks >= 3 else {}
        return honest(request, kernels.kernels[REF])

    kernels.service.calls["kernels.KernelsApiService/ListKernelSessionOutput"] = listing
    pulling()
    assert (folder / "run.json").exists() and (folder / "histoblend-run.log").exists()


def test_the_output_of_the_session_before_is_not_taken_for_this_ones(kernels, pulling, tmp_path):
    kernels.output = session_output(package="9 0123456789ab")
    push = Push(REF, 3, now(), "toy", (), "9", "ba9876543210")
    note_push(Workspace(tmp_path), push)
    with pytest.raises(ServiceRefusal, match="less than 2 minutes ago"):
        pulling()
    note_push(Workspace(tmp_path), replace(push, when="2025-11-20T06:00:00+00:00"))
    with pytest.raises(ServiceRefusal, match="output of another push"):
        pulling()
    kernels.output = session_output(package="9 ba9876543210")
    pulling()
    assert (tmp_path / "kernels" / "3" / "run.json").exists()


def test_a_running_session_is_not_pulled(kernels, pulling, tmp_path):
    kernels.script = ["RUNNING"]
    with pytest.raises(ServiceRefusal, match="nothing to fetch yet"):
        pulling()
    assert not (tmp_path / "kernels").exists()


def test_the_version_where_kaggle_does_not_say_it(kernels, pulling, tmp_path):
    kernels.keep = {"currentVersionNumber": None}
    with pytest.raises(ServiceRefusal, match="which version"):
        pulling()
    push = {"kernel": REF, "version": 8, "when": "2026-11-21T06:00:00+00:00", "plan": "toy", "settings": []}
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels" / "pushes.json").write_text(
        json.dumps([{**push, "package": "0", "fingerprint": "0"}])
    )
    pulling()
    assert (tmp_path / "kernels" / "8" / "run.json").exists()


def test_a_folder_of_another_kernel(kernels, pulling, tmp_path):
    (tmp_path / "kernels" / "3").mkdir(parents=True)
    with pytest.raises(ArtifactRefusal, match="holds no output that was pulled"):
        pulling()


def test_no_such_kernel(kernels, pulling, display):
    kernels.kernels.clear()
    for command in (pulling, lambda: show_status(display, kernels.service.environment)):
        with pytest.raises(ServiceRefusal, match="knows no kernel"):
            command()
    kernels.service.faults.append(Fault("GetKernelSessionStatus", answer=error(404, "Not found")))
    with pytest.raises(ServiceRefusal, match="knows no kernel"):
        pulling()


@pytest.mark.parametrize(
    ("state", "failure", "words"),
    [
        ("QUEUED", "", "is queued"),
        ("RUNNING", "", "is running"),
        ("COMPLETE", "", "is complete"),
        ("ERROR", "Your notebook tried to allocate more memory", "ended in an error: Your notebook tried"),
        ("CANCEL_ACKNOWLEDGED", "", "was cancelled"),
    ],
)
def test_status_in_plain_words(kernels, display, state, failure, words):
    kernels.script, kernels.failure = [state], failure
    show_status(display, kernels.service.environment)
    assert (
        f"{REF}, version 3, {words}" in display.text and f"https://www.kaggle.com/code/{REF}" in display.text
    )


def test_logs_are_printed_as_text(kernels, display):
    show_logs(display, kernels.service.environment)
    assert display.text == "one\ntwo\n"
    kernels.log = None
    with pytest.raises(ServiceRefusal, match="gives no log"):
        show_logs(display, kernels.service.environment)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (as_log(["a", "b\n", "c\n"]), "ab\nc\n"),
        (as_log(["a\n", "b\n"])[:-2], "a\nb\n"),  # cut: no closing bracket
        ('{"stream_name":"stdout","time":1,"data":"a\\n"}\n{"data":"b\\n"}\n', "a\nb\n"),
        ("plain text\nof two lines\n", "plain text\nof two lines\n"),
        ("[1] is no JSON list of events\n", "[1] is no JSON list of events\n"),
        (
            as_log(["epoch 1/2\repoch 2/2\r\n", "  0%\r 50%\r100%\n", "\x1b[33mwarned\x1b[0m\n"]),
            "epoch 2/2\n100%\nwarned\n",
        ),
        ("", ""),
    ],
)
def test_forms_of_logs(raw, text):
    assert log_text(raw) == text


def test_an_event_of_another_form_is_not_lost():
    assert log_lines('[{"data": "a\\n"}\n,{"message": "odd"}\n]') == ["a", '{"message": "odd"}']
