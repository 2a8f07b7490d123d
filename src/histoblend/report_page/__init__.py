"""The report: one self-contained HTML page made from the artifacts of an output folder."""

from histoblend.report_page.stage import ReportRequest, write_report

__all__ = ["ReportRequest", "write_report"]
