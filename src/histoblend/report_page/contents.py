"""The report's page, section by section, from artifacts alone."""

from __future__ import annotations

from histoblend.artifacts.artifacts import Artifacts
from histoblend.report_page.blocks import Page
from histoblend.report_page.contents_blend import blend_section
from histoblend.report_page.contents_curves import calibration_section, curves_section, points_section
from histoblend.report_page.contents_data import audit_section, reproduce_section
from histoblend.report_page.contents_leaderboard import expected_scores, leaderboard_section
from histoblend.report_page.contents_patches import Shown, explained_section, patches_section
from histoblend.report_page.contents_ranking import folds_section, paired_leads, ranking_section
from histoblend.report_page.contents_training import cost_section, training_section, views_section
from histoblend.report_page.contents_verdict import verdict_section


def report_page(artifacts: Artifacts, shown: Shown) -> Page:
    """Everything that is known of an output folder, in the order of interest."""
    leads, expected = paired_leads(artifacts), expected_scores(artifacts)
    return Page(
        title=f"{artifacts.run.plan_name} on {artifacts.run.data.name}",
        subtitle=f"histoblend report on {artifacts.workspace.folder}, whose last run started {artifacts.run.started}",
        synthetic=artifacts.run.data.synthetic,
        sections=(
            verdict_section(artifacts, expected, leads),
            ranking_section(artifacts, leads),
            blend_section(artifacts),
            leaderboard_section(artifacts, expected),
            curves_section(artifacts),
            folds_section(artifacts),
            calibration_section(artifacts),
            points_section(artifacts),
            patches_section(artifacts, shown),
            explained_section(shown),
            training_section(artifacts),
            views_section(artifacts),
            cost_section(artifacts),
            audit_section(artifacts),
            reproduce_section(artifacts),
        ),
    )
