// `npm audit` of what ships. A finding of severity high or above fails; a registry that has no advisories, or none that can
// be reached, does not.
import { spawnSync } from 'node:child_process';

const notChecked = 77;
const refused = ['high', 'critical'];

const { stdout } = spawnSync('npm', ['audit', '--omit=dev', '--json'], {
  encoding: 'utf8',
  maxBuffer: 64 * 1024 * 1024,
  shell: process.platform === 'win32',
});

/** @type {{ vulnerabilities?: Record<string, { severity: string, range: string }>, message?: string } | undefined} */
let report;
try {
  report = JSON.parse(stdout);
} catch {
  // No JSON is no report: said below.
}
if (!report?.vulnerabilities) {
  process.stdout.write(`The registry gave no audit report (${report?.message ?? 'no answer'})\n`);
  process.exit(notChecked);
}
const findings = Object.entries(report.vulnerabilities);
for (const [name, { severity, range }] of findings) process.stdout.write(`${severity}: ${name} ${range}\n`);
process.stdout.write(`${findings.length} findings\n`);
process.exitCode = findings.some(([, { severity }]) => refused.includes(severity)) ? 1 : 0;
