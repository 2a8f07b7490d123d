"""The forms of the JSON artifacts a report reads; a value that does not fit is refused by its file and key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    TypeAdapter,
    ValidationError,
)

from histoblend.blending.inputs import ensemble_name
from histoblend.errors import ArtifactRefusal
from histoblend.evaluation.metrics import Metrics
from histoblend.restoring import remedy_for
from histoblend.workspace import read_json

Share = Annotated[float, Field(ge=0, le=1)]
Read = TypeVar("Read")


class Form(BaseModel):
    """Keys that are not named are of no concern; numbers are finite."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False, frozen=True)


class DataNote(Form):
    """What run.json says of the data."""

    root: str
    name: str
    fingerprint: str
    synthetic: bool
    layout: str = ""
    classes: dict[str, NonNegativeInt] = Field(min_length=2)
    dropped: dict[str, NonNegativeInt] = Field(default_factory=dict)
    handling: list[str] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)


class FoldsNote(Form):
    """What run.json says of the split."""

    fingerprint: str
    policy: str
    sentence: str


class SourceNote(Form):
    """A file that the run was made from."""

    kind: str
    path: str
    sha256: str | None = None


class RunNote(Form):
    """run.json: what the last run in the folder worked on and with; `plan` as it was written."""

    started: str
    plan: dict[str, Any]
    data: DataNote
    folds: FoldsNote
    device: dict[str, Any] = Field(default_factory=dict)
    weights: dict[str, Any] = Field(default_factory=dict)
    sources: list[SourceNote] = Field(default_factory=list)
    versions: dict[str, str] = Field(default_factory=dict)

    @property
    def plan_name(self) -> str:
        """The plan's name."""
        return str(self.plan.get("name", "?"))

    @property
    def side(self) -> int:
        """Side of the patches in pixels."""
        return int((self.plan.get("data") or {}).get("side", 96))

    @property
    def about(self) -> dict[str, str]:
        """What every metrics.json of the run has to say of data and split."""
        return {"folds_fingerprint": self.folds.fingerprint, "data_fingerprint": self.data.fingerprint}

    @property
    def of_files(self) -> bool:
        """Whether the data are files somewhere, not what a plan brings with it."""
        return (self.plan.get("data") or {}).get("source", "files") == "files"


class Done(Form):
    """done.json: what one fold's task came to."""

    auc: Share
    auc_one_view: Share
    views: Annotated[int, Field(ge=1, le=8)]
    patches: NonNegativeInt
    fold: NonNegativeInt
    fingerprint: str
    precision: str
    train_seconds: NonNegativeFloat
    prediction_seconds: NonNegativeFloat
    images_per_second: NonNegativeFloat
    files: dict[str, str]


class Weights(Form):
    """weights.json: the rule of a blend, the weight of each member, and the seeds a member is the mean of."""

    rule: str
    weights: dict[str, float] = Field(min_length=1)
    members: dict[str, list[str]] = Field(default_factory=dict)


class RuleAudit(Form):
    """What one rule of the blend is worth; None where it cannot be told."""

    rule: str
    learns: bool
    auc_in_sample: Share
    auc_cross_fitted: Share
    optimism: float
    gain: float | None
    gain_standard_error: NonNegativeFloat | None
    gain_low: float | None
    gain_high: float | None
    p_value: Share | None
    weights: dict[str, float] | None = None
    weights_by_fold: dict[str, dict[str, float]] | None = None


class Final(Form):
    """A blend recommended for submission, and why."""

    name: str
    rule: str | None
    why: str


class Correlation(Form):
    """Spearman rank correlations of the members."""

    names: list[str]
    spearman: list[list[Annotated[float, Field(ge=-1.000001, le=1.000001)]]]


class Contribution(Form):
    """What the equal-weight mean loses without one member."""

    member: str
    auc_without: Share | None
    gain: float | None
    standard_error: NonNegativeFloat | None


class Gated(Form):
    """A member that was kept out, and why."""

    member: str
    why: str


class BlendAudit(Form):
    """<plan>_audit.json: every rule judged on folds its weights were not learnt on, and what follows."""

    plan: str
    folds_fingerprint: str
    members: list[str]
    method: str
    clusters: int | None = None
    clusters_are: str
    warning: str | None = None
    rules: list[RuleAudit] = Field(min_length=1)
    asked: str
    chosen: str
    reason: str
    finals: list[Final]
    correlation: Correlation | None = None
    contributions: list[Contribution] = Field(default_factory=list)
    gated: list[Gated] = Field(default_factory=list)

    def blend(self, rule: str) -> str:
        """The name of the audited plan's blend by this rule."""
        return ensemble_name(self.plan, rule)


class FindingNote(Form):
    """One kind of thing that the audit of the data found."""

    kind: str
    severity: str
    part: str
    count: NonNegativeInt
    sentence: str
    training: str = ""


class DataAudit(Form):
    """audit/audit.json: what was found in the data."""

    data: dict[str, Any]
    findings: list[FindingNote]


class Holder(Form):
    """.lock-holder.json: the run that works, or was killed, in the folder."""

    pid: int
    host: str
    since: str


def read_form(path: Path, form: type[Read]) -> Read:
    """Read a JSON artifact as `form`.

    Raises:
        ArtifactRefusal: it is no JSON, or a value does not fit; names file, key, what was found and expected.
    """
    if not path.is_file():
        raise ArtifactRefusal(
            f"{path} is not there.", "the file as it was written beside the others", remedy_for(path)
        )
    try:
        return TypeAdapter(form).validate_python(read_json(path))
    except ValidationError as error:
        raise _unfit(path, dict(error.errors()[0])) from error


def read_metrics(path: Path) -> Metrics:
    """Read metrics.json."""
    return read_form(path, Metrics)


def _unfit(path: Path, problem: dict[str, Any]) -> ArtifactRefusal:
    key = " > ".join(str(part) for part in problem["loc"]) or "the whole"
    found = "is not there" if problem["type"] == "missing" else f"is {problem['input']!r}"
    return ArtifactRefusal(
        f"{path}: {key} {found}.",
        str(problem["msg"]).removeprefix("Input should be "),
        remedy_for(path),
    )
