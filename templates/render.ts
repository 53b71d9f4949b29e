/** Everything that is rendered from templates. Each function is pure but for the files that it is given a reader for. */
import type { PlanReport } from '../model/plan-report';
import type { RunReport } from '../model/report';
import { loadTemplate, loadText } from './engine';
import { exhibitsOf } from './exhibits';
import type { EvidenceReader } from './exhibits';
import { printableDeep } from './printable';
import { planReportPage } from './plan-report-page';
import type { PlanReportPage } from './plan-report-page';
import { reportPage } from './report-page';
import type { ReportPage } from './report-page';

const reportTemplate = loadTemplate<ReportPage>('report');
const reportCss = loadText('report', 'report.css');
const planReportTemplate = loadTemplate<PlanReportPage>('plan-report');
const planReportCss = loadText('plan-report', 'plan-report.css');

/**
 * The report as one HTML file that needs nothing else: style, pictures and texts are inside, there is no script, and its
 * content security policy forbids every request. Evidence that is missing, or whose content no longer has its hash, is
 * named as such and not shown; that is no failure of the report.
 */
export function renderReportHtml(report: RunReport, files: { readonly evidence: EvidenceReader }): string {
  const safe = printableDeep(report);
  return reportTemplate(reportPage(safe, exhibitsOf(safe.evidence, files.evidence), pageCss(safe.runId)));
}

/**
 * The report of a plan as one HTML file that needs nothing else, as that of a server; each server's own report is linked beside it.
 */
export function renderPlanReportHtml(report: PlanReport): string {
  const safe = printableDeep(report);
  return planReportTemplate(planReportPage(safe, `${pageCss(safe.runId)}\n${planReportCss}`));
}

/** The running head of printed pages is text inside the style sheet, so only what an id consists of gets into it. */
function pageCss(runId: string): string {
  return reportCss.replace('RUN-ID', runId.replace(/[^0-9A-Za-z-]/g, ''));
}
