"""`kernel push` against the stand-in, by the real client: what is sent, what counts as taken, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from kernel_testing import REF, SCRIPT, here, session_output, with_assets
from server.kernels import QUOTA, SESSIONS, Kernels
from server.service import USER, Fault, error

from histoblend.config_kaggle import KernelSettings
from histoblend.errors import ConfigRefusal, MachineRefusal, ServiceRefusal
from histoblend.kaggle.kernel import PushRequest, push, push_kernel
from histoblend.kaggle.kernel.metadata import Sources, kernel_metadata, title_of
from histoblend.kaggle.kernel.parcel import Parcel, fingerprint_of
from histoblend.kaggle.kernels import Description, Kernel
from histoblend.kaggle.session import script
from histoblend.kaggle.session.carrying import Carried

__all__ = ["here"]
ASSETS = f"{USER}/histoblend-assets"
FINGERPRINT = "0123456789ab"
SENT = f"# Version 9, fingerprint {FINGERPRINT}.\n{SCRIPT}"


@pytest.fixture
def kernels(kaggle_service, here, monkeypatch, toy_configs):
    monkeypatch.setattr(push, "script_text", told_script)
    kernels = Kernels(kaggle_service)
    with_assets(kernels, ASSETS)
    return kernels


def told_script(plan, settings, configs, goes_on=False, anew=False):
    """In place of the true one: what it was told, behind the header with the fingerprint."""
    told = " (goes on)" if goes_on else " (anew)" if anew else ""
    return f"# Version 9, fingerprint {FINGERPRINT}.\n{SCRIPT}" + (f"#{told}\n" if told else "")


def last_script(kernels):
    return kernels.kernels[REF].request["text"]


@pytest.fixture
def pushing(kernels, display, tmp_path):
    """Push the toy plan; `output` is where the push is noted."""

    def go(**options):
        request = PushRequest(**{"plan": "toy", "output": tmp_path / "out", **options})
        push_kernel(request, display, kernels.service.environment)

    return go


def noted(tmp_path):
    path = tmp_path / "out" / "kernels" / "pushes.json"
    return json.loads(path.read_text()) if path.exists() else []


def test_what_is_sent_is_private_with_two_cards_and_no_internet(kernels, pushing, display, tmp_path):
    pushing(settings=("tta=1",))
    sent = kernels.kernels[REF].request
    assert sent["text"] == SENT
    assert (sent["isPrivate"], sent["enableGpu"], sent["enableInternet"]) == (True, True, False)
    assert sent["machineShape"] == "NvidiaTeslaT4"
    assert (sent["language"], sent["kernelType"]) == ("python", "script")
    assert sent["competitionDataSources"] == ["histopathologic-cancer-detection"]
    assert sent["datasetDataSources"] == [ASSETS]
    assert sent.get("kernelDataSources", []) == []  # the first version has no output to go on from
    [push_noted] = noted(tmp_path)
    assert (push_noted["version"], push_noted["fingerprint"], push_noted["plan"]) == (1, FINGERPRINT, "toy")
    assert f"fingerprint {FINGERPRINT}" in display.text
    assert push_noted["settings"] == ["tta=1"]
    assert "Version 1" in display.text and "kaggle.com/code/" in display.text


def test_from_the_second_push_on_it_is_among_its_own_sources(kernels, pushing, tmp_path):
    kernels.script, kernels.output = ["COMPLETE"], session_output()
    pushing()
    assert last_script(kernels) == SENT
    pushing()
    assert kernels.kernels[REF].request["kernelDataSources"] == [REF]
    assert "goes on" in last_script(kernels)  # so that the session refuses where it finds nothing
    assert [one["version"] for one in noted(tmp_path)] == [1, 2]


def test_a_chain_that_is_cut_is_not_begun_again_without_a_word(kernels, pushing, tmp_path, display):
    """The last version has a note and no output: Kaggle would mount nothing to go on from."""
    kernels.script, kernels.output = ["COMPLETE"], session_output()
    pushing()
    pushing()
    del kernels.output["histoblend-output.tar"]
    pulled = tmp_path / "out" / "kernels" / "1"
    for again in (1, 2):  # known from what Kaggle keeps, then with the folder that was pulled
        with pytest.raises(ServiceRefusal, match=r"assets push --output .*--anew") as refusal:
            pushing()
        assert (str(pulled) in refusal.value.remedy) == (again == 2)
        pulled.mkdir(exist_ok=True)
        (pulled / "run.json").write_text("{}")
        record = {"kernel": REF, "version": 1, "state": "complete", "failure": "", "when": "", "files": {}}
        (pulled / "pulled.json").write_text(json.dumps(record))
    assert kernels.kernels[REF].version == 2
    assets = with_assets(kernels, ASSETS)
    assets.kept[ASSETS].files["histoblend-output.tar"] = b"packed"
    pushing()
    assert kernels.kernels[REF].request.get("kernelDataSources", []) == []
    assert "goes on" in last_script(kernels)
    del assets.kept[ASSETS].files["histoblend-output.tar"]
    pushing(anew=True)
    assert "anew" in last_script(kernels) and kernels.kernels[REF].version == 4


def test_another_plan_or_settings_under_the_same_name(kernels, pushing, toy_configs):
    kernels.script = ["COMPLETE"]
    kernels.output = session_output("paused", settings=["tta=8", "budget=8h"])
    pushing(settings=("tta=8",))
    for other in (("tta=1",), ("tta=8", "folds.count=3"), ("tta=8", "training.batch_size=3")):
        with pytest.raises(ConfigRefusal, match="trained anew") as refusal:
            pushing(settings=other)
        assert "kernel.slug" in refusal.value.remedy and "--anew" in refusal.value.remedy
    pushing(settings=("budget=9h", "execution.processes=1", "tta=8"))
    assert "goes on" in last_script(kernels)
    toy_plan = (toy_configs / "plans" / "toy.yaml").read_text()
    (toy_configs / "plans" / "other.yaml").write_text(toy_plan)
    pushing(plan="other", settings=("tta=8",))  # the same folds: what is finished travels along
    del kernels.output["session.json"]  # it was stopped hard: the last push from here tells
    with pytest.raises(ConfigRefusal, match="--set tta=8"):
        pushing(settings=("tta=1",))
    pushing(anew=True)
    assert kernels.kernels[REF].request.get("kernelDataSources", []) == [] and "anew" in last_script(kernels)


def test_a_finished_plan_is_not_run_again(kernels, pushing):
    kernels.script, kernels.output = ["COMPLETE"], session_output(package=f"9 {FINGERPRINT}")
    pushing()
    with pytest.raises(ConfigRefusal, match="Nothing is left"):
        pushing()
    kernels.output = session_output(
        package="9 ba9876543210"
    )  # configs have changed since: there may be more to do
    pushing()
    assert kernels.kernels[REF].version == 2


def test_the_fingerprint_is_that_of_the_session(toy_configs):
    carried = Carried(b"archive", [])
    assert fingerprint_of(script._header("toy", (), carried)) == carried.fingerprint


def test_an_earlier_session_that_left_nothing_is_no_source(kernels, pushing, display):
    kernels.script = ["ERROR"]
    pushing()
    pushing()
    assert kernels.kernels[REF].request.get("kernelDataSources", []) == []
    assert "starts from the beginning" in display.text


def test_missing_assets_are_said_and_not_named(kernels, pushing, display):
    with_assets(kernels)
    pushing()
    assert kernels.kernels[REF].request.get("datasetDataSources", []) == []
    assert "./run.sh assets push" in display.text


def test_a_plan_that_cannot_do_without_weights_is_not_started(kernels, pushing, toy_configs):
    """It would end after a minute: no dataset with weights, no internet."""
    pretrained = "network: {name: resnet50v2, head: gap}\n"
    (toy_configs / "experiments/pretrained.yaml").write_text(pretrained)
    (toy_configs / "plans/pretrained.yaml").write_text("experiments: [first, pretrained]\n")
    with_assets(kernels)
    with pytest.raises(ServiceRefusal, match="pretrained start from pretrained weights") as refused:
        pushing(plan="pretrained")
    assert "assets push" in refused.value.remedy and REF not in kernels.kernels
    (toy_configs / "kaggle.yaml").write_text("kernel: {internet: true}\n")
    pushing(plan="pretrained")
    assert kernels.kernels[REF].request["enableInternet"] is True


def test_assets_that_are_gone_or_not_ready(kernels, pushing):
    assets = with_assets(kernels, ASSETS)
    kernels.script = ["ERROR"]
    pushing()
    assets.kept[ASSETS].polls_left = 1
    with pytest.raises(ServiceRefusal, match="state is blobs received"):
        pushing()
    assets.kept[ASSETS].failed = True
    with pytest.raises(ServiceRefusal, match="state is failed"):
        pushing()
    assets.kept.clear()
    with pytest.raises(ServiceRefusal, match="the last session had it"):
        pushing()
    pushing(anew=True)
    assert kernels.kernels[REF].version == 2


def test_a_public_kernel_is_wanted_twice(kernels, pushing, toy_configs):
    (toy_configs / "kaggle.yaml").write_text("kernel: {private: false}\n")
    with pytest.raises(ConfigRefusal, match="everybody would see"):
        pushing()
    assert kernels.service.log == []
    pushing(public=True)
    assert kernels.kernels[REF].request.get("isPrivate", False) is False


def test_datasets_have_an_owner():
    with pytest.raises(ValueError, match="owner/name"):
        KernelSettings(datasets=("histopathologicwsifull",))


def test_a_word_of_kaggles_that_nobody_knows_locks_nothing_for_ever(kernels, pushing, display, tmp_path):
    pushing()
    kernels.script = ["NEW_SCRIPT"]
    with pytest.raises(ServiceRefusal, match="second session"):
        pushing()
    path = tmp_path / "out" / "kernels" / "pushes.json"
    path.write_text(json.dumps([{**noted(tmp_path)[0], "when": "2025-11-20T06:00:00+00:00"}]))
    pushing()
    assert kernels.kernels[REF].version == 2 and "not waited for" in display.text


def test_a_session_under_way_is_not_joined_by_a_second(kernels, pushing, tmp_path):
    pushing()
    for state in ("QUEUED", "RUNNING", "CANCEL_REQUESTED"):
        kernels.script = [state]
        with pytest.raises(ServiceRefusal, match="second session"):
            pushing()
    assert kernels.kernels[REF].version == 1


@pytest.mark.parametrize(
    ("words", "remedy"), [(QUOTA, "30 GPU hours"), (SESSIONS, "two GPU sessions"), ("Kernel not found", "")]
)
def test_a_push_that_kaggle_refuses_with_http_200(kernels, pushing, tmp_path, words, remedy):
    kernels.refuse = words
    with pytest.raises(ServiceRefusal) as refusal:
        pushing()
    assert words in refusal.value.found and remedy in refusal.value.remedy
    assert noted(tmp_path) == []


def test_a_reply_without_a_version_is_no_success(kernels, pushing, tmp_path):
    kernels.service.calls["kernels.KernelsApiService/SaveKernel"] = lambda request: {
        "url": "https://x",
        "error": "",
    }
    with pytest.raises(ServiceRefusal, match="without a version"):
        pushing()
    assert noted(tmp_path) == []


def test_a_quota_refused_by_status(kernels, pushing):
    kernels.service.faults.append(Fault("SaveKernel", answer=error(400, QUOTA)))
    with pytest.raises(ServiceRefusal) as refusal:
        pushing()
    assert QUOTA in refusal.value.found and "two GPU sessions" in refusal.value.remedy


def test_sources_that_kaggle_did_not_take(kernels, pushing, tmp_path):
    kernels.unknown = (ASSETS,)
    with pytest.raises(ServiceRefusal, match=f"dataset sources: {ASSETS}"):
        pushing()
    assert len(noted(tmp_path)) == 1  # the session runs for all that


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        ({"enableInternet": True}, "connected to the internet"),
        ({"isPrivate": False}, "not private"),
        ({"enableGpu": False}, "not with a GPU"),
        ({"datasetDataSources": []}, f"{ASSETS} is not among its dataset sources"),
    ],
)
def test_what_kaggle_keeps_otherwise(kernels, pushing, kept, words):
    kernels.keep = kept
    with pytest.raises(ServiceRefusal, match=words):
        pushing()


def test_what_kaggle_says_nothing_about_is_said(kernels, pushing, display):
    kernels.keep = {"enableInternet": None, "isPrivate": None, "machineShape": "Gpu"}
    pushing()
    assert "private, internet" in display.text and "'Gpu'" in display.text


def test_a_client_that_does_not_name_the_machine(kernels, pushing, display, monkeypatch):
    honest = push.send
    monkeypatch.setattr(push, "send", lambda *words: replace(honest(*words), machine_named=False))
    pushing()
    assert "does not say which machine is wanted, NvidiaTeslaT4" in display.text


def test_an_older_version_is_not_compared(kernels, pushing, display):
    kernels.script = ["COMPLETE"]
    pushing()
    kernels.keep = {"currentVersionNumber": 1, "enableInternet": True}
    pushing()
    assert "still describes version 1" in display.text


def test_a_title_that_makes_another_address(kernels, pushing, monkeypatch, tmp_path):
    monkeypatch.setattr("histoblend.kaggle.kernel.metadata.title_of", lambda slug: "Something else")
    with pytest.raises(ServiceRefusal, match="under another name"):
        pushing()
    assert noted(tmp_path) == []


@pytest.mark.parametrize("slug", ["histoblend-run", "a2-b3-run-4x", "12345"])
def test_titles_become_their_slugs_by_the_clients_own_rule(slug):
    from slugify import slugify

    assert slugify(title_of(slug)) == slug


def test_a_kernel_without_a_card_says_so():
    meant = kernel_metadata(Kernel("me", "abcde"), KernelSettings(accelerator="none"), Sources())
    assert meant["enable_gpu"] is False and "machine_shape" not in meant and meant["enable_internet"] is False


@pytest.mark.parametrize(
    "fault", [Fault("SaveKernel", drop="after"), Fault("SaveKernel", answer=error(503, "later"))]
)
def test_a_lost_reply_is_no_second_push(kernels, pushing, display, tmp_path, fault):
    """Dropped after it was done: seen by the script that Kaggle keeps. Refused before: nothing has arrived."""
    kernels.service.faults.append(fault)
    if fault.drop:
        pushing()
        assert "It has: version 1" in display.text and len(noted(tmp_path)) == 1
    else:
        with pytest.raises(ServiceRefusal, match="503"):
            pushing()
        assert noted(tmp_path) == []
    assert len(kernels.service.requests("SaveKernel")) == 1


def test_what_arrived_is_a_newer_version_with_this_script():
    parcel = Parcel("toy", (), SCRIPT, {})
    kept = Description(4, True, True, False, "", [], [], [], parcel.hash)
    assert push.arrived_version(None, kept, parcel) == 4
    assert push.arrived_version(replace(kept, version=3), kept, parcel) == 4
    assert push.arrived_version(kept, kept, parcel) is None  # the version before had the same script
    assert push.arrived_version(None, replace(kept, script="another"), parcel) is None
    assert push.arrived_version(None, None, parcel) is None


@pytest.mark.parametrize(("status", "times"), [(401, 1), (403, 1), (404, 1), (429, 3), (500, 3)])
def test_failures_by_status(kernels, pushing, tmp_path, status, times):
    """Before the push, what is only read is repeated where that may help; a push never is."""
    if status == 404:
        kernels.service.faults.append(Fault("SaveKernel", answer=error(status, "no")))
    else:
        kernels.service.faults.append(Fault("GetKernel", times=9, answer=error(status, "no")))
    with pytest.raises(ServiceRefusal):
        pushing()
    assert len(kernels.service.requests("SaveKernel" if status == 404 else "GetKernelSessionStatus")) == times
    assert noted(tmp_path) == []


def test_to_a_folder_nothing_is_sent(kernels, pushing, tmp_path, display):
    kernels.script = ["RUNNING"]
    pushing(to=tmp_path / "there")
    assert (tmp_path / "there" / "script.py").read_text() == SENT
    meant = json.loads((tmp_path / "there" / "kernel-metadata.json").read_text())
    assert meant["id"] == REF and meant["title"] == "Histoblend run" and meant["enable_internet"] is False
    assert not kernels.service.requests("SaveKernel") and noted(tmp_path) == []


def test_a_plan_is_checked_before_anything_is_asked(kaggle_service, display, toy_configs, monkeypatch):
    with pytest.raises(ConfigRefusal, match="The budget is 30h"):
        push_kernel(PushRequest("toy", ("budget=30h",)), display, kaggle_service.environment)
    with pytest.raises(ConfigRefusal, match="no plan named 'tyo'"):
        push_kernel(PushRequest("tyo"), display, kaggle_service.environment)
    large = Carried(bytes(800_000), [("src/much.py", 9_000_000)])
    monkeypatch.setattr(script, "carry", lambda configs: large)
    with pytest.raises(MachineRefusal, match=r"would take 1,\d+,\d+ bytes"):
        push_kernel(PushRequest("toy"), display, kaggle_service.environment)
    assert kaggle_service.log == []
